"""Parameters chosen on judged queries: fusion, reranking, thresholds."""
