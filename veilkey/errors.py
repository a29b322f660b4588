"""Everything that veilkey raises on purpose, each with the exit code that the command line gives it."""

from keys.errors import KeyExists, KeyFileError

__all__ = [
    "BadCredentials",
    "BadModel",
    "CallsSpent",
    "CheckFailed",
    "ForeignKey",
    "KeyFileError",
    "MissingModel",
    "NoFace",
    "OutputExists",
    "ServiceBusy",
    "ServiceError",
    "UnreadablePhoto",
    "UsageError",
    "VeilkeyError",
    "exit_code",
]


class VeilkeyError(Exception):
    """Base of all errors outside keys/. The message is one line and says what to do."""

    exit_code = 1


class UsageError(VeilkeyError):
    """A combination of arguments that makes no sense."""

    exit_code = 2


class OutputExists(UsageError):
    """An output file is there already and --force was not given."""


class NoFace(VeilkeyError):
    """No face was found where one has to be protected."""

    exit_code = 3


class ForeignKey(VeilkeyError):
    """The key opens but is not this picture's, or the picture was edited."""

    exit_code = 4


class UnreadablePhoto(VeilkeyError):
    """The file is no picture that veilkey can read exactly."""

    exit_code = 5


class MissingModel(VeilkeyError):
    """A model file that veilkey needs is not installed."""


class BadModel(VeilkeyError):
    """A model file of the user's own, or the file that describes it, cannot be used."""


class CheckFailed(VeilkeyError):
    """The protected picture did not restore in memory, so nothing was written."""


class ServiceError(VeilkeyError):
    """A commercial recognizer refused a request, or answered something else than its documentation says."""


class ServiceBusy(ServiceError):
    """A commercial recognizer throttles, is broken or silent. `retry_after`: the wait in seconds that it asks for."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BadCredentials(ServiceError):
    """A commercial recognizer's keys are missing or wrong, or do not allow this call."""


class CallsSpent(UsageError):
    """More calls to commercial recognizers than --max-calls allows; nothing more was sent."""


def exit_code(error: BaseException) -> int:
    """Exit code of the command line for `error`."""
    if isinstance(error, KeyExists):
        return 2
    if isinstance(error, KeyFileError):
        return 4
    return error.exit_code if isinstance(error, VeilkeyError) else 1
