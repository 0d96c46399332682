"""Live sockets: who gets what (hub), the connection itself (socket), and its messages (wire)."""
