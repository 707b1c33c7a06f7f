"""Uploaded files: received, kept on disk, and indexed in turn."""
