"""Generated units that drive about and report as real trackers do, over any protocol."""
