"""Where violations are to be expected: forecasts by cell or freely placed square, with honest intervals and reasons.

The methods, their sources and what they reach: docs/hotspots.md.
"""
