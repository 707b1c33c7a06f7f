"""The JSON of requests and answers: one set of models for HTTP, for `--json` and for the client."""
