"""Judged queries: questions, qrels, gold documents, and the guard against leaks."""
