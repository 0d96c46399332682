"""How Outrider is reached: HTTP, sockets, tracker listeners, background workers and the command line."""
