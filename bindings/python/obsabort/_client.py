"""The client and its verbs: abort, abort_many, abort_stale, sweep, buckets."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import logging
import math
import os
import queue
import threading
import time
import warnings
import weakref
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Callable, Iterable, List, NamedTuple, Optional, Set, Tuple, Type, Union

from ._call import (
    Call,
    Cancellation,
    Done,
    Event,
    LogLine,
    Seconds,
    Threads,
    next_event,
    on_candidate,
    on_log,
    on_progress,
    start_thread,
)
from ._errors import Error, InvalidArgumentError, InvalidConfigError, error
from ._raw import BUCKET_FN, PROGRESS_FN, Upload, c, take
from ._types import EPOCH, Addressing, Bucket, Code, Credentials, CredentialSource, Outcome, Progress, Report, Signature

Path = Union[str, "os.PathLike[str]"]
ProgressCallback = Callable[[Progress], object]
KeepCallback = Callable[[Outcome], bool]

# By the library's numbers for levels.
_LEVELS = [logging.ERROR, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG]
_DRY_RUN, _INCLUDE_LIVE = 1, 2


def _utf8(name: str, value: Optional[str], kind: Type[Error] = InvalidArgumentError) -> Optional[bytes]:
    """A C string. It ends at its first NUL: cut there, a key would name another upload."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name}: str, not {type(value).__name__}")
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise _refused(name, "contains a lone surrogate, and so is not Unicode text", kind) from None
    if b"\0" in encoded:
        raise _refused(name, "contains U+0000", kind)
    return encoded


def _number(name: str, value: int, bits: int = 32, kind: Type[Error] = InvalidArgumentError) -> int:
    """ctypes would cut off what is too large."""
    if not isinstance(value, int):
        raise TypeError(f"{name}: int, not {type(value).__name__}")
    if not 0 <= value < 2**bits:
        raise _refused(name, f"0 to {2**bits - 1}, not {value}", kind)
    return value


def _milliseconds(name: str, seconds: Optional[Seconds], kind: Type[Error] = InvalidArgumentError) -> Optional[int]:
    """Rounded up, so that no time becomes 0."""
    if seconds is None:
        return None
    value = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    # Also NaN is not.
    if not 0 < value < 2**32 / 1000 - 1:
        raise _refused(name, f"more than 0 and less than 4 million seconds, not {seconds}", kind)
    return math.ceil(value * 1000)


