"""The question: checked, filtered, encoded and rewritten before anything is searched."""
