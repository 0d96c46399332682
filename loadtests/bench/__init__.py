"""Measurements side by side: each figure is a ratio of things measured in turn, in one run, on one machine."""
