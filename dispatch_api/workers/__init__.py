"""What is due without anybody asking: audit seals, task deadlines, retention, imports."""
