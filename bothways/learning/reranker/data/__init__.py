"""Training data of rerankers: groups of a question with relevant passages and hard negatives."""
