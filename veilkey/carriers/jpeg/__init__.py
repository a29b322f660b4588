"""JPEG files: quantized coefficients in and out, and the original file back, byte for byte."""
