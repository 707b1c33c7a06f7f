"""New questions for chunks that users found hard or by mistake."""
