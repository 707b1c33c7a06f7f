"""Retrieval: request bodies, one multi-search for all legs, pages, versions."""
