"""Judgments from clicks and votes: evidence, position bias, holdout."""
