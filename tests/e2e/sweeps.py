"""obs_abort_sweep and obs_abort_buckets through the C ABI, as a program in C calls them."""

import collections
import contextlib
import ctypes
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_uint32, c_uint64, c_void_p

import obsabort
from obsabort import _raw
from obsabort._raw import PROGRESS_FN, c, take

FILTER_FN = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p)
BUCKET_FN = ctypes.CFUNCTYPE(c_int32, c_char_p, c_char_p, c_void_p)
DRY_RUN, INCLUDE_LIVE = 1, 2

_SIGNATURES = {
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
        [c_void_p, c_void_p, c_char_p, c_void_p, c_uint32, PROGRESS_FN, c_void_p, POINTER(c_void_p), POINTER(c_void_p)],
    ),
    "buckets": (c_int32, [c_void_p, c_void_p, BUCKET_FN, c_void_p, POINTER(c_void_p)]),
    "outcome_parts": (c_uint64, [c_void_p]),
    "outcome_bytes": (c_uint64, [c_void_p]),
    "outcome_last_part": (c_int64, [c_void_p]),
    "report_bytes": (c_uint64, [c_void_p]),
    "report_younger": (c_uint64, [c_void_p]),
    "report_active": (c_uint64, [c_void_p]),
    "report_complete": (c_int32, [c_void_p]),
}
for _name, _signature in _SIGNATURES.items():
    _raw.SIGNATURES.setdefault(_name, _signature)

Outcome = collections.namedtuple("Outcome", "key upload_id code http_status attempts parts bytes last_part")
COUNTS = ("total", "aborted", "missing", "failed", "kept", "younger", "unknown_age", "active", "bytes", "complete")
Report = collections.namedtuple("Report", COUNTS + ("failures",))
Answer = collections.namedtuple("Answer", "code report error outcomes")


def _outcome(pointer):
    texts = (getattr(c, "outcome_" + name)(pointer) for name in ("key", "upload_id"))
    numbers = (getattr(c, "outcome_" + name)(pointer) for name in Outcome._fields[2:])
    return Outcome(*(text.decode() for text in texts), *numbers)


def _report(pointer):
    counts = (getattr(c, "report_" + name)(pointer) for name in COUNTS)
    failures = [obsabort.Outcome._copy(c.report_failure(pointer, i)) for i in range(c.report_failure_count(pointer))]
    return Report(*counts, failures)


@contextlib.contextmanager
def _selection(bounds):
    selection = c.selection_new()
    try:
        for name, values in bounds.items():
            values = values if isinstance(values, tuple) else (values,)
            values = (value.encode() if isinstance(value, str) else value for value in values)
            code = getattr(c, "selection_set_" + name)(selection, *values)
            assert code == obsabort.Code.OK, f"{name}: {code}"
        yield selection
    finally:
        c.selection_free(selection)


def sweep(client, bucket, flags=0, keep=None, **bounds):
    """bounds: the names of the selection's setters. keep(outcome): a filter. -> Answer"""
    outcomes, report, error = [], c_void_p(), c_void_p()

    def on_progress(outcome, done, total_so_far, _):
        if outcome:
            outcomes.append(_outcome(outcome))
        return 0

    callbacks = PROGRESS_FN(on_progress), FILTER_FN(lambda candidate, _: int(keep(_outcome(candidate))))
    if keep:
        bounds["filter"] = (callbacks[1], None)
    with _selection(bounds) as selection:
        code = c.sweep(
            *(client._pointer, None, bucket.encode(), selection, flags, callbacks[0], None),
            *(ctypes.byref(report), ctypes.byref(error)),
        )
    copy = _report(report) if report else None
    c.report_free(report)
    return Answer(obsabort.Code(code), copy, take(error), outcomes)


def buckets(client):
    """-> code, list of name and location, error"""
    found, error = [], c_void_p()

    def on_bucket(name, location, _):
        found.append((name.decode(), location.decode() if location else None))
        return 0

    callback = BUCKET_FN(on_bucket)
    code = c.buckets(client._pointer, None, callback, None, ctypes.byref(error))
    return obsabort.Code(code), found, take(error)
