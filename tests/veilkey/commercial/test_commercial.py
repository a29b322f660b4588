"""What holds for all services: costs stated, calls bounded and spaced, limits, and nothing secret said."""

import importlib.util
import logging
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from veilkey import commercial
from veilkey.commercial import Meter
from veilkey.commercial.meter import Pace
from veilkey.errors import (
    BadCredentials,
    CallsSpent,
    MissingModel,
    ServiceBusy,
    ServiceError,
    UnreadablePhoto,
    UsageError,
)

NAMES = ("rekognition", "azure", "facepp", "baidu")


TOKEN = "token-of-the-tests"


@pytest.fixture
def refusing(serve: Callable, reply: type, keys: dict, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """`server` refuses every request and repeats the keys that it was sent; `make` makes a service that asks it."""

    def speak(request: Any) -> Any:
        sent = f"{request.query} {request.headers.items()} {request.body!r}"
        said = "I know " + " ".join(key for key in (*keys.values(), TOKEN) if key in sent)
        return reply(418, {"error": {"code": said}, "error_code": said, "error_message": said, "__type": "Teapot"})

    server = serve(speak)
    monkeypatch.setenv("FACE_ENDPOINT", server.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_REKOGNITION", server.endpoint)

    def make(name: str, meter: Meter) -> commercial.Service:
        kind: Any = commercial.kind(name)
        return kind(meter, server.endpoint) if name in ("facepp", "baidu") else kind(meter)

    return SimpleNamespace(server=server, make=make)


def test_there_are_four() -> None:
    assert commercial.names() == NAMES
    with pytest.raises(MissingModel, match="no commercial recognizer is called 'clearview'; there are rekognition"):
        commercial.get("clearview", Meter())


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(MissingModel, match=rf'pip install "veilkey\[{name}\]"'):
        commercial.get(name, Meter())


@pytest.mark.parametrize("name", ["azure", "facepp", "baidu"])
def test_missing_keys_are_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    wanted = commercial.kind(name).environment
    monkeypatch.delenv(wanted[0], raising=False)
    monkeypatch.setenv(wanted[1], " ")
    with pytest.raises(BadCredentials, match=f"set {wanted[0]} and {wanted[1]}"):
        commercial.get(name, Meter())


def test_a_quote_multiplies() -> None:
    quote = commercial.quote(["rekognition", "azure"], 1000)
    assert [cost.calls for cost in quote.costs] == [1000, 3000] and quote.calls == 4000
    assert [cost.usd for cost in quote.costs] == pytest.approx([1.0, 3.0]) and quote.usd == pytest.approx(4.0)
    assert "azure: 1,000 comparisons, 3,000 calls to Azure Face, about 3.000 USD" in str(quote)
    assert "together: 4,000 calls, about 4.000 USD" in str(quote)


def test_a_price_that_is_not_known_is_not_made_up() -> None:
    quote = commercial.quote(NAMES, 1)
    assert quote.usd is None and quote.calls == 6
    assert "facepp: 1 comparison, 1 call to Face++ Compare, at a price that is not known here" in str(quote)
    assert "together: 6 calls, cost not known" in str(quote)


def test_consent_and_budget_come_first() -> None:
    quote = commercial.quote(["azure"], 1)
    with pytest.raises(UsageError, match="nothing was sent: add --yes-send-photos to let Azure Face have"):
        quote.permit(yes_send_photos=False, max_calls=None)
    with pytest.raises(CallsSpent, match="takes 3 calls and --max-calls allows 2: add --max-calls 3"):
        quote.permit(yes_send_photos=True, max_calls=2)
    quote.permit(yes_send_photos=True, max_calls=3)


@pytest.mark.parametrize("name", NAMES)
def test_no_comparison_is_begun_that_the_meter_cannot_pay(
    refusing: SimpleNamespace, photos: SimpleNamespace, name: str
) -> None:
    meter = Meter(max_calls=3)
    meter.calls = 4 - commercial.kind(name).calls_per_comparison
    with pytest.raises(CallsSpent, match="--max-calls"):
        refusing.make(name, meter).compare(photos.eileen, photos.again)
    assert refusing.server.requests == []


def test_a_meter_is_exact_between_threads() -> None:
    meter, refused = Meter(max_calls=500), []

    def spend() -> None:
        for _ in range(100):
            try:
                meter.spend()
            except CallsSpent:
                refused.append(1)

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.calls == 500 and len(refused) == 300


def test_a_pace_holds_between_threads() -> None:
    pace, times = Pace(50.0), []

    def call() -> None:
        for _ in range(3):
            pace.wait()
            times.append(time.monotonic())

    threads = [threading.Thread(target=call) for _ in range(4)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(times) - start >= 11 / 50
    assert min(times) - start < 1 / 50


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("rgb.webp", "takes JPEG and PNG files"),
        ("text.jpg", "takes JPEG and PNG files"),
        ("empty.png", "takes JPEG and PNG files"),
        ("noise", "MB: make it smaller|MB, this one has"),
    ],
)
def test_what_a_service_does_not_take_is_not_sent(
    refusing: SimpleNamespace,
    photos: SimpleNamespace,
    file_of: Callable,
    encode: Callable,
    name: str,
    kind: str,
    says: str,
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1500, 1500, 3), np.uint8)
    bad = encode(noise, compress_level=0) if kind == "noise" else file_of(kind)
    for pair in ((photos.eileen, bad), (bad, photos.eileen)):
        with pytest.raises(UnreadablePhoto, match=says):
            refusing.make(name, Meter()).compare(*pair)
    assert refusing.server.requests == []


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("rekognition", (79, 200), "from 80 pixels a side, this one has 79"),
        ("facepp", (47, 200), "from 48 pixels a side, this one has 47"),
        ("facepp", (64, 4097), "up to 4096x4096 pixels, this one has 4097x64"),
        ("baidu", (1081, 1082), "up to 1920x1080 pixels, this one has 1082x1081"),
        ("baidu", (1921, 64), "up to 1920x1080 pixels, this one has 1921x64"),
    ],
)
def test_limits_of_size(
    refusing: SimpleNamespace, encode: Callable, name: str, shape: tuple[int, int], says: str
) -> None:
    photo = encode(np.zeros((*shape, 3), np.uint8))
    with pytest.raises(UnreadablePhoto, match=says):
        refusing.make(name, Meter()).compare(photo, photo)
    assert refusing.server.requests == []


