"""The answer's text while it is written: citations checked, links cleaned, "unknown" recognised."""
