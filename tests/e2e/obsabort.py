"""libobsabort through its C ABI, by ctypes: what a foreign language sees of it.

The library is the file named by OBSABORT_LIB. Each function is looked up when it is first
used, so that a suite that needs only a few of them runs against a library that has only those.
Handles keep the C ABI's names; outcomes and reports are copied into plain Python objects and
freed at once, so that a test can't hold on to freed memory.
"""

import ctypes
import os
import re
from ctypes import c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

HEADER = os.path.join(os.environ.get("INCLUDEDIR") or os.path.join(os.path.dirname(__file__), "../../include"), "obsabort.h")


def _constants():
    """Codes, choices and flags, as the header has them: OBS_ABORT_TIMEOUT is TIMEOUT here."""
    with open(HEADER) as header:
        return {name: int(value) for name, value in re.findall(r"(?m)^#define OBS_ABORT_(\w+) (\d+)$", header.read())}


globals().update(_constants())


class Upload(ctypes.Structure):
    """obs_abort_upload, the one struct of the ABI."""

    _fields_ = [("key", c_char_p), ("upload_id", c_char_p)]


PROGRESS_FN = ctypes.CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64, c_void_p)
LOG_FN = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)

# Name without the prefix -> result, arguments. Strings the library gives away are c_void_p:
# as c_char_p, ctypes would copy them and lose the pointer that must be freed.
_SIGNATURES = {
    "string_free": (None, [c_void_p]),
    "strerror": (c_char_p, [c_int32]),
    "code_name": (c_char_p, [c_int32]),
    "version": (c_char_p, []),
    "version_number": (c_uint32, []),
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
    "client_new": (c_int32, [c_void_p, ctypes.POINTER(c_void_p), ctypes.POINTER(c_void_p)]),
    "client_set_credentials": (
        c_int32,
        [c_void_p, c_char_p, c_char_p, c_char_p, ctypes.POINTER(c_void_p)],
    ),
    "client_shutdown": (None, [c_void_p]),
    "client_free": (None, [c_void_p]),
    "call_new": (c_void_p, []),
    "call_set_timeout_ms": (c_int32, [c_void_p, c_uint32]),
    "call_cancel": (None, [c_void_p]),
    "call_free": (None, [c_void_p]),
    "multipart": (
        c_int32,
        [c_void_p, c_char_p, c_char_p, c_char_p]
        + [ctypes.POINTER(c_int32), ctypes.POINTER(c_void_p)],
    ),
    "multipart_outcome": (
        c_int32,
        [c_void_p, c_void_p, c_char_p, c_char_p, c_char_p, ctypes.POINTER(c_void_p)],
    ),
    "many": (
        c_int32,
        [c_void_p, c_void_p, c_char_p, ctypes.POINTER(Upload), c_size_t]
        + [PROGRESS_FN, c_void_p, ctypes.POINTER(c_void_p), ctypes.POINTER(c_void_p)],
    ),
    "stale": (
        c_int32,
        [c_void_p, c_void_p, c_char_p, c_char_p, c_uint64, c_uint32]
        + [PROGRESS_FN, c_void_p, ctypes.POINTER(c_void_p), ctypes.POINTER(c_void_p)],
    ),
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
    "outcome_free": (None, [c_void_p]),
    "report_total": (c_uint64, [c_void_p]),
    "report_aborted": (c_uint64, [c_void_p]),
    "report_missing": (c_uint64, [c_void_p]),
    "report_failed": (c_uint64, [c_void_p]),
    "report_kept": (c_uint64, [c_void_p]),
    "report_throttled": (c_uint64, [c_void_p]),
    "report_unknown_age": (c_uint64, [c_void_p]),
    "report_failure_count": (c_size_t, [c_void_p]),
    "report_failure": (c_void_p, [c_void_p, c_size_t]),
    "report_free": (None, [c_void_p]),
}

_library = None
_functions = {}


