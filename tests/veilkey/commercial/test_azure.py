"""Azure Face, against a server that speaks "Face - Detect" and "Face - Verify" of its REST API v1.0."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from veilkey.commercial import Meter
from veilkey.commercial.azure import Azure
from veilkey.errors import BadCredentials, ServiceBusy, ServiceError, UsageError


def error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
def server(serve: Callable, people: dict, keys: dict, reply: type, monkeypatch: pytest.MonkeyPatch) -> Any:
    def speak(request: Any) -> Any:
        if request.headers["Ocp-Apim-Subscription-Key"] != keys["FACE_APIKEY"]:
            return reply(401, error("401", "Access denied due to invalid subscription key or wrong API endpoint."))
        if request.path == "/face/v1.0/detect":
            assert request.headers["Content-Type"] == "application/octet-stream"
            assert request.query["returnFaceId"] == "true" and 60 <= int(request.query["faceIdTimeToLive"]) <= 86400
            who = people.get(request.body)
            box = {"width": 91, "height": 114, "left": 80, "top": 60}
            return reply(200, [{"faceId": f"id-of-{who}", "faceRectangle": box}] if who else [])
        if request.path == "/face/v1.0/verify":
            same = request.json()["faceId1"] == request.json()["faceId2"]
            return reply(200, {"isIdentical": same, "confidence": 0.91 if same else 0.12})
        return reply(404, error("404", "Resource not found"))

    found = serve(speak)
    monkeypatch.setenv("FACE_ENDPOINT", found.endpoint + "/")
    return found


@pytest.mark.parametrize(("other", "similarity", "matches"), [("again", 0.91, True), ("stranger", 0.12, False)])
def test_it_detects_twice_and_verifies(
    server: Any, photos: SimpleNamespace, other: str, similarity: float, matches: bool
) -> None:
    meter = Meter()
    found = Azure(meter).compare(photos.eileen, getattr(photos, other))
    assert (found.similarity, found.matches, found.threshold) == (similarity, matches, 0.5)
    assert [request.path.rsplit("/", 1)[1] for request in server.requests] == ["detect", "detect", "verify"]
    assert meter.calls == Azure.calls_per_comparison == 3


@pytest.mark.parametrize(("pair", "calls"), [(("nobody", "eileen"), 1), (("eileen", "nobody"), 2)])
def test_no_face_is_an_answer(server: Any, photos: SimpleNamespace, pair: tuple[str, str], calls: int) -> None:
    found = Azure(Meter()).compare(*(getattr(photos, name) for name in pair))
    assert not found.found and not found.matches and found.similarity is None
    assert len(server.requests) == calls


# (status, body, headers) of every answer, the error, what it says, and how many tries that takes.
REFUSED: dict[str, tuple[tuple[Any, ...], type[Exception], str, int]] = {
    "throttled": ((429, error("429", "Rate limit is exceeded."), {"Retry-After": "0"}), ServiceBusy, "try later", 2),
    "server error": ((503, error("ServiceUnavailable", "Service is down.")), ServiceBusy, "503", 2),
    "a proxy's page": ((502, b"<html>Bad gateway</html>"), ServiceBusy, "502", 2),
    "bad key": ((401, error("401", "Access denied.")), BadCredentials, "FACE_APIKEY", 1),
    "not approved": ((403, error("UnsupportedFeature", "missing approval")), BadCredentials, "Limited Access", 1),
    "bad picture": ((400, error("InvalidImage", "Decoding error.")), ServiceError, "Decoding error", 1),
    "moved": ((307, b"", {"Location": "/elsewhere"}), ServiceError, "307", 1),
    "not JSON": ((200, b"OK"), ServiceError, "interface may have changed", 1),
    "other JSON": ((200, {"faces": 1}), ServiceError, "interface may have changed", 1),
    "face without id": ((200, [{"faceRectangle": {}}]), ServiceError, "interface may have changed", 1),
}


@pytest.mark.parametrize("case", REFUSED)
def test_errors_are_typed_and_only_some_are_tried_again(
    server: Any, photos: SimpleNamespace, reply: type, case: str
) -> None:
    answer, kind, says, tries = REFUSED[case]
    server.faults = [reply(*answer)] * 9
    meter = Meter()
    with pytest.raises(kind, match=says) as caught:
        Azure(meter).compare(photos.eileen, photos.again)
    assert type(caught.value) is kind and "\n" not in str(caught.value)
    assert len(server.requests) == meter.calls == tries


@pytest.mark.parametrize("confidence", [None, "0.9", True, 1.5, -0.1, float("nan")])
def test_only_a_confidence_from_0_to_1_counts(
    serve: Callable, photos: SimpleNamespace, reply: type, monkeypatch: pytest.MonkeyPatch, confidence: Any
) -> None:
    def speak(request: Any) -> Any:
        body = [{"faceId": "a"}] if request.path.endswith("detect") else {"isIdentical": 1, "confidence": confidence}
        return reply(200, body)

    monkeypatch.setenv("FACE_ENDPOINT", serve(speak).endpoint)
    with pytest.raises(ServiceError, match="interface may have changed"):
        Azure(Meter()).compare(photos.eileen, photos.again)


def test_a_throttled_call_is_tried_again_when_the_service_says(
    server: Any, photos: SimpleNamespace, reply: type
) -> None:
    server.faults = [reply(429, error("429", "Rate limit is exceeded."), {"Retry-After": "1"})]
    assert Azure(Meter()).compare(photos.eileen, photos.again).matches
    first, second, *_ = server.requests
    assert first.body == second.body == photos.eileen
    assert second.time - first.time >= 1


def test_waits_grow(server: Any, photos: SimpleNamespace, reply: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Azure, "first_wait_s", 0.1)
    monkeypatch.setattr(Azure, "tries", 4)
    server.faults = [reply(500, {})] * 3
    assert Azure(Meter()).compare(photos.eileen, photos.again).matches
    times = [request.time for request in server.requests[:4]]
    gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert [gap >= least for gap, least in zip(gaps, (0.1, 0.2, 0.4), strict=True)] == [True] * 3


def test_silence_is_given_up(
    server: Any, photos: SimpleNamespace, reply: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Azure, "timeout_s", 0.1)
    server.faults = [reply(200, [], delay=0.4)] * 2
    with pytest.raises(ServiceBusy, match="did not answer within 0.1 seconds"):
        Azure(Meter()).compare(photos.eileen, photos.again)
    assert len(server.requests) == 2


def test_nobody_there(photos: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ServiceBusy, match="cannot be reached at 127.0.0.1"):
        Azure(Meter()).compare(photos.eileen, photos.again)


def test_photos_go_over_tls_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_ENDPOINT", "http://face.example")
    with pytest.raises(UsageError, match="https only: face.example"):
        Azure(Meter())
