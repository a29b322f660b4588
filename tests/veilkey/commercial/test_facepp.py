"""Face++, against a server that speaks version 3 of its Compare API."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from veilkey.commercial import Meter
from veilkey.commercial.facepp import FacePlusPlus
from veilkey.errors import BadCredentials, ServiceBusy, ServiceError, UnreadablePhoto

THRESHOLDS = {"1e-3": 62.327, "1e-4": 69.101, "1e-5": 73.975}


@pytest.fixture
def server(serve: Callable, people: dict, keys: dict, reply: type) -> Any:
    def speak(request: Any) -> Any:
        assert request.path == "/facepp/v3/compare"
        form = request.form()
        if (form["api_key"], form["api_secret"]) != tuple(keys[f"FACEPP_API_{name}"].encode() for name in KEY_PARTS):
            return reply(401, {"error_message": "AUTHENTICATION_ERROR", "request_id": "1", "time_used": 2})
        who = [people.get(form[name]) for name in ("image_file1", "image_file2")]
        faces = [[{"face_token": name, "face_rectangle": {}}] if name else [] for name in who]
        answer = {"request_id": "1", "time_used": 473, "image_id1": "a", "image_id2": "b"}
        answer |= {"faces1": faces[0], "faces2": faces[1]}
        if all(who):
            answer |= {"confidence": 96.46 if who[0] == who[1] else 41.5, "thresholds": THRESHOLDS}
        return reply(200, answer)

    return serve(speak)


KEY_PARTS = ("KEY", "SECRET")


@pytest.mark.parametrize(("other", "similarity", "matches"), [("again", 0.9646, True), ("stranger", 0.415, False)])
def test_it_compares_at_the_threshold_that_comes_with_the_answer(
    server: Any, photos: SimpleNamespace, other: str, similarity: float, matches: bool
) -> None:
    found = FacePlusPlus(Meter(), server.endpoint).compare(photos.eileen, getattr(photos, other))
    assert found.similarity == pytest.approx(similarity) and found.matches is matches
    assert found.threshold == pytest.approx(0.69101)
    assert len(server.requests) == FacePlusPlus.calls_per_comparison == 1


@pytest.mark.parametrize("pair", [("nobody", "eileen"), ("eileen", "nobody"), ("nobody", "nobody")])
def test_no_face_is_an_answer(server: Any, photos: SimpleNamespace, pair: tuple[str, str]) -> None:
    found = FacePlusPlus(Meter(), server.endpoint).compare(*(getattr(photos, name) for name in pair))
    assert not found.found and not found.matches


FACES = {"faces1": [{"face_token": "a"}], "faces2": [{"face_token": "b"}]}
# (status, body) of every answer, the error, what it says, and how many tries that takes.
REFUSED: dict[str, tuple[tuple[Any, ...], type[Exception], str, int]] = {
    "throttled": ((403, {"error_message": "CONCURRENCY_LIMIT_EXCEEDED"}), ServiceBusy, "try later", 2),
    "server error": ((500, {"error_message": "INTERNAL_ERROR"}), ServiceBusy, "INTERNAL_ERROR", 2),
    "bad keys": ((401, {"error_message": "AUTHENTICATION_ERROR"}), BadCredentials, "FACEPP_API_SECRET", 1),
    "no money": (
        (403, {"error_message": "AUTHORIZATION_ERROR:Insufficient Account Balance"}),
        BadCredentials,
        "Insufficient Account Balance",
        1,
    ),
    "bad picture": ((400, {"error_message": "INVALID_IMAGE_SIZE: image_file1"}), ServiceError, "image_file1", 1),
    "too large": ((413, b"Request Entity Too Large"), UnreadablePhoto, "make them smaller", 1),
    "not JSON": ((200, b"{"), ServiceError, "interface may have changed", 1),
    "a list": ((200, []), ServiceError, "interface may have changed", 1),
    "faces, no confidence": ((200, {**FACES, "thresholds": THRESHOLDS}), ServiceError, "interface may have changed", 1),
    "no thresholds": ((200, {**FACES, "confidence": 50.0}), ServiceError, "interface may have changed", 1),
    "over 100": ((200, {**FACES, "confidence": 101.0, "thresholds": THRESHOLDS}), ServiceError, "may have changed", 1),
}


@pytest.mark.parametrize("case", REFUSED)
def test_errors_are_typed_and_only_some_are_tried_again(
    server: Any, photos: SimpleNamespace, reply: type, case: str
) -> None:
    answer, kind, says, tries = REFUSED[case]
    server.faults = [reply(*answer)] * 9
    meter = Meter()
    with pytest.raises(kind, match=says) as caught:
        FacePlusPlus(meter, server.endpoint).compare(photos.eileen, photos.again)
    assert type(caught.value) is kind
    assert len(server.requests) == meter.calls == tries


def test_a_throttled_call_is_tried_again(server: Any, photos: SimpleNamespace, reply: type) -> None:
    server.faults = [reply(403, {"error_message": "CONCURRENCY_LIMIT_EXCEEDED"})]
    assert FacePlusPlus(Meter(), server.endpoint).compare(photos.eileen, photos.again).matches


def test_silence_is_given_up(
    server: Any, photos: SimpleNamespace, reply: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FacePlusPlus, "timeout_s", 0.1)
    server.faults = [reply(200, {}, delay=0.4)] * 2
    with pytest.raises(ServiceBusy, match="did not answer"):
        FacePlusPlus(Meter(), server.endpoint).compare(photos.eileen, photos.again)
