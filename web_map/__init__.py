"""What people see: the pages and their build, and the reports made of maps."""
