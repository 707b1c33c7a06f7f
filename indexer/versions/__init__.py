"""Versions of a collection: built, checked, published, rolled back, retired."""
