"""Model folders: found, fetched, and read."""
