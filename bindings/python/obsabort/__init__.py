"""Aborts multipart uploads on Huawei Cloud's Object Storage Service (OBS): libobsabort for Python."""

from ._call import Cancellation, Seconds
from ._client import Client, Sweep
from ._errors import (
    AccessDeniedError,
    CancelledError,
    ClockSkewError,
    ConnectError,
    Error,
    InternalError,
    InvalidArgumentError,
    InvalidConfigError,
    IoError,
    NoCredentialsError,
    NoSuchBucketError,
    NoSuchUploadError,
    PartialError,
    PartsRemainError,
    ProtocolError,
    RedirectError,
    RejectedError,
    ResolveError,
    ServerError,
    StillListedError,
    ThrottledError,
    TimeoutError,
    TlsError,
)
from ._raw import c as _c
from ._types import Addressing, Bucket, Code, Credentials, CredentialSource, Outcome, Progress, Report, Signature

__version__: str = _c.version().decode()
"""Of the library that was loaded."""

__all__ = [
    "AccessDeniedError",
    "Addressing",
    "Bucket",
    "CancelledError",
    "Cancellation",
    "Client",
    "ClockSkewError",
    "Code",
    "ConnectError",
    "CredentialSource",
    "Credentials",
    "Error",
    "InternalError",
    "InvalidArgumentError",
    "InvalidConfigError",
    "IoError",
    "NoCredentialsError",
    "NoSuchBucketError",
    "NoSuchUploadError",
    "Outcome",
    "PartialError",
    "PartsRemainError",
    "Progress",
    "ProtocolError",
    "RedirectError",
    "RejectedError",
    "Report",
    "ResolveError",
    "Seconds",
    "ServerError",
    "Signature",
    "StillListedError",
    "Sweep",
    "ThrottledError",
    "TimeoutError",
    "TlsError",
]
