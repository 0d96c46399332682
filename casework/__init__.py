"""What was found: records of stops, and the photos and files that belong to tasks, stops and violations."""