def function(name):
    """The C function obs_abort_NAME, with its argument types set."""
    global _library
    if name not in _functions:
        if _library is None:
            _library = ctypes.CDLL(os.environ["OBSABORT_LIB"])
        found = getattr(_library, "obs_abort_" + name)
        found.restype, found.argtypes = _SIGNATURES[name]
        _functions[name] = found
    return _functions[name]


def exported(name):
    """Whether the library has obs_abort_NAME."""
    try:
        function(name)
    except AttributeError:
        return False
    return True


def code_name(code):
    return function("code_name")(code).decode()


def strerror(code):
    return function("strerror")(code).decode()


def version():
    return function("version")().decode()


def _in(text):
    """A C string argument: None stays NULL, bytes pass as they are (they need not be UTF-8). As in every binding, a NUL is
    refused: C would take what is before it for the whole string."""
    value = text.encode() if isinstance(text, str) else text
    if isinstance(value, bytes) and b"\0" in value:
        raise ValueError(f"a NUL in {text!r}")
    return value


def _out(pointer):
    """Takes a string the library gave away: copied, then freed."""
    if not pointer.value:
        return None
    try:
        return ctypes.string_at(pointer.value).decode()
    finally:
        function("string_free")(pointer)


def _borrowed(text):
    return None if text is None else text.decode()


