"""Rerankers: trained, calibrated, reported, exported."""
