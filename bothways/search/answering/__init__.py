"""Answers: passages within a budget of tokens, a prompt that fences them off, citations that are checked."""
