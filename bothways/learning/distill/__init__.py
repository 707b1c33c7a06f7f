"""Distillation of rerankers: a teacher's logits, a student, and its evaluation."""
