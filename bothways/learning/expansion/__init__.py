"""Learning from query expansions: samples, rewards, preference pairs."""
