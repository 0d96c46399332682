"""Faults on purpose: the server and the database killed under load, and what was acknowledged counted afterwards."""
