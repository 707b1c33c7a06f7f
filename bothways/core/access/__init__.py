"""Who may see what: access groups, and the client that lets a caller see only documents of its groups."""
