"""What the services without a client library of their own share: one request, its retries, its errors.

urllib3's own `Retry` sees status codes only, and two services say that they are busy in the body, one of them with
status 200. So the retries are made here, one level up, where every try also passes the meter.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from veilkey.commercial.base import Service
from veilkey.commercial.meter import Meter
from veilkey.errors import BadCredentials, ServiceBusy, ServiceError, UnreadablePhoto, UsageError

if TYPE_CHECKING:
    import requests
    import tenacity

MOST_RETRY_AFTER_S = 60.0


class HttpService(Service):
    """A service that is spoken to with `requests`.

    endpoint: scheme and host, to which the paths are added. secrets: what must not appear in a message.
    """

    packages = ("requests", "tenacity")

    busy_codes: ClassVar[frozenset[str]] = frozenset()
    """Error codes, beside status 429 and 5xx, after which a call may be tried again."""
    denied_codes: ClassVar[frozenset[str]] = frozenset()
    """Error codes, beside status 401, that the credentials are to blame for."""
    denied_advice: ClassVar[str]
    """What to do about those."""

    def __init__(self, meter: Meter, endpoint: str, secrets: list[str]) -> None:
        import requests

        super().__init__(meter)
        self._endpoint = _private(endpoint)
        self._secrets = secrets
        self._session = requests.Session()

    @abstractmethod
    def _error(self, body: Any) -> tuple[str, str]:
        """The service's own error code and message in an answer, both empty where there is none.

        body: the answer's JSON, None where it is not JSON.
        """

    def _post(self, path: str, counted: bool = True, **request: Any) -> Any:
        """POST what `requests` takes as keywords, again after a while if the service is busy; the answer's JSON."""
        import tenacity

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ServiceBusy),
            stop=tenacity.stop_after_attempt(self.tries),
            wait=self._wait,
            reraise=True,
        )
        return retrying(self._post_once, path, counted, request)

    def _wait(self, state: "tenacity.RetryCallState") -> float:
        """Seconds until the next try: doubling, with jitter, and at least what the service asks for."""
        import tenacity

        back_off = tenacity.wait_exponential_jitter(self.first_wait_s, max=20.0, jitter=self.first_wait_s)(state)
        error = state.outcome.exception() if state.outcome else None
        return max(back_off, error.retry_after) if isinstance(error, ServiceBusy) else back_off

    def _post_once(self, path: str, counted: bool, request: dict[str, Any]) -> Any:
        import requests

        if counted:
            self._before_call()
        # requests' own messages hold the address, with what is secret in it: none is passed on.
        try:
            response = self._session.post(
                self._endpoint + path,
                timeout=self.timeout_s,
                allow_redirects=False,  # a photo goes to the host that was named, and to no other
                **request,
            )
        except requests.Timeout:
            raise ServiceBusy(f"{self.title} did not answer within {self.timeout_s:g} seconds: try later") from None
        except requests.ConnectionError:
            host = urlsplit(self._endpoint).hostname
            raise ServiceBusy(f"{self.title} cannot be reached at {host}: check the network") from None
        except requests.RequestException as error:
            raise ServiceError(f"{self.title}: the request failed ({type(error).__name__})") from None
        return self._answer(response)

    def _answer(self, response: "requests.Response") -> Any:
        try:
            body = response.json()
        except ValueError:
            body = None
        status = response.status_code
        code, message = self._error(body)
        said = self._without_secrets(f"{status} {code} {message}")
        if status == 429 or status >= 500 or code in self.busy_codes:
            raise ServiceBusy(f"{self.title} is busy or broken ({said}): try later", _retry_after(response))
        if status == 401 or code in self.denied_codes:
            raise BadCredentials(f"{self.title} does not accept this ({said}): {self.denied_advice}")
        if status == 413:
            raise UnreadablePhoto(f"{self.title} does not take two pictures of this size: make them smaller")
        if status != 200 or code:
            raise ServiceError(f"{self.title} refused the request ({said})")
        if body is None:
            raise self._unexpected()
        return body

    def _without_secrets(self, text: str) -> str:
        """One line of at most 200 characters that is safe to show."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())[:200]


def _private(endpoint: str) -> str:
    """The endpoint, if photos and keys may be sent there: over TLS, or within this machine."""
    parts = urlsplit(endpoint)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise UsageError(f"photos are sent over https only: {parts.hostname or endpoint} has to be an https address")
    return endpoint.rstrip("/")


def _retry_after(response: "requests.Response") -> float:
    """Seconds that a service asks to be left alone, 0 where it does not say."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    header = response.headers.get("Retry-After")
    try:
        return min(Retry().parse_retry_after(header), MOST_RETRY_AFTER_S) if header else 0.0
    except InvalidHeader:
        return 0.0
