"""The listeners for trackers that do not speak HTTP: a process of its own, `outrider gateway`."""
