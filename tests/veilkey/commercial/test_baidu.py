"""Baidu, against a server that speaks its OAuth and face/v3/match, where nearly every error has status 200."""

import base64
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from veilkey.commercial import Meter
from veilkey.commercial.baidu import Baidu
from veilkey.errors import BadCredentials, ServiceBusy, ServiceError

TOKEN = "24.token-of-the-tests.2592000"


def failed(code: int, message: str) -> dict[str, Any]:
    return {"error_code": code, "error_msg": message, "log_id": 1, "timestamp": 2, "cached": 0, "result": None}


@pytest.fixture
def server(serve: Callable, people: dict, keys: dict, reply: type) -> Any:
    def speak(request: Any) -> Any:
        if request.path == "/oauth/2.0/token":
            assert request.query["grant_type"] == "client_credentials"
            if request.query["client_id"] != keys["BAIDU_API_KEY"]:
                return reply(401, {"error": "invalid_client", "error_description": "unknown client id"})
            return reply(200, {"access_token": TOKEN, "expires_in": 2592000, "scope": "public"})
        assert request.path == "/rest/2.0/face/v3/match" and request.headers["Content-Type"] == "application/json"
        if request.query["access_token"] != TOKEN:
            return reply(200, {"error_code": 110, "error_msg": "Access token invalid or no longer valid"})
        pictures = request.json()
        assert [picture["image_type"] for picture in pictures] == ["BASE64", "BASE64"]
        who = [people.get(base64.b64decode(picture["image"])) for picture in pictures]
        if None in who:
            return reply(200, failed(222202, "pic not has face"))
        score = 93.5 if who[0] == who[1] else 17.25
        result = {"score": score, "face_list": [{"face_token": "a"}, {"face_token": "b"}]}
        return reply(200, {**failed(0, "SUCCESS"), "result": result})

    return serve(speak)


@pytest.mark.parametrize(("other", "similarity", "matches"), [("again", 0.935, True), ("stranger", 0.1725, False)])
def test_it_exchanges_the_keys_once_and_matches(
    server: Any, photos: SimpleNamespace, other: str, similarity: float, matches: bool
) -> None:
    meter = Meter()
    baidu = Baidu(meter, server.endpoint)
    for _ in range(2):
        found = baidu.compare(photos.eileen, getattr(photos, other))
        assert found.similarity == pytest.approx(similarity) and found.matches is matches and found.threshold == 0.8
    assert [request.path.rsplit("/", 1)[1] for request in server.requests] == ["token", "match", "match"]
    assert meter.calls == 2


@pytest.mark.parametrize("pair", [("nobody", "eileen"), ("eileen", "nobody")])
def test_no_face_is_an_answer(server: Any, photos: SimpleNamespace, pair: tuple[str, str]) -> None:
    found = Baidu(Meter(), server.endpoint).compare(*(getattr(photos, name) for name in pair))
    assert not found.found and not found.matches


# (status, body) of every answer to a match, the error, what it says, and how many tries that takes.
REFUSED: dict[str, tuple[tuple[Any, ...], type[Exception], str, int]] = {
    "throttled": ((200, failed(18, "Open api qps request limit reached")), ServiceBusy, "qps request limit", 2),
    "down": ((200, failed(2, "Service temporarily unavailable")), ServiceBusy, "try later", 2),
    "server error": ((500, b"internal error"), ServiceBusy, "500", 2),
    "token expired": ((200, failed(111, "Access token expired")), BadCredentials, "BAIDU_SECRET_KEY", 1),
    "not open": ((200, failed(6, "no permission to access data")), BadCredentials, "no permission", 1),
    "day's quota": ((200, failed(17, "Open api daily request limit reached")), ServiceError, "daily request limit", 1),
    "face too small": ((200, failed(222213, "face size is too small")), ServiceError, "face size is too small", 1),
    "not JSON": ((200, b""), ServiceError, "interface may have changed", 1),
    "no result": ((200, failed(0, "SUCCESS")), ServiceError, "interface may have changed", 1),
    "score in words": ((200, {"error_code": 0, "result": {"score": "93"}}), ServiceError, "may have changed", 1),
}


@pytest.mark.parametrize("case", REFUSED)
def test_errors_are_typed_and_only_some_are_tried_again(
    server: Any, photos: SimpleNamespace, reply: type, case: str
) -> None:
    answer, kind, says, tries = REFUSED[case]
    server.faults = [reply(200, {"access_token": TOKEN}), *[reply(*answer)] * 9]
    meter = Meter()
    with pytest.raises(kind, match=says) as caught:
        Baidu(meter, server.endpoint).compare(photos.eileen, photos.again)
    assert type(caught.value) is kind
    assert len(server.requests) - 1 == meter.calls == tries


def test_wrong_keys_get_no_token_and_send_no_photo(
    server: Any, photos: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAIDU_API_KEY", "wrong")
    with pytest.raises(BadCredentials, match="unknown client id"):
        Baidu(Meter(), server.endpoint).compare(photos.eileen, photos.again)
    assert [request.body for request in server.requests] == [b""]


@pytest.mark.parametrize("body", [{}, {"access_token": ""}, {"access_token": 5}, []])
def test_a_token_that_is_none(server: Any, photos: SimpleNamespace, reply: type, body: Any) -> None:
    server.faults = [reply(200, body)]
    with pytest.raises(ServiceError, match="interface may have changed"):
        Baidu(Meter(), server.endpoint).compare(photos.eileen, photos.again)


def test_silence_is_given_up(
    server: Any, photos: SimpleNamespace, reply: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Baidu, "timeout_s", 0.1)
    server.faults = [reply(200, {"access_token": TOKEN}), *[reply(200, {}, delay=0.4)] * 2]
    with pytest.raises(ServiceBusy, match="did not answer"):
        Baidu(Meter(), server.endpoint).compare(photos.eileen, photos.again)
