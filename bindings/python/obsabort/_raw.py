"""The C ABI as it is: which library, and its functions with their types. Private; the suites of the project use it for input
that the public classes refuse."""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Dict, List, Optional, Tuple


class Upload(ctypes.Structure):
    """obs_abort_upload, the one struct of the ABI."""

    _fields_ = [("key", c_char_p), ("upload_id", c_char_p)]


PROGRESS_FN = ctypes.CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64, c_void_p)
FILTER_FN = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p)
BUCKET_FN = ctypes.CFUNCTYPE(c_int32, c_char_p, c_char_p, c_void_p)
LOG_FN = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)

# Name without obs_abort_ -> result, arguments. Strings that the library gives away are c_void_p: as c_char_p, ctypes would copy
# them and lose the pointer that must be freed.
SIGNATURES: Dict[str, Tuple[Any, List[Any]]] = {
    "version": (c_char_p, []),
    "version_number": (c_uint32, []),
    "strerror": (c_char_p, [c_int32]),
    "code_name": (c_char_p, [c_int32]),
    "string_free": (None, [c_void_p]),
    "config_new": (c_void_p, []),
    "config_free": (None, [c_void_p]),
    "config_set_endpoint": (c_int32, [c_void_p, c_char_p]),
    "config_set_credentials": (c_int32, [c_void_p, c_char_p, c_char_p, c_char_p]),
    "config_set_credential_source": (c_int32, [c_void_p, c_int32]),
    "config_set_addressing": (c_int32, [c_void_p, c_int32]),
    "config_set_signature": (c_int32, [c_void_p, c_int32]),
    "config_set_connect_timeout_ms": (c_int32, [c_void_p, c_uint32]),
    "config_set_response_timeout_ms": (c_int32, [c_void_p, c_uint32]),
    "config_set_timeout_ms": (c_int32, [c_void_p, c_uint32]),
    "config_set_max_attempts": (c_int32, [c_void_p, c_uint32]),
    "config_set_max_connections": (c_int32, [c_void_p, c_uint32]),
    "config_set_ca_file": (c_int32, [c_void_p, c_char_p]),
    "config_set_client_certificate": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "config_set_proxy": (c_int32, [c_void_p, c_char_p]),
    "config_set_confirm": (c_int32, [c_void_p, c_int32]),
    "config_set_request_payer": (c_int32, [c_void_p, c_int32]),
    "config_set_user_agent": (c_int32, [c_void_p, c_char_p]),
    "config_set_log": (c_int32, [c_void_p, LOG_FN, c_void_p, c_int32]),
    "client_new": (c_int32, [c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "client_set_credentials": (c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "client_shutdown": (None, [c_void_p]),
    "client_free": (None, [c_void_p]),
    "call_new": (c_void_p, []),
    "call_set_timeout_ms": (c_int32, [c_void_p, c_uint32]),
    "call_cancel": (None, [c_void_p]),
    "call_free": (None, [c_void_p]),
    "multipart": (c_int32, [c_void_p, c_char_p, c_char_p, c_char_p, POINTER(c_int32), POINTER(c_void_p)]),
    "multipart_outcome": (c_int32, [c_void_p, c_void_p, c_char_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "many": (
        c_int32,
        [c_void_p, c_void_p, c_char_p, POINTER(Upload), c_size_t, PROGRESS_FN, c_void_p, POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "stale": (
        c_int32,
        [c_void_p, c_void_p, c_char_p, c_char_p, c_uint64, c_uint32]
        + [PROGRESS_FN, c_void_p, POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "selection_new": (c_void_p, []),
    "selection_free": (None, [c_void_p]),
    "selection_set_prefix": (c_int32, [c_void_p, c_char_p]),
    "selection_set_older_than_seconds": (c_int32, [c_void_p, c_uint64]),
    "selection_set_initiated_before": (c_int32, [c_void_p, c_int64]),
    "selection_set_idle_seconds": (c_int32, [c_void_p, c_uint64]),
    "selection_set_measure": (c_int32, [c_void_p, c_int32]),
    "selection_set_filter": (c_int32, [c_void_p, FILTER_FN, c_void_p]),
    "sweep": (
        c_int32,
        [c_void_p, c_void_p, c_char_p, c_void_p, c_uint32]
        + [PROGRESS_FN, c_void_p, POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "buckets": (c_int32, [c_void_p, c_void_p, BUCKET_FN, c_void_p, POINTER(c_void_p)]),
    "outcome_code": (c_int32, [c_void_p]),
    "outcome_http_status": (c_int32, [c_void_p]),
    "outcome_message": (c_char_p, [c_void_p]),
    "outcome_service_code": (c_char_p, [c_void_p]),
    "outcome_request_id": (c_char_p, [c_void_p]),
    "outcome_host_id": (c_char_p, [c_void_p]),
    "outcome_attempts": (c_uint32, [c_void_p]),
    "outcome_key": (c_char_p, [c_void_p]),
    "outcome_upload_id": (c_char_p, [c_void_p]),
    "outcome_initiated": (c_int64, [c_void_p]),
    "outcome_index": (c_int64, [c_void_p]),
    "outcome_parts": (c_uint64, [c_void_p]),
    "outcome_bytes": (c_uint64, [c_void_p]),
    "outcome_last_part": (c_int64, [c_void_p]),
    "outcome_free": (None, [c_void_p]),
    "report_total": (c_uint64, [c_void_p]),
    "report_aborted": (c_uint64, [c_void_p]),
    "report_missing": (c_uint64, [c_void_p]),
    "report_failed": (c_uint64, [c_void_p]),
    "report_kept": (c_uint64, [c_void_p]),
    "report_unknown_age": (c_uint64, [c_void_p]),
    "report_throttled": (c_uint64, [c_void_p]),
    "report_bytes": (c_uint64, [c_void_p]),
    "report_younger": (c_uint64, [c_void_p]),
    "report_active": (c_uint64, [c_void_p]),
    "report_complete": (c_int32, [c_void_p]),
    "report_failure_count": (c_size_t, [c_void_p]),
    "report_failure": (c_void_p, [c_void_p, c_size_t]),
    "report_free": (None, [c_void_p]),
}

# The name by which the system's loader finds an installed library, and of the file that a wheel carries.
FILE_NAME = {"win32": "obsabort.dll", "cygwin": "obsabort.dll", "darwin": "libobsabort.0.dylib"}.get(sys.platform, "libobsabort.so.0")


def _library() -> str:
    named = os.environ.get("OBSABORT_LIB")
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), FILE_NAME)
    return named or (beside if os.path.exists(beside) else FILE_NAME)


class _Functions:
    """c.NAME is obs_abort_NAME, bound when it is first used."""

    def __init__(self, path: str) -> None:
        try:
            self._library = ctypes.CDLL(path)
            # Getters keep the interpreter's lock: a thread that let go of it for each would wait for the others each time.
            self._getters = ctypes.PyDLL(path)
        except OSError as error:
            raise ImportError(
                f"libobsabort can't be loaded: {error}; install it, or name the file in OBSABORT_LIB", path=path
            ) from error

    def __getattr__(self, name: str) -> Any:
        if name not in SIGNATURES:
            raise AttributeError(name)
        library = self._getters if name.startswith(("outcome_", "report_")) else self._library
        function = getattr(library, "obs_abort_" + name)
        function.restype, function.argtypes = SIGNATURES[name]
        setattr(self, name, function)
        return function


c = _Functions(_library())


def take(pointer: c_void_p) -> Optional[str]:
    """A string that the library gave away: copied, and freed."""
    if not pointer.value:
        return None
    try:
        return ctypes.string_at(pointer.value).decode()
    finally:
        c.string_free(pointer)
