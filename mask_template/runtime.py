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
    # Threads that wait by spinning take the cores from everything that runs between two calls.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
