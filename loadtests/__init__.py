"""Load users, side-by-side measurements (bench) and fault tests (faults)."""