def told(error: BaseException, caplog: pytest.LogCaptureFixture, keys: dict) -> list[str]:
    """Secrets that a traceback or a log at its most talkative shows.

    The id of an AWS key and its region are none, and boto3 logs both.
    """
    text = "".join(traceback.format_exception(error)) + caplog.text
    secrets = [value for name, value in keys.items() if name not in ("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION")]
    return [secret for secret in (*secrets, TOKEN) if secret in text]


@pytest.mark.parametrize("name", NAMES)
def test_a_refusal_tells_nothing_secret(
    refusing: SimpleNamespace,
    photos: SimpleNamespace,
    keys: dict,
    reply: type,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    """Not even if the service repeats what it was sent."""
    if name == "baidu":
        refusing.server.faults = [reply(200, {"access_token": TOKEN})]
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ServiceError, match="418 .*(Teapot|I know .*[*]{3})") as caught:
        refusing.make(name, Meter()).compare(photos.eileen, photos.again)
    assert "127.0.0.1" in caplog.text
    assert told(caught.value, caplog, keys) == []


@pytest.mark.parametrize("failure", ["silent", "gone"])
def test_a_lost_connection_tells_nothing_secret(
    refusing: SimpleNamespace,
    photos: SimpleNamespace,
    keys: dict,
    reply: type,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    failure: str,
) -> None:
    """Baidu's addresses hold its secret, and the libraries' errors hold the addresses."""
    if failure == "gone":
        monkeypatch.setattr(refusing.server, "endpoint", "http://127.0.0.1:9")
    monkeypatch.setattr(commercial.kind("baidu"), "timeout_s", 0.1)
    refusing.server.faults = [reply(200, {}, delay=0.4)] * 2
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ServiceBusy) as caught:
        refusing.make("baidu", Meter()).compare(photos.eileen, photos.again)
    assert told(caught.value, caplog, keys) == []


def test_the_table_costs_nothing_to_read(environment: dict[str, str]) -> None:
    code = (
        "import sys; from veilkey import commercial; print(commercial.quote(commercial.names(), 5))\n"
        "assert not {'boto3', 'botocore', 'requests', 'tenacity'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
