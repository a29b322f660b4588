"""TIFF files: their directories, pages and strips, changed in place."""
