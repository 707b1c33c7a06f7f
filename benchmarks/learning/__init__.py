"""What weekly learning brings, and what stops a poisoned week."""
