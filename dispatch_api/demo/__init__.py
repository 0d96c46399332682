"""The demonstration: a day of customs mobile units in Lithuania, made from the basemap and a fixed seed."""
