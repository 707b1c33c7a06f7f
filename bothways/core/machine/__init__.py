"""This machine and process: private files, who holds something, no telemetry."""
