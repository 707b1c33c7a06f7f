"""This machine and process: private files, holders of leases, no telemetry."""
