"""Filters that the question itself names: laws, articles, sections, numbers."""
