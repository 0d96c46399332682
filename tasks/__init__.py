"""What is to be done: tasks, notices, who gets them and what became of them."""
