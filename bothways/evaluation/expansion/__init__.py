"""What query expansion is worth, and a rule for when to ask for it."""
