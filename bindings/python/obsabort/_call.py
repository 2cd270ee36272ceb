"""One call of the library: which thread it runs on, who hears its callbacks, how it ends.

A call that the main thread makes, and an asynchronous one, runs on a thread of this package: Python handles Ctrl-C only
between its own instructions, and an event loop must not wait. On any other thread the call runs where it was made. Callbacks
always run on the thread, or the event loop, of the caller. Only in the last case is C below them, and nothing that they raise
passes through it.
"""

from __future__ import annotations

import _thread
import asyncio
import math
import os
import queue
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Callable, Generic, NamedTuple, Optional, Set, TypeVar, Union

from ._errors import TimeoutError
from ._raw import FILTER_FN, LOG_FN, PROGRESS_FN, c
from ._types import Code, Outcome, Progress

if TYPE_CHECKING:
    from ._client import Client

T = TypeVar("T")
Seconds = Union[float, timedelta]

# What a callback that stops its call leaves for uploads in progress to finish. A call returns within 110 ms of its
# cancellation.
GRACE_SECONDS = 0.1
# On Windows Ctrl-C does not end a wait.
WAIT_SECONDS = 0.1 if os.name == "nt" else None


class LogLine(NamedTuple):
    level: int
    text: str


class Candidate(NamedTuple):
    outcome: Outcome


class Done(NamedTuple):
    value: Any
    error: Optional[BaseException]

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


Event = Union[LogLine, Progress, Candidate, Done]


class Cancellation:
    """Cancels calls from any thread, or from a signal handler. One may serve several calls. It can't be undone."""

    def __init__(self) -> None:
        self._cancelled = False
        self._calls: Set[Call[Any]] = set()

    def cancel(self) -> None:
        """The calls that it was given to, and those that it will be given to, end with CancelledError within 250 ms."""
        self._cancelled = True
        for call in list(self._calls):
            call.cancel()

    def _add(self, call: Call[Any]) -> None:
        # In this order: cancel() does it in the other.
        self._calls.add(call)
        if self._cancelled:
            call.cancel()


