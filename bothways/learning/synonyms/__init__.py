"""Synonyms mined from a collection's own questions, for people to review."""
