"""Collections in Elasticsearch: a name, its alias, its versions, and who can see it."""
