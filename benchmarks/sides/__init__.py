"""Each side of a comparison: programs of their own, a job in, measurements out."""
