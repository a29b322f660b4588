"""Amazon Rekognition, through the real boto3, against a server that speaks CompareFaces in AWS JSON 1.1."""

import base64
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from veilkey.commercial import Meter
from veilkey.commercial.rekognition import Rekognition
from veilkey.errors import BadCredentials, CallsSpent, ServiceBusy, ServiceError, UnreadablePhoto

pytest.importorskip("boto3", reason="boto3 is not installed")

FACE = {"BoundingBox": {"Width": 0.4, "Height": 0.5, "Left": 0.3, "Top": 0.2}, "Confidence": 99.9}


def failed(kind: str) -> dict[str, str]:
    return {"__type": kind, "Message": "what Amazon says about it"}


@pytest.fixture
def server(serve: Callable, people: dict, keys: dict, reply: type, monkeypatch: pytest.MonkeyPatch) -> Any:
    def speak(request: Any) -> Any:
        assert request.headers["X-Amz-Target"] == "RekognitionService.CompareFaces"
        if f"Credential={keys['AWS_ACCESS_KEY_ID']}/" not in request.headers["Authorization"]:
            return reply(400, failed("UnrecognizedClientException"))
        asked = request.json()
        assert asked["SimilarityThreshold"] == 0
        who = [people.get(base64.b64decode(asked[name]["Bytes"])) for name in ("SourceImage", "TargetImage")]
        if None in who:
            return reply(400, failed("InvalidParameterException"))
        best = 98.7 if who[0] == who[1] else 3.2
        matches = [{"Similarity": similarity, "Face": FACE} for similarity in (best, 0.4)]
        return reply(200, {"SourceImageFace": FACE, "FaceMatches": matches, "UnmatchedFaces": []})

    found = serve(speak)
    monkeypatch.setenv("AWS_ENDPOINT_URL_REKOGNITION", found.endpoint)
    return found


@pytest.mark.parametrize(("other", "similarity", "matches"), [("again", 0.987, True), ("stranger", 0.032, False)])
def test_the_best_similarity_counts(
    server: Any, photos: SimpleNamespace, other: str, similarity: float, matches: bool
) -> None:
    meter = Meter()
    found = Rekognition(meter).compare(photos.eileen, getattr(photos, other))
    assert found.similarity == pytest.approx(similarity) and found.matches is matches and found.threshold == 0.8
    assert len(server.requests) == meter.calls == Rekognition.calls_per_comparison == 1


@pytest.mark.parametrize("pair", [("nobody", "eileen"), ("eileen", "nobody")])
def test_no_face_is_an_answer(server: Any, photos: SimpleNamespace, pair: tuple[str, str]) -> None:
    found = Rekognition(Meter()).compare(*(getattr(photos, name) for name in pair))
    assert not found.found and not found.matches


@pytest.mark.parametrize(("others", "similarity"), [([FACE], 0.0), ([], None)])
def test_faces_that_do_not_match_at_all(
    server: Any, photos: SimpleNamespace, reply: type, others: list, similarity: float | None
) -> None:
    server.faults = [reply(200, {"SourceImageFace": FACE, "FaceMatches": [], "UnmatchedFaces": others})]
    assert Rekognition(Meter()).compare(photos.eileen, photos.again).similarity == similarity


# (status, body) of every answer, the error, what it says, and how many tries that takes.
REFUSED: dict[str, tuple[tuple[Any, ...], type[Exception], str, int]] = {
    "throttled": ((400, failed("ThrottlingException")), ServiceBusy, "try later", 2),
    "over quota": ((400, failed("ProvisionedThroughputExceededException")), ServiceBusy, "try later", 2),
    "server error": ((500, failed("InternalServerError")), ServiceBusy, "InternalServerError", 2),
    "bad keys": ((400, failed("UnrecognizedClientException")), BadCredentials, "AWS_SECRET_ACCESS_KEY", 1),
    "bad signature": ((400, failed("InvalidSignatureException")), BadCredentials, "AWS_SECRET_ACCESS_KEY", 1),
    "not allowed": ((400, failed("AccessDeniedException")), BadCredentials, "rekognition:CompareFaces", 1),
    "bad picture": ((400, failed("InvalidImageFormatException")), UnreadablePhoto, "save it anew", 1),
    "other": ((400, failed("ResourceNotFoundException")), ServiceError, "ResourceNotFoundException", 1),
    "not JSON": ((200, b"<html>"), ServiceError, "interface may have changed", 1),
    "no faces": ((200, {"SourceImageFace": FACE}), ServiceError, "interface may have changed", 1),
    "over 100": (
        (200, {"FaceMatches": [{"Similarity": 101.0}], "UnmatchedFaces": []}),
        ServiceError,
        "interface may have changed",
        1,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_errors_are_typed_and_only_some_are_tried_again(
    server: Any, photos: SimpleNamespace, reply: type, case: str
) -> None:
    answer, kind, says, tries = REFUSED[case]
    server.faults = [reply(*answer)] * 9
    meter = Meter()
    with pytest.raises(kind, match=says) as caught:
        Rekognition(meter).compare(photos.eileen, photos.again)
    assert type(caught.value) is kind
    assert len(server.requests) == meter.calls == tries


def test_retries_of_boto_count_too(server: Any, photos: SimpleNamespace, reply: type) -> None:
    server.faults = [reply(400, failed("ThrottlingException"))] * 9
    with pytest.raises(CallsSpent, match="1 of 1 calls"):
        Rekognition(Meter(max_calls=1)).compare(photos.eileen, photos.again)
    assert len(server.requests) == 1


def test_silence_is_given_up(
    server: Any, photos: SimpleNamespace, reply: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rekognition, "timeout_s", 0.1)
    server.faults = [reply(200, {}, delay=0.4)] * 2
    with pytest.raises(ServiceBusy, match="did not answer"):
        Rekognition(Meter()).compare(photos.eileen, photos.again)
    assert len(server.requests) == 2


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"])
def test_keys_and_region_are_needed(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(BadCredentials, match=f"set .*{missing}"):
        Rekognition(Meter())
