"""Encoders: distilled from a teacher and evaluated."""
