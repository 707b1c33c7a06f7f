"""What a collection, its questions and its users teach: proposals that people review, and models that are trained."""
