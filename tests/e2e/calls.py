"""How the suites use the Python package beyond its public classes: codes in place of exceptions, and the C ABI itself for what
the package refuses, or has no need of."""

import ctypes

import obsabort
from obsabort._raw import PROGRESS_FN, Upload, c, take

__all__ = ["PROGRESS_FN", "Config", "Upload", "answer", "c", "many", "many_of_array", "multipart", "stale", "stale_by_c", "sweep"]


def answer(verb, *arguments, **options):
    """What abort_many or the run of a sweep gives -> code, report, error"""
    try:
        return obsabort.Code.OK, verb(*arguments, **options), None
    except obsabort.Error as error:
        return error.code, error.report, error.message


def many(client, bucket, uploads, progress=None):
    return answer(client.abort_many, bucket, uploads, progress=progress)


def stale(client, bucket, older_than, progress=None, **options):
    return answer(client.abort_stale(bucket, older_than, **options).run, progress)


def sweep(client, bucket, progress=None, **options):
    return answer(client.sweep(bucket, **options).run, progress)


def multipart(client, bucket, key, upload_id):
    """obs_abort_multipart -> code, http_status, error"""
    status, error = ctypes.c_int32(-1), ctypes.c_void_p()
    texts = (text.encode() for text in (bucket, key, upload_id))
    code = c.multipart(client._pointer, *texts, ctypes.byref(status), ctypes.byref(error))
    return code, status.value, take(error)


def _of_many(verb, client, arguments, progress):
    report, error = ctypes.c_void_p(), ctypes.c_void_p()

    def on_progress(outcome, done, total_so_far, _):
        copy = obsabort.Outcome._copy(outcome) if outcome else None
        return int(progress(obsabort.Progress(copy, done, total_so_far)) is False)

    callback = PROGRESS_FN(on_progress) if progress else PROGRESS_FN()
    code = verb(client._pointer, None, *arguments, callback, None, ctypes.byref(report), ctypes.byref(error))
    copy = obsabort.Report._copy(report) if report else None
    c.report_free(report)
    return code, copy, take(error)


def many_of_array(client, bucket, array):
    """obs_abort_many with an array of Upload as it is -> code, report, error"""
    return _of_many(c.many, client, (bucket.encode(), array, len(array)), None)


def stale_by_c(client, bucket, older_than, progress=None, flags=0):
    """obs_abort_stale, with an age that the package refuses, and progress that stops by C's rule -> code, report, error"""
    return _of_many(c.stale, client, (bucket.encode(), None, older_than, flags), progress)


class Config:
    """obs_abort_config, whose setters return codes."""

    def __init__(self, **settings):
        self.pointer = c.config_new()
        for name, value in settings.items():
            values = value if isinstance(value, tuple) else (value,)
            code = self.set(name, *values)
            assert code == obsabort.Code.OK, f"{name}: {code}"

    def set(self, name, *values):
        if name == "credentials" and len(values) == 2:
            values += (None,)
        return getattr(c, "config_set_" + name)(self.pointer, *(v.encode() if isinstance(v, str) else v for v in values))

    def client(self):
        return Client(self)

    def free(self):
        c.config_free(self.pointer)


class Client:
    """A client of a Config, for multipart() above."""

    def __init__(self, config):
        self._pointer, error = ctypes.c_void_p(), ctypes.c_void_p()
        code = c.client_new(config.pointer, ctypes.byref(self._pointer), ctypes.byref(error))
        message = take(error)
        if code != obsabort.Code.OK:
            raise obsabort.Error(code, message)
        assert message is None, f"client_new succeeded, and yet said {message!r}"

    def close(self):
        c.client_free(self._pointer)
