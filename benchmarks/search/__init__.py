"""Searching: quality and time beside others, serving, memory, streaming, slow language models."""