def _whole_seconds(name: str, value: Seconds) -> int:
    """Rounded up: no upload is taken that is younger than asked for."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    # Also NaN is not.
    if not 0 <= seconds < 2**64:
        raise _refused(name, f"0 seconds or more, not {value}", InvalidArgumentError)
    return math.ceil(seconds)


def _unix_seconds(name: str, value: Optional[datetime]) -> Optional[int]:
    """Rounded down, for the same reason."""
    if value is None:
        return None
    if value.utcoffset() is None:
        raise _refused(name, f"a time with a time zone, not {value}", InvalidArgumentError)
    return (value - EPOCH) // timedelta(seconds=1)


def _refused(name: str, why: str, kind: Type[Error]) -> Error:
    code = Code.INVALID_CONFIG if kind is InvalidConfigError else Code.INVALID_ARGUMENT
    return kind(code, f"{code.name.lower()}: {name}: {why}")


class _Verdict(NamedTuple):
    """What abort_many, abort_stale and sweep gave."""

    code: int
    message: Optional[str]
    report: Optional[Report]

    def settle(self) -> Report:
        if self.code != Code.OK or self.report is None:
            raise error(self.code, self.message, report=self.report)
        return self.report


class Client:
    """Fixed settings, replaceable credentials and a pool of connections. Any number of threads and event loops may use it.

    Make one, keep it, and close it: by `with`, `async with` or close(). Times are in seconds.

    :param endpoint: such as "https://obs.eu-101.myhuaweicloud.com".
    :param credentials: Credentials, a tuple of access key, secret key and perhaps security token, or a CredentialSource.
    :param connect_timeout: of one attempt to connect (10).
    :param response_timeout: of one attempt's wait for a response (20).
    :param timeout: of one abort with all its attempts (60).
    :param max_attempts: of one request (4).
    :param max_connections: that are kept, and that abort_many and abort_stale use at once (32).
    :param ca_file: the authorities to trust instead of the system's.
    :param client_certificate: for mutual TLS: the PEM files of certificate and key.
    :param proxy: "http://[user:password@]host[:port]", or "" for none; otherwise the environment decides.
    :param confirm: whether each abort lists the parts afterwards, and is repeated until none is left.
    :param user_agent: the name of your program.
    :param log: gets level and text of each line, on the thread that makes the call. Levels are those of `logging`:
        `log=logging.getLogger("obsabort").log`.
    :param log_level: the most detailed level that is logged.
    :param max_concurrent: asynchronous calls at once, each of which takes a thread; others wait.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        credentials: Union[Credentials, Tuple[str, ...], CredentialSource, None] = None,
        addressing: Addressing = Addressing.AUTO,
        signature: Signature = Signature.AUTO,
        connect_timeout: Optional[Seconds] = None,
        response_timeout: Optional[Seconds] = None,
        timeout: Optional[Seconds] = None,
        max_attempts: Optional[int] = None,
        max_connections: Optional[int] = None,
        ca_file: Optional[Path] = None,
        client_certificate: Optional[Tuple[Path, Path]] = None,
        proxy: Optional[str] = None,
        confirm: bool = False,
        request_payer: bool = False,
        user_agent: Optional[str] = None,
        log: Optional[Callable[[int, str], object]] = None,
        log_level: int = logging.INFO,
        max_concurrent: int = 32,
    ) -> None:
        self._pointer: Any = None
        self._closed = True
        # Reentrant, since a signal handler may call shutdown().
        self._lock = threading.RLock()
        self._calls: Set[Call[Any]] = set()
        self._closing: List[threading.Lock] = []
        self._log_callback = log
        self._max_concurrent = _number("max_concurrent", max_concurrent, kind=InvalidConfigError)
        if max_concurrent == 0:
            raise _refused("max_concurrent", "at least 1", InvalidConfigError)
        self._threads = Threads(max_concurrent)
        times = {"connect_timeout": connect_timeout, "response_timeout": response_timeout, "timeout": timeout}
        numbers = {"max_attempts": max_attempts, "max_connections": max_connections}
        texts = {"ca_file": None if ca_file is None else os.fspath(ca_file), "proxy": proxy, "user_agent": user_agent}
        config = c.config_new()

        def put(name: str, *values: Any) -> None:
            # What a setter refuses, the config remembers, and client_new names.
            getattr(c, "config_set_" + name)(config, *values)

        def text(name: str, value: Optional[str]) -> Optional[bytes]:
            return _utf8(name, value, InvalidConfigError)

        try:
            put("endpoint", text("endpoint", endpoint))
            if isinstance(credentials, CredentialSource):
                put("credential_source", credentials)
            elif credentials is not None:
                put("credentials", *(text("credentials", value) for value in Credentials(*credentials)))
            put("addressing", Addressing(addressing))
            put("signature", Signature(signature))
            for name, seconds in times.items():
                if seconds is not None:
                    put(name + "_ms", _milliseconds(name, seconds, InvalidConfigError))
            for name, number in numbers.items():
                if number is not None:
                    put(name, _number(name, number, kind=InvalidConfigError))
            for name, value in texts.items():
                if value is not None:
                    put(name, text(name, value))
            if client_certificate is not None:
                put("client_certificate", *(text("client_certificate", os.fspath(path)) for path in client_certificate))
            put("confirm", bool(confirm))
            put("request_payer", bool(request_payer))
            if log is not None:
                least = [level for level in range(1, 5) if _LEVELS[level] >= log_level]
                put("log", on_log, None, least[-1] if least else 1)
            self._create(config)
        finally:
            c.config_free(config)

    def _create(self, config: Any) -> None:
        pointer, message = ctypes.c_void_p(), ctypes.c_void_p()
        code = c.client_new(config, ctypes.byref(pointer), ctypes.byref(message))
        text = take(message)
        if code != Code.OK:
            raise error(code, text)
        self._pointer, self._closed = pointer, False
        _clients.add(self)

    def abort(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        *,
        timeout: Optional[Seconds] = None,
        cancellation: Optional[Cancellation] = None,
    ) -> Outcome:
        """Aborts one upload. Returns if the upload is gone by this call, and raises the Error of the code otherwise:
        NoSuchUploadError if it was gone before."""
        return _settled(self.try_abort(bucket, key, upload_id, timeout=timeout, cancellation=cancellation))

    def try_abort(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        *,
        timeout: Optional[Seconds] = None,
        cancellation: Optional[Cancellation] = None,
    ) -> Outcome:
        """As abort(), but returns the outcome whatever its code. What can't be passed to the library is still raised."""
        return self._abort(bucket, key, upload_id, timeout, cancellation).result()

    async def abort_async(self, bucket: str, key: str, upload_id: str, *, timeout: Optional[Seconds] = None) -> Outcome:
        """As abort(). Cancelling the task cancels the call."""
        return _settled(await self._abort(bucket, key, upload_id, timeout, None).result_async())

    def abort_many(
        self,
        bucket: str,
        uploads: Iterable[Tuple[str, str]],
        *,
        progress: Optional[ProgressCallback] = None,
        timeout: Optional[Seconds] = None,
        cancellation: Optional[Cancellation] = None,
    ) -> Report:
        """Aborts many uploads, pairs of key and upload id, several at once. Raises PartialError, with the report, if some
        could not be aborted.

        `progress` stops the call with CancelledError if it returns False, and what it raises comes out of the call."""
        return self._abort_many(bucket, uploads, progress, timeout, cancellation).result().settle()

    async def abort_many_async(
        self,
        bucket: str,
        uploads: Iterable[Tuple[str, str]],
        *,
        progress: Optional[ProgressCallback] = None,
        timeout: Optional[Seconds] = None,
    ) -> Report:
        """As abort_many(); `progress` runs on the event loop. Cancelling the task cancels the call."""
        return (await self._abort_many(bucket, uploads, progress, timeout, None).result_async()).settle()

    def abort_stale(
        self,
        bucket: str,
        older_than: Seconds,
        *,
        prefix: str = "",
        dry_run: bool = False,
        include_live: bool = False,
        timeout: Optional[Seconds] = None,
        cancellation: Optional[Cancellation] = None,
    ) -> Sweep:
        """Finds and aborts the uploads of a bucket that are older than a time, by the clock of the service.

        Nothing happens before the sweep is iterated over or run(). An age of 0 takes uploads that are in progress, too, and
        is refused unless `include_live` or `dry_run` says that this is meant. A dry run aborts nothing, and its outcomes
        are those of the uploads that would be aborted."""
        age = _whole_seconds("older_than", older_than)
        if age == 0 and not (include_live or dry_run):
            text = "0 takes uploads that are in progress; if this is meant, say include_live=True"
            raise _refused("older_than", text, InvalidArgumentError)
        flags = (_DRY_RUN if dry_run else 0) | (_INCLUDE_LIVE if include_live else 0)
        arguments = (_utf8("bucket", bucket), _utf8("prefix", prefix), age, flags)
        timeout_ms = _milliseconds("timeout", timeout)

        def body(handle: Any) -> _Verdict:
            return self._report_of(c.stale, handle, arguments, on_progress)

        return Sweep(lambda progress: Call(self, body, timeout_ms, cancellation, progress))

    def sweep(
        self,
        bucket: str,
        *,
        prefix: str = "",
        older_than: Seconds = 0,
        initiated_before: Optional[datetime] = None,
        idle: Seconds = 0,
        measure: bool = False,
        keep: Optional[KeepCallback] = None,
        dry_run: bool = False,
        include_live: bool = False,
        timeout: Optional[Seconds] = None,
        cancellation: Optional[Cancellation] = None,
    ) -> Sweep:
        """Finds and aborts the uploads of a bucket to which all that is said applies. It is used as that of abort_stale().

        :param older_than: uploads that were initiated longer ago, by the clock of the service.
        :param initiated_before: uploads that were initiated before a time, which has a time zone.
        :param idle: uploads that were neither initiated nor got a part within this time. The parts are listed right before
            each abort; if they can't be, the upload is kept.
        :param measure: whether outcomes have `parts`, `bytes` and `last_part`, and the report `bytes`. `idle` does this, too.
        :param keep: is called with the outcome of each upload before anything is sent for it, and again if it is listed
            again, and returns True if it is to be kept. What it raises ends the sweep, and comes out of it.

        One of the first three is needed, unless `include_live` or `dry_run` says that uploads in progress are meant, too."""
        ages = (_whole_seconds("older_than", older_than), _whole_seconds("idle", idle))
        before = _unix_seconds("initiated_before", initiated_before)
        if not any(ages) and before is None and not (include_live or dry_run):
            text = "needs older_than, initiated_before or idle; if uploads in progress are meant, say include_live=True"
            raise _refused("sweep", text, InvalidArgumentError)
        flags = (_DRY_RUN if dry_run else 0) | (_INCLUDE_LIVE if include_live else 0)
        bucket_text, prefix_text = _utf8("bucket", bucket), _utf8("prefix", prefix)
        timeout_ms = _milliseconds("timeout", timeout)

        def body(handle: Any) -> _Verdict:
            selection = c.selection_new()
            try:
                # It remembers what it refuses, and c.sweep says what that was.
                c.selection_set_prefix(selection, prefix_text)
                c.selection_set_older_than_seconds(selection, ages[0])
                if before is not None:
                    c.selection_set_initiated_before(selection, before)
                c.selection_set_idle_seconds(selection, ages[1])
                c.selection_set_measure(selection, bool(measure))
                if keep is not None:
                    c.selection_set_filter(selection, on_candidate, None)
                return self._report_of(c.sweep, handle, (bucket_text, selection, flags), on_progress)
            finally:
                c.selection_free(selection)

        return Sweep(lambda progress: Call(self, body, timeout_ms, cancellation, progress, keep))

    def buckets(self, *, timeout: Optional[Seconds] = None, cancellation: Optional[Cancellation] = None) -> List[Bucket]:
        """The buckets of the account."""
        return _listed(self._buckets(timeout, cancellation).result())

    async def buckets_async(self, *, timeout: Optional[Seconds] = None) -> List[Bucket]:
        """As buckets(). Cancelling the task cancels the call."""
        return _listed(await self._buckets(timeout, None).result_async())

    def _buckets(
        self, timeout: Optional[Seconds], cancellation: Optional[Cancellation]
    ) -> Call[Tuple[int, Optional[str], List[Bucket]]]:
        def body(handle: Any) -> Tuple[int, Optional[str], List[Bucket]]:
            found: List[Bucket] = []

            @BUCKET_FN  # type: ignore[untyped-decorator]
            def on_bucket(name: bytes, location: Optional[bytes], _: Any) -> int:
                found.append(Bucket(name.decode(), None if location is None else location.decode()))
                return 0

            message = ctypes.c_void_p()
            code = c.buckets(self._pointer, handle, on_bucket, None, ctypes.byref(message))
            return code, take(message), found

        return Call(self, body, _milliseconds("timeout", timeout), cancellation)

    def _abort(
        self, bucket: str, key: str, upload_id: str, timeout: Optional[Seconds], cancellation: Optional[Cancellation]
    ) -> Call[Outcome]:
        arguments = (_utf8("bucket", bucket), _utf8("key", key), _utf8("upload_id", upload_id))

        def body(handle: Any) -> Outcome:
            pointer = ctypes.c_void_p()
            c.multipart_outcome(self._pointer, handle, *arguments, ctypes.byref(pointer))
            try:
                return Outcome._copy(pointer)
            finally:
                c.outcome_free(pointer)

        return Call(self, body, _milliseconds("timeout", timeout), cancellation)

    def _abort_many(
        self,
        bucket: str,
        uploads: Iterable[Tuple[str, str]],
        progress: Optional[ProgressCallback],
        timeout: Optional[Seconds],
        cancellation: Optional[Cancellation],
    ) -> Call[_Verdict]:
        entries = [
            Upload(_utf8(f"key of upload {i}", key), _utf8(f"upload_id of upload {i}", upload_id))
            for i, (key, upload_id) in enumerate(uploads)
        ]
        arguments = (_utf8("bucket", bucket), (Upload * len(entries))(*entries), len(entries))
        callback = on_progress if progress is not None else PROGRESS_FN()

        def body(handle: Any) -> _Verdict:
            return self._report_of(c.many, handle, arguments, callback)

        return Call(self, body, _milliseconds("timeout", timeout), cancellation, progress)

    def _report_of(self, verb: Any, handle: Any, arguments: Tuple[Any, ...], callback: Any) -> _Verdict:
        report, message = ctypes.c_void_p(), ctypes.c_void_p()
        code = verb(self._pointer, handle, *arguments, callback, None, ctypes.byref(report), ctypes.byref(message))
        try:
            return _Verdict(code, take(message), Report._copy(report) if report else None)
        finally:
            c.report_free(report)

    def set_credentials(self, access_key: str, secret_key: str, security_token: Optional[str] = None) -> None:
        """Replaces the credentials, at any time: attempts that are signed from now on use the new ones."""
        names = ("access_key", "secret_key", "security_token")
        values = [_utf8(name, value) for name, value in zip(names, (access_key, secret_key, security_token))]
        message = ctypes.c_void_p()
        with self._lock:
            self._check_open()
            code = c.client_set_credentials(self._pointer, *values, ctypes.byref(message))
        text = take(message)
        if code != Code.OK:
            raise error(code, text)

    def shutdown(self) -> None:
        """Cancels all calls, present and future. From any thread, or from a signal handler of Python."""
        with self._lock:
            if self._pointer is not None:
                c.client_shutdown(self._pointer)

    def close(self) -> None:
        """Cancels the calls in progress, waits for their end (up to 250 ms and what callbacks take), and frees the client.
        In a callback it may return before that end. Closing again does nothing."""
        self._begin_close()
        self._wait_for_calls()
        self._free()

    async def aclose(self) -> None:
        """close(), without blocking the event loop."""
        self._begin_close()
        while self._pointer is not None:
            if not self._calls:
                self._free()
            else:
                await asyncio.sleep(0.005)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, _: Optional[Type[BaseException]], __: Optional[BaseException], ___: Optional[TracebackType]) -> None:
        self.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, _: Optional[Type[BaseException]], __: Optional[BaseException], ___: Optional[TracebackType]
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # A call in progress keeps its client.
        if not self._closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
            self._closed = True
        self._free()

    def __repr__(self) -> str:
        return f"<obsabort.Client {'closed' if self._closed else 'open'} at {id(self):#x}>"

    def _log(self, line: LogLine) -> None:
        if self._log_callback is not None:
            self._log_callback(_LEVELS[line.level], line.text)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the client is closed")

    def _enter(self, call: Call[Any]) -> None:
        with self._lock:
            self._check_open()
            self._calls.add(call)

    def _leave(self, call: Call[Any]) -> None:
        with self._lock:
            self._calls.discard(call)
            closing, self._closing = self._closing, []
        for waiting in closing:
            waiting.release()
        self._free()

    def _begin_close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                c.client_shutdown(self._pointer)
            calls = list(self._calls)
        for call in calls:
            call.cancel()

    def _wait_for_calls(self, seconds: float = -1) -> None:
        me = threading.get_ident()
        while True:
            with self._lock:
                if not self._calls or any(call.thread == me for call in self._calls):
                    return
                waiting = threading.Lock()
                waiting.acquire()
                self._closing.append(waiting)
            if not waiting.acquire(timeout=seconds):
                return

    def _free(self) -> None:
        """By whoever comes last."""
        with self._lock:
            if not self._closed or self._calls:
                return
            pointer, self._pointer = self._pointer, None
        if pointer is not None:
            c.client_free(pointer)
            self._threads.close()

    def _after_fork(self) -> None:
        """In the child: the threads, and the calls on them, are those of the parent."""
        self._lock = threading.RLock()
        self._calls, self._closing = set(), []
        self._threads = Threads(self._max_concurrent)


