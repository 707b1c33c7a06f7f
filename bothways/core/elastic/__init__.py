"""Elasticsearch as every room uses it: client, mappings, leases, vectors, health."""
