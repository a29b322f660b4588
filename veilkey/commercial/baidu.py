"""Baidu AI Cloud: face match, version 3.

Source: Baidu AI Cloud's documentation of face recognition ("face/v3/match", error codes) and of its OAuth tokens.
"""

import base64
import logging
from typing import Any

from veilkey.commercial.base import Comparison, Limits
from veilkey.commercial.http_service import HttpService
from veilkey.commercial.meter import Meter

NO_FACE = "222202"


class _WithoutQuery(logging.Filter):
    """Cuts the query off the addresses that urllib3 logs: Baidu wants its secret and its token there."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(part.partition("?")[0] if isinstance(part, str) else part for part in record.args)
        return True


_WITHOUT_QUERY = _WithoutQuery()


class Baidu(HttpService):
    """Compares the largest face of each photo; faces from 64x64 pixels on."""

    name = "baidu"
    title = "Baidu face match"
    extra = "veilkey[baidu]"
    environment = ("BAIDU_API_KEY", "BAIDU_SECRET_KEY")
    usd_per_call = None
    price_source = "see Baidu's price list, in CNY; 1,000 calls a month are free"
    calls_per_comparison = 1
    calls_per_second = 1.0  # of a personal account; 10 of a paying one
    threshold = 0.8
    scale = "score, 0 to 100; Baidu recommends 80"
    # 2 MB are meant after base64.
    limits = Limits(most_bytes=1_500_000, most_long_side=1920, most_short_side=1080)

    busy_codes = frozenset({"1", "2", "4", "18", "282000"})
    denied_codes = frozenset({"6", "14", "100", "110", "111", "invalid_client"})
    denied_advice = "check BAIDU_API_KEY and BAIDU_SECRET_KEY, and that face match is open to this application"

    def __init__(self, meter: Meter, endpoint: str = "https://aip.baidubce.com") -> None:
        self._key, self._secret = self._credentials()
        super().__init__(meter, endpoint, [self._key, self._secret])
        self._token: str | None = None
        logging.getLogger("urllib3.connectionpool").addFilter(_WITHOUT_QUERY)

    def _ask(self, first: bytes, second: bytes) -> Comparison:
        answer = self._post(
            "/rest/2.0/face/v3/match",
            params={"access_token": self._access_token()},
            json=[{"image": base64.b64encode(photo).decode(), "image_type": "BASE64"} for photo in (first, second)],
        )
        if not isinstance(answer, dict):
            raise self._unexpected()
        if str(answer.get("error_code")) == NO_FACE:
            return self._no_face()
        result = answer.get("result")
        if not isinstance(result, dict):
            raise self._unexpected()
        return Comparison(self._similarity(result.get("score"), 100.0), self.threshold)

    def _access_token(self) -> str:
        """The token that the keys are exchanged for, once: it is valid for 30 days."""
        if self._token is None:
            keys = {"grant_type": "client_credentials", "client_id": self._key, "client_secret": self._secret}
            answer = self._post("/oauth/2.0/token", counted=False, params=keys)
            token = answer.get("access_token") if isinstance(answer, dict) else None
            if not isinstance(token, str) or not token:
                raise self._unexpected()
            self._secrets.append(token)
            self._token = token
        return self._token

    def _error(self, body: Any) -> tuple[str, str]:
        """Baidu's errors come with status 200, those about tokens under other names."""
        if not isinstance(body, dict):
            return "", ""
        if "error" in body:
            return str(body["error"]), str(body.get("error_description", ""))
        code = str(body.get("error_code", 0))
        return ("", "") if code in ("0", NO_FACE) else (code, str(body.get("error_msg", "")))
