"""PNG files: their chunks, their rows, and how the original is written again."""
