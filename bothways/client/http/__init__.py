"""Requests of the client: what is asked, how it is sent and retried, how streams are read."""
