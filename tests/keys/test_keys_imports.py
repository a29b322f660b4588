import subprocess
import sys

import pytest

HEAVY = {"tensorflow", "keras", "dlib", "onnxruntime", "cv2", "veilkey", "mask_template", "perturbation_gen"}


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import keys", HEAVY | {"numpy", "h5py", "joserfc", "cryptography"}),
        ("from keys import keypair", HEAVY | {"numpy", "h5py", "joserfc"}),
        ("from keys import *", HEAVY),
    ],
)
def test_keys_imports_only_what_it_needs(statement: str, unwanted: set[str]) -> None:
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not unwanted & set(done.stdout.split())