class Error(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


class Outcome:
    """A copy of an obs_abort_outcome."""

    def __init__(self, pointer):
        self.code = function("outcome_code")(pointer)
        self.http_status = function("outcome_http_status")(pointer)
        self.message = _borrowed(function("outcome_message")(pointer))
        self.service_code = _borrowed(function("outcome_service_code")(pointer))
        self.request_id = _borrowed(function("outcome_request_id")(pointer))
        self.host_id = _borrowed(function("outcome_host_id")(pointer))
        self.attempts = function("outcome_attempts")(pointer)
        self.key = _borrowed(function("outcome_key")(pointer))
        self.upload_id = _borrowed(function("outcome_upload_id")(pointer))
        self.initiated = function("outcome_initiated")(pointer)
        self.index = function("outcome_index")(pointer)

    def __repr__(self):
        return f"Outcome({self.__dict__})"


class Report:
    """A copy of an obs_abort_report."""

    def __init__(self, pointer):
        self.total = function("report_total")(pointer)
        self.aborted = function("report_aborted")(pointer)
        self.missing = function("report_missing")(pointer)
        self.failed = function("report_failed")(pointer)
        self.kept = function("report_kept")(pointer)
        self.throttled = function("report_throttled")(pointer)
        self.unknown_age = function("report_unknown_age")(pointer)
        count = function("report_failure_count")(pointer)
        failure = function("report_failure")
        self.failures = [Outcome(failure(pointer, i)) for i in range(count)]
        assert failure(pointer, count) is None, "report_failure past the end must give NULL"

    def __repr__(self):
        return f"Report({self.__dict__})"


class Call:
    """obs_abort_call. cancel() may come from any thread."""

    def __init__(self, timeout_ms=None):
        self.pointer = function("call_new")()
        if timeout_ms is not None:
            _check(function("call_set_timeout_ms")(self.pointer, timeout_ms), "timeout_ms")

    def set_timeout_ms(self, ms):
        return function("call_set_timeout_ms")(self.pointer, ms)

    def cancel(self):
        function("call_cancel")(self.pointer)

    def free(self):
        function("call_free")(self.pointer)
        self.pointer = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.free()


def _check(code, setting):
    if code != OK:
        raise Error(code, f"setting {setting}: {strerror(code)}")


class Config:
    """obs_abort_config. set(name, values...) calls obs_abort_config_set_NAME and returns its code;
    the keyword arguments do the same and raise Error when a setter refuses."""

    def __init__(self, **settings):
        self.pointer = function("config_new")()
        self.kept_alive = []
        for name, value in settings.items():
            values = value if isinstance(value, tuple) else (value,)
            _check(self.set(name, *values), name)

    def set(self, name, *values):
        if name == "credentials" and len(values) == 2:
            values += (None,)
        if name == "log":
            return self._set_log(*values)
        setter = function("config_set_" + name)
        return setter(self.pointer, *(_in(value) for value in values))

    def _set_log(self, log, level):
        """log(level, message) from any thread."""
        callback = LOG_FN(lambda at, message, _: log(at, message.decode()))
        self.kept_alive.append(callback)
        return function("config_set_log")(self.pointer, callback, None, level)

    def free(self):
        function("config_free")(self.pointer)
        self.pointer = None


class Client:
    """obs_abort_client, from a Config or from the Config's keyword arguments."""

    def __init__(self, config=None, **settings):
        own = config is None
        if own:
            config = Config(**settings)
        self.kept_alive = config.kept_alive
        self.pointer = c_void_p()
        error = c_void_p()
        code = function("client_new")(
            config.pointer, ctypes.byref(self.pointer), ctypes.byref(error)
        )
        if own:
            config.free()
        message = _out(error)
        if code != OK:
            raise Error(code, message)
        assert message is None, f"client_new succeeded, and yet said {message!r}"

    def multipart(self, bucket, key, upload_id):
        """-> code, http_status, error"""
        status, error = c_int32(-1), c_void_p()
        code = function("multipart")(
            self.pointer,
            _in(bucket),
            _in(key),
            _in(upload_id),
            ctypes.byref(status),
            ctypes.byref(error),
        )
        return code, status.value, _out(error)

    def abort(self, bucket, key, upload_id, call=None):
        """obs_abort_multipart_outcome -> Outcome"""
        pointer = c_void_p()
        code = function("multipart_outcome")(
            self.pointer,
            call.pointer if call else None,
            _in(bucket),
            _in(key),
            _in(upload_id),
            ctypes.byref(pointer),
        )
        try:
            outcome = Outcome(pointer)
        finally:
            function("outcome_free")(pointer)
        assert outcome.code == code, f"returned {code}, outcome says {outcome.code}"
        return outcome

    def many(self, bucket, uploads, progress=None, call=None):
        """uploads: pairs of key and upload id -> code, Report, error"""
        array = (Upload * len(uploads))(*(Upload(_in(k), _in(u)) for k, u in uploads))
        return self._sweep("many", call, _in(bucket), array, len(uploads), progress)

    def sweep_array(self, bucket, array):
        """many() with an array of Upload as it is -> code, Report, error"""
        return self._sweep("many", None, _in(bucket), array, len(array), None)

    def stale(self, bucket, older_than_seconds, prefix=None, flags=0, progress=None, call=None):
        """-> code, Report, error"""
        return self._sweep(
            "stale", call, _in(bucket), _in(prefix), older_than_seconds, flags, progress
        )

    def _sweep(self, verb, call, *arguments):
        """progress(outcome or None, done, total_so_far) -> true value = stop. An exception in it
        stops the verb too, and is raised here once the verb has returned."""
        *arguments, progress = arguments
        raised = []

        def on_progress(outcome, done, total_so_far, _):
            try:
                return int(bool(progress(Outcome(outcome) if outcome else None, done, total_so_far)))
            except BaseException as error:
                raised.append(error)
                return 1

        callback = PROGRESS_FN(on_progress) if progress else PROGRESS_FN()
        report, error = c_void_p(), c_void_p()
        code = function(verb)(
            self.pointer,
            call.pointer if call else None,
            *arguments,
            callback,
            None,
            ctypes.byref(report),
            ctypes.byref(error),
        )
        message = _out(error)
        copy = None
        if report.value:
            copy = Report(report)
            function("report_free")(report)
        if raised:
            raise raised[0]
        return code, copy, message

    def set_credentials(self, access_key, secret_key, security_token=None):
        error = c_void_p()
        code = function("client_set_credentials")(
            self.pointer,
            _in(access_key),
            _in(secret_key),
            _in(security_token),
            ctypes.byref(error),
        )
        message = _out(error)
        assert (message is None) == (code == OK), f"returned {code}, and said {message!r}"
        return code

    def shutdown(self):
        function("client_shutdown")(self.pointer)

    def free(self):
        function("client_free")(self.pointer)
        self.pointer = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.free()
