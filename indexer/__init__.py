"""The write path: documents learn the questions they answer."""
