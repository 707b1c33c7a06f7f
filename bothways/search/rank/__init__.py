"""Ranking: legs fused, candidates reranked, duplicates removed."""
