"""What changed since the last run: known chunks, reusable texts, origins of documents."""
