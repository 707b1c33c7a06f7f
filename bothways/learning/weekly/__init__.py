"""The weekly run: feedback to questions and a reranker, the gate, promotion and rollback."""
