"""Running exported networks without TensorFlow."""

import os
from functools import cache
from pathlib import Path
from typing import Any


@cache
def session(path: Path) -> Any:
    """An onnxruntime session on the CPU for an exported network; one file is loaded once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(4, os.cpu_count() or 1)
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
