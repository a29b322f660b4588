"""What the tests of the services share: servers on 127.0.0.1 that speak as a vendor's do, keys, and three pictures."""

import email.message
import email.parser
import email.policy
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest

from veilkey import commercial

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIDOFTHETESTS",
    "AWS_SECRET_ACCESS_KEY": "aws-secret-of-the-tests",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "FACE_APIKEY": "azure-key-of-the-tests",
    "FACEPP_API_KEY": "facepp-key-of-the-tests",
    "FACEPP_API_SECRET": "facepp-secret-of-the-tests",
    "BAIDU_API_KEY": "baidu-key-of-the-tests",
    "BAIDU_SECRET_KEY": "baidu-secret-of-the-tests",
}


@dataclass
class Request:
    """What a server was sent."""

    method: str
    path: str
    query: dict[str, str]
    headers: email.message.Message
    body: bytes
    time: float

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> dict[str, bytes]:
        """The parts of multipart/form-data."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body)
        return {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in message.iter_parts()
        }


@dataclass
class Reply:
    """What a server answers: `body` as JSON, or as it is if it is bytes, after `delay` seconds."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass
class Server:
    """`faults` are answered first, one a request, whatever is asked; then `speak` answers."""

    speak: Callable[[Request], Reply]
    endpoint: str = ""
    requests: list[Request] = field(default_factory=list)
    faults: list[Reply] = field(default_factory=list)

    def handle(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.faults.pop(0) if self.faults else self.speak(request)


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Request], Reply]], Server]]:
    """Starts a server on 127.0.0.1 that answers as a function of the request says."""
    running: list[ThreadingHTTPServer] = []

    def start(speak: Callable[[Request], Reply]) -> Server:
        server = Server(speak)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                address = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                query = dict(parse_qsl(address.query))
                answer = server.handle(Request(self.command, address.path, query, self.headers, body, time.monotonic()))
                time.sleep(answer.delay)
                data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                try:
                    self.send_response(answer.status)
                    for name, value in {**answer.headers, "Content-Length": str(len(data))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
                except ConnectionError:
                    pass  # whoever asked did not wait

            do_GET = do_POST

            def log_message(self, *arguments: Any) -> None:
                pass

        httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        running.append(httpd)
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        server.endpoint = f"http://127.0.0.1:{httpd.server_port}"
        return server

    yield start
    for httpd in running:
        httpd.shutdown()
        httpd.server_close()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Credentials of nobody in the environment, and none of the machine's own."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "FACE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return KEYS


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services that wait for hundredths of a second where they wait for seconds."""
    for name in commercial.names():
        monkeypatch.setattr(commercial.kind(name), "calls_per_second", 1e6)
        monkeypatch.setattr(commercial.kind(name), "first_wait_s", 0.01)
        monkeypatch.setattr(commercial.kind(name), "tries", 2)


@pytest.fixture(scope="session")
def photos(close_up: np.ndarray, faceless: np.ndarray, encode: Callable[..., bytes]) -> SimpleNamespace:
    """Picture files: `eileen` and `again` show her, `stranger` is taken for somebody else, `nobody` shows no face."""
    return SimpleNamespace(
        eileen=encode(close_up),
        again=encode(close_up, "JPEG", quality=90),
        stranger=encode(close_up[:, ::-1]),
        nobody=encode(faceless),
    )


@pytest.fixture(scope="session")
def people(photos: SimpleNamespace) -> dict[bytes, str]:
    """Who is on a picture, for servers that have to know."""
    return {photos.eileen: "eileen", photos.again: "eileen", photos.stranger: "stranger"}
