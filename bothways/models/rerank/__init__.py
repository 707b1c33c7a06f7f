"""Cross-encoders: question and passage to a relevance score, in this process or over HTTP."""
