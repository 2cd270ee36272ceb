"""Codes, choices and plain copies of what the library gives out."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, Optional, Tuple

from ._raw import c


class Code(enum.IntEnum):
    """How an abort ended. A newer library may have codes that are not named here: they are Code(number), too."""

    OK = 0
    INVALID_ARGUMENT = 10
    INVALID_CONFIG = 11
    NO_CREDENTIALS = 12
    RESOLVE = 20
    CONNECT = 21
    TLS = 22
    TIMEOUT = 23
    IO = 24
    PROTOCOL = 25
    CANCELLED = 26
    ACCESS_DENIED = 30
    NO_SUCH_UPLOAD = 31
    NO_SUCH_BUCKET = 32
    CLOCK_SKEW = 33
    THROTTLED = 34
    SERVER = 35
    REDIRECT = 36
    REJECTED = 37
    PARTS_REMAIN = 38
    PARTIAL = 39
    STILL_LISTED = 40
    INTERNAL = 90

    @classmethod
    def _missing_(cls, value: object) -> Optional[Code]:
        if not isinstance(value, int):
            return None
        unknown = int.__new__(cls, value)
        unknown._name_, unknown._value_ = f"UNKNOWN_{value}", value
        return unknown

    @property
    def description(self) -> str:
        """A sentence, from the library."""
        text: bytes = c.strerror(self)
        return text.decode()


class CredentialSource(enum.IntEnum):
    """Where a client gets its credentials itself."""

    ENV = 1
    """OBS_ACCESS_KEY_ID, OBS_SECRET_ACCESS_KEY and OBS_SECURITY_TOKEN, read when the client is made."""
    ECS = 2
    """The agency of the Elastic Cloud Server that the program runs on."""
    CHAIN = 3
    """ENV if any of its variables is set, otherwise ECS."""


class Addressing(enum.IntEnum):
    """How the bucket appears in a URL."""

    AUTO = 0
    VIRTUAL_HOST = 1
    PATH = 2
    CUSTOM_DOMAIN = 3


class Signature(enum.IntEnum):
    """The scheme of the Authorization header."""

    AUTO = 0
    OBS = 1
    AWS_V2 = 2


class Credentials(NamedTuple):
    """Static credentials. Their repr shows the access key alone."""

    access_key: str
    secret_key: str
    security_token: Optional[str] = None

    def __repr__(self) -> str:
        return f"Credentials(access_key={self.access_key!r}, ...)"


@dataclass(frozen=True)
class Outcome:
    """All that is known about the abort of one upload."""

    code: Code
    http_status: int
    """Of the response that decided the code; 0 if none did."""
    message: Optional[str]
    """One line that begins with the code's name; None after success."""
    service_code: Optional[str]
    """Such as NoSuchUpload."""
    request_id: Optional[str]
    """What Huawei's support asks for."""
    host_id: Optional[str]
    attempts: int
    """0 exactly if nothing was sent. After TIMEOUT, IO or CANCELLED and more than 0, the upload may be gone."""
    key: Optional[str]
    upload_id: Optional[str]
    initiated: Optional[datetime]
    """By the service's list; None if it is not known."""
    index: Optional[int]
    """Which entry of the list of abort_many()."""
    parts: int
    """0 unless sweep() looked at the parts, for `idle` or `measure`."""
    bytes: int
    """Of all parts; 0 likewise."""
    last_part: Optional[datetime]
    """When the youngest part was written; None if there is none, or it is not known."""

    @classmethod
    def _copy(cls, pointer: Any) -> Outcome:
        index = c.outcome_index(pointer)
        return cls(
            code=Code(c.outcome_code(pointer)),
            http_status=c.outcome_http_status(pointer),
            message=_text(c.outcome_message(pointer)),
            service_code=_text(c.outcome_service_code(pointer)),
            request_id=_text(c.outcome_request_id(pointer)),
            host_id=_text(c.outcome_host_id(pointer)),
            attempts=c.outcome_attempts(pointer),
            key=_text(c.outcome_key(pointer)),
            upload_id=_text(c.outcome_upload_id(pointer)),
            initiated=_time(c.outcome_initiated(pointer)),
            index=None if index < 0 else index,
            parts=c.outcome_parts(pointer),
            bytes=c.outcome_bytes(pointer),
            last_part=_time(c.outcome_last_part(pointer)),
        )


@dataclass(frozen=True)
class Report:
    """The results of many aborts. Each upload is counted once: total = aborted + missing + failed + kept."""

    total: int
    aborted: int
    """Gone by this call; in a dry run: would be aborted."""
    missing: int
    """Were gone already."""
    failed: int
    kept: int
    """Too young, of unknown age, active, kept by `keep`, or not reached before the end."""
    unknown_age: int
    """Of those kept: the service does not say how old they are."""
    younger: int
    """Of those kept: initiated at the cutoff or later."""
    active: int
    """Of those kept: with a part younger than `idle`, or with parts that could not be listed."""
    throttled: int
    """Requests that the service refused because there were too many."""
    bytes: int
    """Of those aborted, with `measure` or `idle`; in a dry run: of those that would be."""
    complete: bool
    """Whether a whole last listing showed nothing left to do, and all parts could be listed."""
    failures: Tuple[Outcome, ...]
    """The first 1000 outcomes of uploads that failed."""

    @classmethod
    def _copy(cls, pointer: Any) -> Report:
        names = ("total", "aborted", "missing", "failed", "kept", "unknown_age", "younger", "active", "throttled", "bytes")
        counts = {name: getattr(c, "report_" + name)(pointer) for name in names}
        failures = (Outcome._copy(c.report_failure(pointer, i)) for i in range(c.report_failure_count(pointer)))
        return cls(**counts, complete=bool(c.report_complete(pointer)), failures=tuple(failures))


class Progress(NamedTuple):
    """What a progress callback gets: after each upload, and at least every 250 ms without an outcome."""

    outcome: Optional[Outcome]
    done: int
    """The uploads that are settled so far, those that are kept included."""
    total_so_far: int
    """The uploads that are known so far."""


class Bucket(NamedTuple):
    """A bucket of the account."""

    name: str
    location: Optional[str]
    """The region; None if the service does not tell."""


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _time(seconds: int) -> Optional[datetime]:
    return None if seconds < 0 else EPOCH + timedelta(seconds=seconds)


def _text(value: Optional[bytes]) -> Optional[str]:
    return None if value is None else value.decode()
