"""An exception for each code."""

from __future__ import annotations

import builtins
from typing import Dict, Optional, Type

from ._types import Code, Outcome, Report


class Error(Exception):
    """Something could not be done. Each code has a subclass; a code that is newer than this package has this class."""

    def __init__(self, code: int, message: str, outcome: Optional[Outcome] = None, report: Optional[Report] = None) -> None:
        # Not super(): OSError, a base of TimeoutError, would take code and message for an errno and its text.
        Exception.__init__(self, code, message, outcome, report)
        self.code = Code(code)
        self.message = message
        """One line: the code's name, what happened and, as far as known, what to do."""
        self.outcome = outcome
        """Of abort(): all that is known of the upload."""
        self.report = report
        """Of abort_many() and abort_stale(): what was done nevertheless."""

    def __str__(self) -> str:
        return self.message


class InvalidArgumentError(Error, ValueError):
    """An argument is empty, too long, contains U+0000 or a lone surrogate, or is outside its limits. Nothing was sent."""


class InvalidConfigError(Error, ValueError):
    """The endpoint, the CA file, the proxy URL or another setting can't be used."""


class NoCredentialsError(Error):
    """No credentials were set, or their source failed."""


class ResolveError(Error):
    """The host name of the service or of the proxy did not resolve."""


class ConnectError(Error):
    """No TCP connection could be opened."""


class TlsError(Error):
    """The TLS handshake or the verification of the server's certificate failed."""


class TimeoutError(Error, builtins.TimeoutError):
    """The time ran out, or the last attempt got no response in time. If a request was sent, the upload may be gone."""


class IoError(Error):
    """The connection broke during the exchange. The upload may be gone."""


class ProtocolError(Error):
    """The response is not one of OBS, or a listing can't be relied on."""


class CancelledError(Error):
    """The call was cancelled. If a request was sent, the upload may be gone."""


class AccessDeniedError(Error):
    """403: the access key, the signature or the policy was refused."""


class NoSuchUploadError(Error):
    """The upload was aborted or completed before the call, or the upload id is wrong."""


class NoSuchBucketError(Error):
    """404 NoSuchBucket."""


class ClockSkewError(Error):
    """403 RequestTimeTooSkewed, even after the clock was corrected."""


class ThrottledError(Error):
    """429 or 503 until the retries were used up."""


class ServerError(Error):
    """A 5xx status other than 503 until the retries were used up."""


class RedirectError(Error):
    """A redirect that is not safe to follow. The message names its target."""


class RejectedError(Error):
    """Any other 4xx status."""


class PartsRemainError(Error):
    """Confirmation was asked for, and parts were still listed."""


class PartialError(Error):
    """Some of many uploads could not be aborted: see `report`."""


class StillListedError(Error):
    """The service said that the upload is gone, and still lists it."""


class InternalError(Error):
    """A defect in the library. Please report it."""


CLASSES: Dict[Code, Type[Error]] = {
    Code.INVALID_ARGUMENT: InvalidArgumentError,
    Code.INVALID_CONFIG: InvalidConfigError,
    Code.NO_CREDENTIALS: NoCredentialsError,
    Code.RESOLVE: ResolveError,
    Code.CONNECT: ConnectError,
    Code.TLS: TlsError,
    Code.TIMEOUT: TimeoutError,
    Code.IO: IoError,
    Code.PROTOCOL: ProtocolError,
    Code.CANCELLED: CancelledError,
    Code.ACCESS_DENIED: AccessDeniedError,
    Code.NO_SUCH_UPLOAD: NoSuchUploadError,
    Code.NO_SUCH_BUCKET: NoSuchBucketError,
    Code.CLOCK_SKEW: ClockSkewError,
    Code.THROTTLED: ThrottledError,
    Code.SERVER: ServerError,
    Code.REDIRECT: RedirectError,
    Code.REJECTED: RejectedError,
    Code.PARTS_REMAIN: PartsRemainError,
    Code.PARTIAL: PartialError,
    Code.STILL_LISTED: StillListedError,
    Code.INTERNAL: InternalError,
}


def error(code: int, message: Optional[str], outcome: Optional[Outcome] = None, report: Optional[Report] = None) -> Error:
    """The exception for a code."""
    code = Code(code)
    return CLASSES.get(code, Error)(code, message or code.description, outcome, report)
