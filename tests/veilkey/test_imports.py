"""What a fresh process loads (issue 2, item 6)."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

RESTORE = """
import veilkey
from pathlib import Path
restored = veilkey.restore({file!r}, {key!r}, passphrase={passphrase!r})
assert restored == Path({photo!r}).read_bytes()
"""
RESTORE_COMMAND = """
from veilkey.cli import main
main(["restore", {file!r}, "-i", {identity!r}, "-o", {output!r}], standalone_mode=False)
"""
PROTECT = """
import veilkey
veilkey.protect({photo!r}, passphrase="x", refine=2)
"""
PROTECT_COMMAND = """
from veilkey.cli import main
main(["protect", {photo!r}, "-r", {public!r}, "-o", {output!r}, "--refine", "2", "--show"], standalone_mode=False)
"""
TRAINING = {"tensorflow", "keras", "tf2onnx", "onnx"}


@pytest.mark.parametrize(
    ("code", "unwanted", "wanted"),
    [
        ("import veilkey", {*TRAINING, "dlib", "onnxruntime", "skimage"}, {"veilkey"}),
        ("import veilkey.cli", {*TRAINING, "dlib", "onnxruntime", "skimage"}, {"click"}),
        (RESTORE, {*TRAINING, "dlib", "onnxruntime", "skimage"}, {"cv2"}),
        (RESTORE_COMMAND, {*TRAINING, "dlib", "onnxruntime", "skimage"}, {"cv2"}),
        (PROTECT, TRAINING, {"dlib", "onnxruntime"}),
        (PROTECT_COMMAND, TRAINING, {"dlib", "onnxruntime"}),
    ],
    ids=["veilkey", "veilkey.cli", "restore", "veilkey restore", "protect", "veilkey protect"],
)
def test_only_what_is_needed_is_loaded(
    protected: SimpleNamespace,
    key_pair: SimpleNamespace,
    environment: dict[str, str],
    tmp_path: Path,
    code: str,
    unwanted: set[str],
    wanted: set[str],
) -> None:
    from veilkey.recognizers.gradient import load_gradient

    load_gradient("dlib")  # the first use of all exports it, which takes TensorFlow
    code = code.format(
        file=str(protected.file),
        key=str(protected.key_file),
        photo=str(protected.photo),
        passphrase=protected.passphrase,
        identity=str(key_pair.private),
        public=str(key_pair.public),
        output=str(tmp_path / "out.png"),
    )
    code += "\nimport sys\nprint('loaded', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert wanted <= loaded
    assert not unwanted & loaded
