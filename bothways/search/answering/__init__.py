"""What an answer is made of: passages within a budget, a prompt that fences them off, citations that are checked."""
