"""What is shown beside hits: highlights, matched words, neighbours, facets."""
