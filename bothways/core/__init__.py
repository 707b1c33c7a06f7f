"""What every room speaks: types, errors, settings, the way to Elasticsearch, and the models."""

from bothways.core.machine.telemetry import switch_off

switch_off()
