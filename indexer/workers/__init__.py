"""Several workers on one job: shards, leases, Ray."""
