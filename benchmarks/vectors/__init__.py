"""Vector index options compared: recall, latency, disk, memory."""