class Call(Generic[T]):
    """A call of `body`, which gets the handle of the call and calls C."""

    def __init__(
        self,
        client: Client,
        body: Callable[[Any], T],
        timeout_ms: Optional[int],
        cancellation: Optional[Cancellation],
        progress: Optional[Callable[[Progress], object]] = None,
        keep: Optional[Callable[[Outcome], bool]] = None,
    ) -> None:
        self._client, self._body, self._progress, self._keep = client, body, progress, keep
        self._timeout_ms = timeout_ms
        self._deadline = time.monotonic() + (timeout_ms or 0) / 1000
        # Of the C call, while it runs. Reentrant, since a signal handler may cancel.
        self._handle: Any = None
        self._handle_lock = threading.RLock()
        # Held by whoever performs the call, or sees to it that nobody does.
        self._taken = threading.Lock()
        # SimpleQueue, since a signal handler or an exception from one can't leave it locked.
        self.replies: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._cancelled = self._stopped = False
        # Takes events to the caller if C is called on another thread.
        self._deliver: Optional[Callable[[Event], object]] = None
        self._raised: Optional[BaseException] = None
        self.thread: Optional[int] = None
        self._cancellation = cancellation

    def cancel(self) -> None:
        self._cancelled = True
        with self._handle_lock:
            if self._handle is not None:
                c.call_cancel(self._handle)
        # Wakes the thread inside C if it waits for a callback's reply.
        self.replies.put(False)

    def _cancel_after_grace(self) -> None:
        time.sleep(GRACE_SECONDS)
        self.cancel()

    def abandon(self) -> bool:
        """Nobody waits for the end any more. Whether C has been, or is about to be, called."""
        self.cancel()
        begun = not self._taken.acquire(False)
        if not begun:
            self._leave()
        return begun

    def _enter(self) -> None:
        """Within a `try` that abandons the call: Ctrl-C may come at any time, and close() waits for what has entered."""
        self._client._enter(self)
        if self._cancellation is not None:
            self._cancellation._add(self)

    def _leave(self) -> None:
        if self._cancellation is not None:
            self._cancellation._calls.discard(self)
        self._client._leave(self)

    def _perform(self) -> T:
        """Calls C on this thread. `_taken` is held."""
        outer, handle = getattr(_inside, "call", None), c.call_new()
        try:
            self.thread = threading.get_ident()
            _inside.call = self
            if self._timeout_ms is not None:
                left = math.ceil((self._deadline - time.monotonic()) * 1000)
                c.call_set_timeout_ms(handle, max(left, 1))
            with self._handle_lock:
                self._handle = handle
            # In this order: cancel() does it in the other.
            if self._cancelled:
                c.call_cancel(handle)
            return self._body(handle)
        finally:
            with self._handle_lock:
                self._handle = None
            c.call_free(handle)
            _inside.call = outer
            self._leave()

    def hear(self, event: Event) -> bool:
        """For the callbacks below: whether the call is to go on, with the upload if the event is a candidate."""
        if self._cancelled or self._stopped:
            return False
        try:
            if self._deliver is None:
                go_on = self.handle(event)
            else:
                self._deliver(event)
                go_on = self.replies.get()
            if not go_on and not self._cancelled and not isinstance(event, Candidate):
                self._stopped = True
                if not start_thread(self._cancel_after_grace):
                    self.cancel()
        except BaseException as error:  # C is below.
            self._raised = error
            self.cancel()
            return False
        return go_on

    def handle(self, event: Event) -> bool:
        """Runs the caller's callback for an event, and returns whether the call is to go on."""
        if isinstance(event, LogLine):
            self._client._log(event)
        elif isinstance(event, Progress) and self._progress is not None:
            return self._progress(event) is not False
        elif isinstance(event, Candidate) and self._keep is not None:
            keeps = self._keep(event.outcome)
            # A function that forgot its return would otherwise keep nothing.
            if not isinstance(keeps, bool):
                raise TypeError(f"keep returns True or False, not {keeps!r}")
            return not keeps
        return True

    def result(self) -> T:
        """Makes the call, and waits for it."""
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        try:
            on_main_thread = threading.current_thread() is threading.main_thread()
            if on_main_thread and self.begin(events.put, start_thread):
                return self._wait(events)
            return self._here()
        except BaseException:
            self.abandon()
            raise

    def _here(self) -> T:
        self._enter()
        self._taken.acquire()
        result = self._perform()
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised
        return result

    def begin(self, deliver: Callable[[Event], object], submit: Callable[[Callable[[], None]], bool]) -> bool:
        """Has the call made on another thread, which hands its events to `deliver`, and waits for a reply to each but the
        last. False if there is no thread to be had."""
        self._enter()
        self._deliver = deliver
        if submit(self._work):
            return True
        self._deliver = None
        return False

    def _work(self) -> None:
        deliver = self._deliver
        if deliver is None or not self._taken.acquire(False):
            return
        try:
            done = Done(self._perform(), self._raised)
        except BaseException as error:
            done = Done(None, error)
        try:
            deliver(done)
        except RuntimeError:  # The event loop was closed.
            pass

    def _wait(self, events: queue.SimpleQueue[Event]) -> T:
        while True:
            event = next_event(events)
            if isinstance(event, Done):
                value: T = event.result()
                return value
            self.replies.put(self.handle(event))

    async def result_async(self) -> T:
        """The same on the event loop."""
        loop = asyncio.get_running_loop()
        inbox: asyncio.Queue[Event] = asyncio.Queue()
        timer = None
        try:
            self.begin_async(loop, inbox)
            if self._timeout_ms is not None:
                timer = loop.call_later(self._timeout_ms / 1000, self._expire, inbox)
            while True:
                event = await inbox.get()
                if isinstance(event, Done):
                    value: T = event.result()
                    return value
                self.replies.put(self.handle(event))
        except BaseException:
            self.abandon()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def begin_async(self, loop: asyncio.AbstractEventLoop, inbox: asyncio.Queue[Event]) -> None:
        def deliver(event: Event) -> None:
            loop.call_soon_threadsafe(inbox.put_nowait, event)

        if not self.begin(deliver, self._client._threads.submit):
            raise RuntimeError("can't start a thread for the call")

    def _expire(self, inbox: asyncio.Queue[Event]) -> None:
        """If the call has begun, the library keeps its time."""
        if self._taken.acquire(False):
            self._leave()
            text = "timeout: no thread was free in time; nothing was sent: allow more by max_concurrent"
            inbox.put_nowait(Done(None, TimeoutError(Code.TIMEOUT, text)))


def next_event(events: queue.SimpleQueue[Event]) -> Event:
    while True:
        try:
            return events.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            pass


def start_thread(work: Callable[[], None]) -> bool:
    # Not a Thread: an exception of a signal handler can leave the locks of its start() locked, and the interpreter would wait for
    # it. _at_exit ends the calls.
    try:
        _thread.start_new_thread(work, ())
    except RuntimeError:
        return False
    return True


class Threads:
    """Up to `limit` threads, started when they are needed. What is too much for them waits."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Optional[Callable[[], None]]] = queue.SimpleQueue()
        self._unfinished = self._started = 0

    def submit(self, work: Callable[[], None]) -> bool:
        with self._lock:
            self._unfinished += 1
            self._work.put(work)
            start = self._started < min(self._unfinished, self._limit)
            self._started += start
        if start and not start_thread(self._run):
            with self._lock:
                self._started -= 1
                return self._started > 0
        return True

    def close(self) -> None:
        """Ends the threads after what was submitted."""
        for _ in range(self._started):
            self._work.put(None)

    def _run(self) -> None:
        while True:
            work = self._work.get()
            if work is None:
                return
            work()
            # An idle thread keeps no client alive.
            del work
            with self._lock:
                self._unfinished -= 1


_inside = threading.local()


@PROGRESS_FN  # type: ignore[untyped-decorator]
def on_progress(outcome: Any, done: int, total_so_far: int, _: Any) -> int:
    copy = Outcome._copy(outcome) if outcome else None
    return 0 if _inside.call.hear(Progress(copy, done, total_so_far)) else 1


@FILTER_FN  # type: ignore[untyped-decorator]
def on_candidate(candidate: Any, _: Any) -> int:
    return 0 if _inside.call.hear(Candidate(Outcome._copy(candidate))) else 1


@LOG_FN  # type: ignore[untyped-decorator]
def on_log(level: int, message: bytes, _: Any) -> None:
    call = getattr(_inside, "call", None)
    if call is not None:
        call.hear(LogLine(level, message.decode()))
