"""What every room speaks: types, errors, settings, the way to Elasticsearch, and the models."""