class Sweep:
    """A sweep of abort_stale() or sweep(): an iterator, also an asynchronous one, over the outcomes of the uploads that were aborted.

    What is iterated over happens meanwhile on other threads, some uploads ahead. The iteration ends by the Error of the code
    unless all are gone. A sweep that is dropped, closed or interrupted is cancelled."""

    def __init__(self, make: Callable[[ProgressCallback], Call[_Verdict]]) -> None:
        self._make = make
        self._call: Optional[Call[_Verdict]] = None
        # One of the two, if it is iterated over.
        self._events: Optional[queue.SimpleQueue[Event]] = None
        self._inbox: Optional[asyncio.Queue[Event]] = None
        self._waits = self._ended = False
        self._answer = True
        self._report: Optional[Report] = None
        self.done = 0
        """The uploads that are settled so far, those that are kept included."""
        self.total_so_far = 0
        """The uploads that are known so far."""

    @property
    def report(self) -> Report:
        """What was done, once the sweep has ended."""
        if self._report is None:
            raise RuntimeError("the sweep has not ended, or ended without a report")
        return self._report

    def run(self, progress: Optional[ProgressCallback] = None) -> Report:
        """Sweeps to the end. `progress` stops the sweep with CancelledError if it returns False, and what it raises comes
        out of this function."""
        call = self._once(progress)
        try:
            return self._end(call.result())
        finally:
            self._ended = True

    async def run_async(self, progress: Optional[ProgressCallback] = None) -> Report:
        """As run(); `progress` runs on the event loop. Cancelling the task cancels the sweep."""
        call = self._once(progress)
        try:
            return self._end(await call.result_async())
        finally:
            self._ended = True

    def __iter__(self) -> Sweep:
        return self

    def __next__(self) -> Outcome:
        if self._ended:
            raise StopIteration
        begins = None
        if self._events is None:
            begins = self._once(None)
            self._events = queue.SimpleQueue()
        try:
            if begins is not None and not begins.begin(self._events.put, start_thread):
                raise RuntimeError("can't start a thread for the sweep")
            outcome = None
            while outcome is None and not self._ended:
                self._reply()
                outcome = self._take(next_event(self._events))
        except BaseException:
            self._abandon()
            raise
        if outcome is None:
            raise StopIteration
        return outcome

    def __aiter__(self) -> Sweep:
        return self

    async def __anext__(self) -> Outcome:
        if self._ended:
            raise StopAsyncIteration
        begins = None
        if self._inbox is None:
            begins = self._once(None)
            self._inbox = asyncio.Queue()
        try:
            if begins is not None:
                begins.begin_async(asyncio.get_running_loop(), self._inbox)
            outcome = None
            while outcome is None and not self._ended:
                self._reply()
                outcome = self._take(await self._inbox.get())
        except BaseException:
            self._abandon()
            raise
        if outcome is None:
            raise StopAsyncIteration
        return outcome

    def close(self) -> None:
        """Cancels the sweep if it has not ended. After an iteration that was not asynchronous, `report` then says what was
        done."""
        call, ended, self._ended = self._call, self._ended, True
        if call is None or ended:
            return
        if call.abandon() and self._events is not None:
            event = next_event(self._events)
            while not isinstance(event, Done):
                event = next_event(self._events)
            self._report = event.result().report

    def __enter__(self) -> Sweep:
        return self

    def __exit__(self, _: Optional[Type[BaseException]], __: Optional[BaseException], ___: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        if self._call is not None and not self._ended:
            self._call.abandon()
        elif self._call is None and not self._ended:
            warnings.warn("a sweep was neither iterated over nor run: nothing was aborted", RuntimeWarning)

    def _once(self, progress: Optional[ProgressCallback]) -> Call[_Verdict]:
        if self._call is not None or self._ended:
            raise RuntimeError("a sweep runs once")
        # Without a callback too: its beats keep Ctrl-C and cancellation prompt if no thread is to be had.
        self._call = self._make(progress or (lambda _: True))
        return self._call

    def _reply(self) -> None:
        if self._waits and self._call is not None:
            self._waits = False
            self._call.replies.put(self._answer)

    def _take(self, event: Event) -> Optional[Outcome]:
        """What the iteration is to give out for an event."""
        if isinstance(event, Done):
            self._end(event.result())
            return None
        # The thread inside C goes on when the next outcome is asked for.
        self._waits = self._answer = True
        if isinstance(event, Progress):
            self.done, self.total_so_far = event.done, event.total_so_far
            return event.outcome
        if self._call is not None:
            self._answer = self._call.handle(event)
        return None

    def _end(self, verdict: _Verdict) -> Report:
        self._ended = True
        self._report = verdict.report
        return verdict.settle()

    def _abandon(self) -> None:
        if self._call is not None and not self._ended:
            self._call.abandon()
        self._ended = True


def _listed(result: Tuple[int, Optional[str], List[Bucket]]) -> List[Bucket]:
    code, message, buckets = result
    if code != Code.OK:
        raise error(code, message)
    return buckets


def _settled(outcome: Outcome) -> Outcome:
    if outcome.code != Code.OK:
        raise error(outcome.code, outcome.message, outcome=outcome)
    return outcome


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    """The interpreter ends threads that come back from C; in a callback, that would tear the library's frames from the stack."""
    clients = list(_clients)
    for client in clients:
        client._begin_close()
    deadline = time.monotonic() + 2
    for client in clients:
        client._wait_for_calls(max(deadline - time.monotonic(), 0))


def _after_fork() -> None:
    for client in list(_clients):
        client._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
