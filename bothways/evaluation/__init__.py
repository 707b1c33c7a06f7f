"""Judged queries in, measures out: what decides between two ways of searching."""
