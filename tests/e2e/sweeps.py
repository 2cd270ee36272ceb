"""obs_abort_sweep and obs_abort_buckets through the C ABI, as a program in C calls them."""

import collections
import contextlib
import ctypes
from ctypes import c_void_p

import obsabort
from obsabort._raw import BUCKET_FN, FILTER_FN, PROGRESS_FN, c, take

DRY_RUN, INCLUDE_LIVE = 1, 2

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
