"""Models: encoding and reranking."""
