"""An Elasticsearch distribution and a Java to run it: found or fetched, and unpacked."""
