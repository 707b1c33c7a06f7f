"""Indexing: whole jobs, bulk requests, memory, size, reading, chunking, analysis."""
