"""What other people's programs import: nothing heavy is behind it."""
