"""Tracker protocols: bytes or parameters in, `Fix`es out; pure, one file each."""
