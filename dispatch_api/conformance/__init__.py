"""The conformance kit: recorded messages of real trackers, sent to a running server, and what it made of them."""
