"""Language models: endpoints that speak the OpenAI protocol, local models, and cached answers."""
