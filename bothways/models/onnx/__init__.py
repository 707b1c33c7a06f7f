"""ONNX graphs: exported, quantised, edited, and run."""
