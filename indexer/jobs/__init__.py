"""Jobs: their records in Elasticsearch, progress, and outages."""
