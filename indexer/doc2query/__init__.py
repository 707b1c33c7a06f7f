"""Doc2Query: pseudo-questions written, parsed, recorded, filtered."""
