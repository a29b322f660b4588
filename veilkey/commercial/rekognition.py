"""Amazon Rekognition: CompareFaces, through boto3, which signs, retries and finds the credentials.

Source: Amazon Rekognition API reference (CompareFaces), developer guide (guidelines and quotas).
"""

from typing import Any

from veilkey.commercial.base import Comparison, Limits, Service
from veilkey.commercial.meter import Meter
from veilkey.errors import BadCredentials, ServiceBusy, ServiceError, UnreadablePhoto

_BUSY = {"InternalServerError", "ProvisionedThroughputExceededException", "ThrottlingException"}
_DENIED = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "SubscriptionRequiredException",
    "UnrecognizedClientException",
}
_BAD_PICTURE = {"ImageTooLargeException", "InvalidImageFormatException"}


class Rekognition(Service):
    """Compares the largest face of the first photo with each face of the second: the best similarity counts.

    Credentials, region and endpoint are boto3's usual ones: environment, profile or role, AWS_ENDPOINT_URL_REKOGNITION.
    """

    name = "rekognition"
    title = "Amazon Rekognition"
    extra = "veilkey[rekognition]"
    packages = ("boto3",)
    environment = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    usd_per_call = 0.001
    price_source = "Amazon's list price, US East, first million images a month, as quoted in 2019 and 2026"
    calls_per_comparison = 1
    calls_per_second = 5.0  # within the quotas that accounts start with
    threshold = 0.8
    scale = "Similarity, 0 to 100; 80 is CompareFaces' default SimilarityThreshold"
    limits = Limits(most_bytes=5_242_880, least_side=80)

    def __init__(self, meter: Meter) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        super().__init__(meter)
        try:
            session = boto3.Session()
            if session.get_credentials() is None or session.region_name is None:
                raise BadCredentials(self._advice())
            config = Config(
                connect_timeout=self.timeout_s,
                read_timeout=self.timeout_s,
                retries={"mode": "standard", "total_max_attempts": self.tries},
            )
            self._client = session.client(self.name, config=config)
        except BotoCoreError as error:
            raise BadCredentials(f"{self._advice()} ({type(error).__name__})") from None
        # Once a try, retries included.
        self._client.meta.events.register("before-send.rekognition.CompareFaces", self._on_send)

    def _on_send(self, **event: Any) -> None:
        self._before_call()

    def _ask(self, first: bytes, second: bytes) -> Comparison:
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

        try:
            answer = self._client.compare_faces(
                SourceImage={"Bytes": first}, TargetImage={"Bytes": second}, SimilarityThreshold=0.0
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code == "InvalidParameterException":
                # So Amazon says that there is no face. What else it could mean was checked before: format and size.
                return self._no_face()
            raise self._refused(code, status) from None
        except (ConnectionError, HTTPClientError) as error:
            raise ServiceBusy(f"{self.title} did not answer ({type(error).__name__}): try later") from None
        except BotoCoreError as error:
            raise ServiceError(f"{self.title}: the request failed ({type(error).__name__})") from None
        return self._compared(answer)

    def _compared(self, answer: dict[str, Any]) -> Comparison:
        matches, others = answer.get("FaceMatches"), answer.get("UnmatchedFaces")
        if not isinstance(matches, list) or not isinstance(others, list):
            raise self._unexpected()
        if matches:
            return Comparison(
                max(self._similarity(match.get("Similarity"), 100.0) for match in matches), self.threshold
            )
        return Comparison(0.0, self.threshold) if others else self._no_face()

    def _refused(self, code: str, status: int) -> Exception:
        if code in _BUSY or status == 429 or status >= 500:
            return ServiceBusy(f"{self.title} is busy or broken ({status} {code}): try later")
        if code in _DENIED:
            return BadCredentials(f"{self._advice()} ({code})")
        if code in _BAD_PICTURE:
            return UnreadablePhoto(f"{self.title} does not take this picture ({code}): save it anew, smaller")
        return ServiceError(f"{self.title} refused the request ({status} {code})")

    def _advice(self) -> str:
        names = ", ".join(self.environment)
        return f"{self.title} needs credentials that allow rekognition:CompareFaces and a region: set {names}"
