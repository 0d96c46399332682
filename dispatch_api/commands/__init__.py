"""The longer commands of `outrider`, one file each."""
