"""What computes: encoders, cross-encoders, language models, and where the packaged default model comes from."""
