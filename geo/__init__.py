"""Where things are: units, devices, shifts (the duty gate), positions, violations and their density."""
