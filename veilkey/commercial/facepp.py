"""Face++ (Megvii): compare.

Source: Face++ "Compare API" version 3.0: request, answer, limits and error messages.
"""

from typing import Any

from veilkey.commercial.base import Comparison, Limits
from veilkey.commercial.http_service import HttpService
from veilkey.commercial.meter import Meter


class FacePlusPlus(HttpService):
    """Compares the largest face of each photo. Face++ documents that it wants faces from 150x150 pixels on.

    endpoint: keys of the Chinese console are valid at https://api-cn.faceplusplus.com only.
    """

    name = "facepp"
    title = "Face++ Compare"
    extra = "veilkey[facepp]"
    environment = ("FACEPP_API_KEY", "FACEPP_API_SECRET")
    usd_per_call = None
    price_source = "see the Face++ price list; a free key exists"
    calls_per_comparison = 1
    calls_per_second = 1.0  # what a free key is sure of
    threshold = 0.718
    scale = (
        "confidence, 0 to 100; Face++ sends its thresholds with each answer, and a comparison carries that for an "
        "error rate of 1e-4; 71.8 is that of the documentation's example"
    )
    limits = Limits(most_bytes=2_000_000, least_side=48, most_long_side=4096, most_short_side=4096)

    busy_codes = frozenset({"CONCURRENCY_LIMIT_EXCEEDED"})
    denied_codes = frozenset({"AUTHENTICATION_ERROR", "AUTHORIZATION_ERROR"})
    denied_advice = "check FACEPP_API_KEY and FACEPP_API_SECRET, and the account's balance"

    def __init__(self, meter: Meter, endpoint: str = "https://api-us.faceplusplus.com") -> None:
        self._key, self._secret = self._credentials()
        super().__init__(meter, endpoint, [self._key, self._secret])

    def _ask(self, first: bytes, second: bytes) -> Comparison:
        # Files, not the base64 that the interface takes as well: a third less to send, and the whole request counts
        # for Face++'s limit of 2 MB.
        answer = self._post(
            "/facepp/v3/compare",
            data={"api_key": self._key, "api_secret": self._secret},
            files={"image_file1": ("first", first), "image_file2": ("second", second)},
        )
        if not isinstance(answer, dict):
            raise self._unexpected()
        if "confidence" not in answer and [] in (answer.get("faces1"), answer.get("faces2")):
            return self._no_face()
        thresholds = answer.get("thresholds")
        if not isinstance(thresholds, dict):
            raise self._unexpected()
        return Comparison(
            self._similarity(answer.get("confidence"), 100.0), self._similarity(thresholds.get("1e-4"), 100.0)
        )

    def _error(self, body: Any) -> tuple[str, str]:
        message = body.get("error_message", "") if isinstance(body, dict) else ""
        code, _, rest = str(message).partition(":")
        return code.strip(), rest.strip()
