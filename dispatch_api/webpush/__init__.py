"""Web Push with keys of our own (RFC 8030, 8291, 8292): browsers are woken without an account at anybody's."""
