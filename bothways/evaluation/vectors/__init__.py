"""Vector index options compared: recall, latency, memory."""
