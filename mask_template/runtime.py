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
    # OMP_NUM_THREADS is how whoever runs several processes at once says what each may use.
    options.intra_op_num_threads = min(4, int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
