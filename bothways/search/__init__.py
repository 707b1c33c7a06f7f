"""The read path: a question asks every leg, and gets one ranking."""
