"""Azure Face: detect in each photo, then verify face to face.

Microsoft grants verification only after an application ("Limited Access"); without it both calls answer 403.

Source: Azure Face REST API v1.0 ("Face - Detect", "Face - Verify"), its page of error codes, and its page of quotas.
"""

from typing import Any

from veilkey.commercial.base import Comparison, Limits
from veilkey.commercial.http_service import HttpService
from veilkey.commercial.meter import Meter

# Seconds that Microsoft may keep the features of a face (60 at least): long enough for the retries of one comparison.
FACE_ID_SECONDS = 600


class Azure(HttpService):
    """Compares the largest face of each photo; faces from 36x36 pixels on."""

    name = "azure"
    title = "Azure Face"
    extra = "veilkey[azure]"
    environment = ("FACE_ENDPOINT", "FACE_APIKEY")
    usd_per_call = 0.001
    price_source = "Microsoft's list price, standard tier, first million calls a month, as quoted in 2019"
    calls_per_comparison = 3
    calls_per_second = 10.0  # quota of the standard tier; the free tier's 20 a minute is met by waiting as it asks
    threshold = 0.5
    scale = "confidence, 0 to 1; isIdentical is set from 0.5 on"
    limits = Limits(most_bytes=6_000_000)

    denied_codes = frozenset({"UnsupportedFeature"})
    denied_advice = (
        "check FACE_ENDPOINT and FACE_APIKEY, and whether Microsoft has granted you face verification "
        "(Limited Access, to be applied for at https://aka.ms/facerecognition)"
    )

    def __init__(self, meter: Meter) -> None:
        endpoint, key = self._credentials()
        super().__init__(meter, endpoint, [key])
        self._session.headers["Ocp-Apim-Subscription-Key"] = key

    def _ask(self, first: bytes, second: bytes) -> Comparison:
        faces = []
        for photo in (first, second):
            face = self._detect(photo)
            if face is None:
                return self._no_face()
            faces.append(face)
        answer = self._post("/face/v1.0/verify", json={"faceId1": faces[0], "faceId2": faces[1]})
        if not isinstance(answer, dict):
            raise self._unexpected()
        return Comparison(self._similarity(answer.get("confidence"), 1.0), self.threshold)

    def _detect(self, photo: bytes) -> str | None:
        """Id of the largest face; None where there is none."""
        answer = self._post(
            "/face/v1.0/detect",
            params={
                "returnFaceId": "true",
                "detectionModel": "detection_03",
                "recognitionModel": "recognition_04",
                "faceIdTimeToLive": str(FACE_ID_SECONDS),
            },
            data=photo,
            headers={"Content-Type": "application/octet-stream"},
        )
        if answer == []:
            return None
        # Largest first, as documented.
        face = answer[0].get("faceId") if isinstance(answer, list) and isinstance(answer[0], dict) else None
        if not isinstance(face, str):
            raise self._unexpected()
        return face

    def _error(self, body: Any) -> tuple[str, str]:
        error = body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict):
            return "", ""
        return str(error.get("code", "")), str(error.get("message", ""))
