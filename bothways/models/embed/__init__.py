"""Encoders: texts to vectors, by ONNX Runtime, OpenVINO or sentence-transformers."""
