"""What every binding must show, for the installed Python package: python3 test_obsabort.py, with OBS_LOCAL and INCLUDEDIR set.

The package is imported from where it is installed, never from the source tree.
"""

import asyncio
import contextlib
import gc
import logging
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import unittest
import warnings
import weakref
from datetime import datetime, timedelta, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "../../e2e"))
import obsabort
import support
from obsabort import Code

HANGS = "silence;then=stall;method=DELETE;always"
DAY = 86400
BUCKET = "bucket"


def settings(server):
    return {"endpoint": server.endpoint, "credentials": (server.access_key, server.secret_key), "proxy": ""}


class Timed:
    def __enter__(self):
        self.began = time.monotonic()
        return self

    def __exit__(self, *_):
        self.took = time.monotonic() - self.began


class Case(unittest.TestCase):
    maxDiff = None

    def serve(self, *options):
        server = support.ObsLocal("--control", "--bucket", BUCKET, *options)
        self.addCleanup(server.stop)
        return server

    def client(self, server, **more):
        client = obsabort.Client(**{**settings(server), **more})
        self.addCleanup(client.close)
        return client

    def left(self, server, bucket=BUCKET):
        return int(server.control(f"upload-count {bucket}"))

    def initiate(self, server, key="key"):
        arguments = ["--endpoint", server.endpoint, "--access-key", server.access_key, "--secret-key", server.secret_key]
        return support.run([os.environ["OBS_LOCAL"], "initiate", *arguments, "--bucket", BUCKET, "--key", key]).stdout.strip()

    def wait_until(self, true, seconds=5):
        deadline = time.monotonic() + seconds
        while not true():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def child(self, server, program, *, seconds=20, stop_after=None, options=()):
        """Runs a program that may say `client` and `settings` -> (what it printed, its return code, seconds after `stop_after`)

        `stop_after` is a line that the program prints; SIGINT follows."""
        head = f"import asyncio, obsabort, os, signal, sys, threading, time\nsettings = {settings(server)!r}\n"
        head += "client = obsabort.Client(**settings)\n"
        command = [sys.executable, *options, "-c", head + textwrap.dedent(program)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.kill)
        said = ""
        if stop_after:
            while stop_after not in said:
                line = process.stdout.readline()
                self.assertTrue(line, f"ended early: {said}")
                said += line
            time.sleep(0.3)
        with Timed() as timed:
            if stop_after:
                process.send_signal(signal.SIGINT)
            said += process.communicate(timeout=seconds)[0]
        return said, process.returncode, timed.took


class Installed(Case):
    def test_the_package_is_the_installed_one(self):
        self.assertIn("site-packages", obsabort.__file__)
        self.assertNotIn(os.path.realpath(os.path.join(HERE, "../../..", "bindings")), os.path.realpath(obsabort.__file__))
        with open(os.path.join(os.environ["INCLUDEDIR"], "obsabort.h")) as header:
            self.assertIn(f'#define OBS_ABORT_VERSION "{obsabort.__version__}"', header.read())

    def test_the_library_that_is_loaded_is_the_one_beside_the_package(self):
        """Unless OBSABORT_LIB names another."""
        with open("/proc/self/maps") as maps:
            loaded = {line.split()[-1] for line in maps if "libobsabort" in line}
        expected = os.environ.get("OBSABORT_LIB") or os.path.join(os.path.dirname(obsabort.__file__), "libobsabort.so.0")
        self.assertEqual({os.path.realpath(path) for path in loaded}, {os.path.realpath(expected)})


class Enumerations(Case):
    def test_codes_are_those_of_the_library(self):
        for number in range(256):
            name = obsabort._raw.c.code_name(number).decode()
            with self.subTest(number):
                if name == "unknown":
                    self.assertNotIn(number, [int(code) for code in Code])
                    self.assertEqual((Code(number), Code(number).name), (number, f"UNKNOWN_{number}"))
                else:
                    self.assertEqual(Code(number).name.lower(), name)
                self.assertTrue(Code(number).description)

    def test_each_code_has_its_exception(self):
        classes = {code: getattr(obsabort, code.name.title().replace("_", "") + "Error") for code in Code if code != Code.OK}
        self.assertEqual(classes, obsabort._errors.CLASSES)
        self.assertEqual(len(set(classes.values())), len(classes))
        for code, error in classes.items():
            made = pickle.loads(pickle.dumps(obsabort._errors.error(code, "the message")))
            self.assertEqual((type(made), made.code, str(made)), (error, code, "the message"))
        self.assertIs(type(obsabort._errors.error(99, None)), obsabort.Error)
        for mine, pythons in ((obsabort.TimeoutError, TimeoutError), (obsabort.InvalidArgumentError, ValueError)):
            self.assertTrue(issubclass(mine, pythons))

    def test_constants_and_functions_are_those_of_the_header(self):
        with open(os.path.join(os.environ["INCLUDEDIR"], "obsabort.h")) as file:
            header = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        numbers = {name: int(number) for name, number in re.findall(r"#define OBS_ABORT_(\w+) (\d+)\n", header)}
        del numbers["VERSION_NUMBER"]
        flags = {"DRY_RUN": obsabort._client._DRY_RUN, "INCLUDE_LIVE": obsabort._client._INCLUDE_LIVE}
        logs = {f"LOG_{name}": i for i, name in enumerate(("ERROR", "WARN", "INFO", "DEBUG"), 1)}
        mine = {**{code.name: code for code in Code}, **flags, **logs}
        for prefix, kind in (
            ("CREDENTIALS", obsabort.CredentialSource),
            ("ADDRESSING", obsabort.Addressing),
            ("SIGNATURE", obsabort.Signature),
        ):
            mine.update({f"{prefix}_{choice.name}": choice for choice in kind})
        self.assertEqual(mine, numbers)
        self.assertEqual(list(obsabort._client._LEVELS[1:]), [logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG])

        prototypes = re.findall(r"(?m)^([a-z].*?\W)obs_abort_(\w+)\(([^;{]*?)\);", header)
        declared = {name: (self.c_type(result), self.c_types(parameters)) for result, name, parameters in prototypes}
        bound = {
            name: (self.kind(result), [self.kind(argument) for argument in arguments])
            for name, (result, arguments) in obsabort._raw.SIGNATURES.items()
        }
        # Strings that the caller frees are pointers, so that the pointer is not lost.
        declared["string_free"] = ("void", ["pointer"])
        self.assertEqual(bound, declared)

    def c_types(self, parameters):
        return [] if parameters == "void" else [self.c_type(parameter) for parameter in parameters.split(",")]

    @staticmethod
    def c_type(declaration):
        text = " ".join(re.sub(r"\bconst\b", "", declaration).split())
        if "char **" in text or re.search(r"obs_abort_\w+ \*\*", text):
            return "pointer to pointer"
        if "obs_abort_upload *" in text:
            return "uploads"
        if "_fn" in text:
            return "callback"
        if "char *" in text:
            return "text"
        if "int32_t *" in text:
            return "pointer to number"
        if "*" in text:
            return "pointer"
        # To ctypes, they are one type.
        return text.split()[0].replace("size_t", "uint64_t")

    @staticmethod
    def kind(type_):
        raw, c = obsabort._raw, obsabort._raw.ctypes
        return {
            None: "void",
            c.c_char_p: "text",
            c.c_void_p: "pointer",
            c.c_int32: "int32_t",
            c.c_uint32: "uint32_t",
            c.c_int64: "int64_t",
            c.c_uint64: "uint64_t",
            c.POINTER(c.c_void_p): "pointer to pointer",
            c.POINTER(c.c_int32): "pointer to number",
            c.POINTER(raw.Upload): "uploads",
            raw.PROGRESS_FN: "callback",
            raw.FILTER_FN: "callback",
            raw.BUCKET_FN: "callback",
            raw.LOG_FN: "callback",
        }[type_]


class One(Case):
    def test_ok_and_again_no_such_upload(self):
        server = self.serve()
        upload_id = self.initiate(server, "dir/ä key+%")
        client = self.client(server)
        outcome = client.abort(BUCKET, "dir/ä key+%", upload_id)
        self.assertEqual((outcome.code, outcome.http_status, outcome.attempts), (Code.OK, 204, 1))
        self.assertEqual((outcome.key, outcome.upload_id, outcome.message), ("dir/ä key+%", upload_id, None))
        with self.assertRaises(obsabort.NoSuchUploadError) as caught:
            client.abort(BUCKET, "dir/ä key+%", upload_id)
        error = caught.exception
        self.assertEqual((error.code, error.outcome.http_status), (Code.NO_SUCH_UPLOAD, 404))
        self.assertEqual((error.outcome.service_code, error.outcome.attempts), ("NoSuchUpload", 1))
        self.assertTrue(error.outcome.request_id)
        self.assertTrue(str(error).startswith("no_such_upload: "), error)
        self.assertEqual(pickle.loads(pickle.dumps(error)).outcome, error.outcome)
        self.assertEqual(client.try_abort(BUCKET, "dir/ä key+%", upload_id).code, Code.NO_SUCH_UPLOAD)
        with self.assertRaises(obsabort.NoSuchUploadError):
            asyncio.run(client.abort_async(BUCKET, "dir/ä key+%", upload_id))

    def test_what_c_cannot_have_is_refused_before_the_call(self):
        """Cut at a NUL, a key would name another upload."""
        server = self.serve()
        client = self.client(server)
        for bad in ("a\0b", "\0", "\udc80", "a\ud800"):
            for place in range(3):
                arguments = [BUCKET, "key", "id"]
                arguments[place] = bad
                with self.subTest(bad=bad, place=place):
                    for verb in (client.abort, client.try_abort, lambda *a: asyncio.run(client.abort_async(*a))):
                        with self.assertRaises(obsabort.InvalidArgumentError) as caught:
                            verb(*arguments)
                        self.assertEqual(caught.exception.code, Code.INVALID_ARGUMENT)
                        self.assertIn(("bucket", "key", "upload_id")[place], str(caught.exception))
            with self.subTest(bad=bad):
                for entry in ((bad, "id"), ("key", bad)):
                    with self.assertRaisesRegex(obsabort.InvalidArgumentError, "upload 1"):
                        client.abort_many(BUCKET, [("key", "id"), entry])
                with self.assertRaises(obsabort.InvalidArgumentError):
                    client.abort_stale(BUCKET, DAY, prefix=bad)
                with self.assertRaises(obsabort.InvalidArgumentError):
                    client.set_credentials(bad, "secret")
                with self.assertRaises(obsabort.InvalidConfigError):
                    obsabort.Client(server.endpoint, user_agent=bad)
        self.assertRaises(TypeError, client.abort, BUCKET, b"key", "id")
        for empty in range(3):
            arguments = [BUCKET, "key", "id"]
            arguments[empty] = ""
            self.assertRaises(obsabort.InvalidArgumentError, client.abort, *arguments)
        self.assertIn("requests=0 ", server.control("counts"))

    def test_numbers_and_times_are_not_cut_off(self):
        """ctypes takes 2**32 + 1 for 1."""
        server = self.serve()
        client = self.client(server)
        for bad in (0, -1, 2**32, math.nan, math.inf, timedelta(0), timedelta(seconds=-1)):
            with self.subTest(bad):
                self.assertRaises(obsabort.InvalidArgumentError, client.abort, BUCKET, "key", "id", timeout=bad)
                self.assertRaises(obsabort.InvalidConfigError, obsabort.Client, server.endpoint, timeout=bad)
        for bad in (-1, 2**64, math.nan, timedelta(days=-1)):
            self.assertRaises(obsabort.InvalidArgumentError, client.abort_stale, BUCKET, bad)
        for bad in (0, -1, 2**32, 2**32 + 1):
            self.assertRaises(obsabort.InvalidConfigError, obsabort.Client, server.endpoint, max_attempts=bad)
            self.assertRaises(obsabort.InvalidConfigError, obsabort.Client, server.endpoint, max_connections=bad)
        self.assertRaises(obsabort.InvalidConfigError, obsabort.Client, server.endpoint, max_concurrent=0)

    def test_settings_that_cannot_be_used_are_named(self):
        for name, value in (("endpoint", "ftp://x"), ("ca_file", "/no/such/file"), ("proxy", "socks5://x"), ("max_connections", 2000)):
            with self.subTest(name), self.assertRaisesRegex(obsabort.InvalidConfigError, name):
                obsabort.Client(**{"endpoint": "http://127.0.0.1:9", name: value})

    def test_secrets_are_not_shown(self):
        self.assertNotIn("hidden", repr(obsabort.Credentials("access", "hidden", "hidden")))

    def test_log(self):
        server = self.serve()
        upload_id, lines = self.initiate(server), []
        log = logging.getLogger("obsabort.test")
        log.setLevel(logging.DEBUG)
        log.propagate = False
        handler = logging.Handler()
        handler.emit = lambda record: lines.append((record.levelno, threading.get_ident(), record.getMessage()))
        log.addHandler(handler)
        with obsabort.Client(**settings(server), log=log.log, log_level=logging.DEBUG) as client:
            client.abort(BUCKET, "key", upload_id)
        self.assertIn(logging.INFO, [level for level, _, _ in lines])
        self.assertEqual({thread for _, thread, _ in lines}, {threading.get_ident()})
        del lines[:]
        with obsabort.Client(**settings(server), log=log.log, log_level=logging.ERROR) as client:
            client.try_abort(BUCKET, "key", upload_id)
        self.assertEqual([level for level, _, _ in lines], [logging.ERROR])


class Many(Case):
    def test_3000_stale_uploads_with_progress(self):
        for way in ("iteration", "run", "asynchronous iteration", "run_async"):
            server = self.serve("--uploads", f"{BUCKET}:3000:{2 * DAY}:old/", "--uploads", f"{BUCKET}:3:10:young/")
            client, seen = self.client(server), []

            def progress(now, seen=seen):
                self.assertLessEqual(now.done, now.total_so_far)
                if now.outcome:
                    seen.append((now.outcome, now.done, threading.get_ident()))

            sweep = client.abort_stale(BUCKET, timedelta(days=1))

            async def iterate(sweep=sweep, seen=seen):
                async for outcome in sweep:
                    seen.append((outcome, sweep.done, threading.get_ident()))

            with self.subTest(way):
                if way == "iteration":
                    for outcome in sweep:
                        seen.append((outcome, sweep.done, threading.get_ident()))
                elif way == "run":
                    self.assertEqual(sweep.run(progress), sweep.report)
                elif way == "run_async":
                    asyncio.run(sweep.run_async(progress))
                else:
                    asyncio.run(iterate())
                report = sweep.report
                self.assertEqual((report.total, report.aborted, report.kept, report.failed), (3003, 3000, 3, 0))
                self.assertEqual(len({(outcome.key, outcome.upload_id) for outcome, _, _ in seen}), 3000)
                self.assertTrue(all(outcome.code == Code.OK for outcome, _, _ in seen))
                self.assertLess(abs(datetime.now(timezone.utc) - seen[0][0].initiated - timedelta(days=2)), timedelta(minutes=5))
                done = [done for _, done, _ in seen]
                self.assertEqual(done, sorted(done))
                self.assertEqual({thread for _, _, thread in seen}, {threading.get_ident()})
                self.assertEqual(self.left(server), 3)
                self.assertEqual(list(sweep), [], "a sweep runs once")
                self.assertRaises(RuntimeError, sweep.run)
            server.stop()

    def test_dry_run_and_age_zero(self):
        server = self.serve("--uploads", f"{BUCKET}:20:{2 * DAY}", "--uploads", f"{BUCKET}:5:10:young/")
        client = self.client(server)
        self.assertEqual(client.abort_stale(BUCKET, DAY, dry_run=True).run().aborted, 20)
        self.assertEqual(client.abort_stale(BUCKET, 0, dry_run=True).run().aborted, 25)
        self.assertRaisesRegex(obsabort.InvalidArgumentError, "include_live", client.abort_stale, BUCKET, 0)
        self.assertEqual(self.left(server), 25)
        self.assertEqual(client.abort_stale(BUCKET, 0, include_live=True, prefix="young/").run().aborted, 5)
        self.assertEqual(self.left(server), 20)

    def test_a_sweep_that_nobody_runs_says_so(self):
        server = self.serve("--uploads", f"{BUCKET}:5:{2 * DAY}")
        client = self.client(server)
        with self.assertWarnsRegex(RuntimeWarning, "nothing was aborted"):
            client.abort_stale(BUCKET, DAY)
            gc.collect()
        self.assertEqual(self.left(server), 5)

    def test_many_with_some_that_fail(self):
        server = self.serve()
        uploads = [(key, self.initiate(server, key)) for key in ("a", "b")] + [("c", "unknown"), ("d", "")]
        client = self.client(server)
        for verb in (client.abort_many, lambda *a: asyncio.run(client.abort_many_async(*a))):
            with self.assertRaises(obsabort.PartialError) as caught:
                verb(BUCKET, iter(uploads))
            report = caught.exception.report
            self.assertEqual((report.total, report.aborted + report.missing, report.failed), (4, 3, 1))
            self.assertEqual([(o.index, o.code, o.attempts) for o in report.failures], [(3, Code.INVALID_ARGUMENT, 0)])
        self.assertEqual(client.abort_many(BUCKET, []).total, 0)
        self.assertEqual(self.left(server), 0)

    def test_a_listing_that_fails_is_raised_at_its_place(self):
        server = self.serve("--uploads", f"{BUCKET}:1500:{2 * DAY}", "--fault", "answer=403;error=AccessDenied;query=key-marker;always")
        sweep, seen = self.client(server).abort_stale(BUCKET, DAY), []
        with self.assertRaises(obsabort.AccessDeniedError) as caught:
            seen.extend(sweep)
        self.assertEqual((caught.exception.report, sweep.report.aborted), (sweep.report, 1000))


class Sweeping(Case):
    WAYS = ("iteration", "run", "asynchronous iteration", "run_async")

    def test_idle_and_measure(self):
        server = self.serve("--uploads", f"{BUCKET}:5:{2 * DAY}:old/", "--uploads", f"{BUCKET}:1:{2 * DAY}:live")
        self.assertEqual(server.control(f"parts {BUCKET}:live:3:10000:5"), "ok")
        client = self.client(server)
        dry = client.sweep(BUCKET, measure=True, dry_run=True)
        found = {outcome.key: outcome for outcome in dry}
        self.assertEqual((dry.report.aborted, dry.report.bytes, len(found)), (6, 30000, 6))
        live = found.pop("live000000")
        self.assertEqual((live.parts, live.bytes), (3, 30000))
        self.assertLess(datetime.now(timezone.utc) - live.last_part, timedelta(minutes=1))
        self.assertEqual({(outcome.parts, outcome.bytes, outcome.last_part) for outcome in found.values()}, {(0, 0, None)})

        report = client.sweep(BUCKET, idle=timedelta(hours=1), measure=True).run()
        self.assertEqual((report.aborted, report.active, report.kept, report.younger, report.bytes), (5, 1, 1, 0, 0))
        self.assertIs(report.complete, True)
        self.assertEqual(self.left(server), 1)

        report = client.sweep(BUCKET, idle=0.5).run()
        self.assertEqual((report.aborted, report.active, report.bytes), (1, 0, 30000))
        self.assertEqual(self.left(server), 0)

    def test_all_bounds_hold(self):
        a, b = (f"{BUCKET}:%d:%d:{folder}/" for folder in "ab")
        specs = (a % (4, 2 * DAY), a % (3, 90000), b % (2, 2 * DAY), a % (1, 60))
        server = self.serve(*(word for spec in specs for word in ("--uploads", spec)))
        client, now = self.client(server), datetime.now(timezone.utc)
        elsewhere = now.astimezone(timezone(timedelta(hours=8)))
        for aborted, younger, bounds in (
            (9, 1, {"older_than": DAY}),
            (6, 4, {"initiated_before": now - timedelta(hours=30)}),
            (6, 4, {"initiated_before": elsewhere - timedelta(hours=30), "older_than": 3600}),
            (6, 4, {"initiated_before": now - timedelta(hours=1), "older_than": timedelta(hours=30)}),
            (4, 4, {"prefix": "a/", "older_than": 30 * 3600}),
            (10, 0, {"initiated_before": datetime(9999, 12, 31, tzinfo=timezone.utc)}),
        ):
            with self.subTest(bounds):
                report = client.sweep(BUCKET, dry_run=True, **bounds).run()
                self.assertEqual((report.aborted, report.younger), (aborted, younger))
        self.assertEqual(self.left(server), 10)

    def test_what_cannot_be_meant_is_refused(self):
        server = self.serve("--uploads", f"{BUCKET}:3:{2 * DAY}")
        client, tomorrow = self.client(server), datetime.now(timezone.utc) + timedelta(days=1)
        for bounds in (
            {},
            {"measure": True},
            {"older_than": 0},
            {"older_than": -1},
            {"idle": math.nan},
            {"idle": 2**64},
            {"initiated_before": datetime(2020, 1, 1)},
            {"initiated_before": datetime(1969, 1, 1, tzinfo=timezone.utc)},
            {"initiated_before": tomorrow},
            {"idle": 60, "prefix": "a\0b"},
            {"idle": 60, "prefix": "\udc80"},
            {"idle": 60, "prefix": "p" * 1025},
        ):
            with self.subTest(bounds):
                self.assertRaises(obsabort.InvalidArgumentError, lambda bounds=bounds: client.sweep(BUCKET, **bounds).run())
        self.assertIn("requests=0 ", server.control("counts"))
        self.assertEqual(client.sweep(BUCKET, include_live=True).run().aborted, 3)

    def ways(self, sweep):
        """-> by what name, what runs the sweep on the thread, or the event loop, of the caller"""

        async def iterate():
            async for outcome in sweep:
                seen.append(outcome)

        seen = []
        return {
            "iteration": lambda: seen.extend(sweep),
            "run": sweep.run,
            "asynchronous iteration": lambda: asyncio.run(iterate()),
            "run_async": lambda: asyncio.run(sweep.run_async()),
        }

    def test_keep(self):
        for way in self.WAYS:
            server = self.serve("--uploads", f"{BUCKET}:300:{2 * DAY}:old/", "--uploads", f"{BUCKET}:5:60:young/")
            asked = {}

            def keep(candidate, asked=asked):
                self.assertEqual((candidate.attempts, candidate.parts), (0, 0))
                self.assertIsNotNone(candidate.initiated)
                asked[candidate.key] = threading.get_ident()
                return candidate.key.endswith("7")

            with self.subTest(way):
                sweep = self.client(server).sweep(BUCKET, older_than=DAY, measure=True, keep=keep)
                self.ways(sweep)[way]()
                report = sweep.report
                self.assertEqual((report.aborted, report.kept, report.younger), (270, 35, 5))
                self.assertEqual((len(asked), set(asked.values())), (300, {threading.get_ident()}))
                self.assertEqual(self.left(server), 35)
            server.stop()

    def test_keep_that_raises(self):
        """Or returns nothing, or cancels: nothing is sent for the upload that it was asked about."""
        server = self.serve("--uploads", f"{BUCKET}:100:{2 * DAY}")
        client = self.client(server)
        cancellation = obsabort.Cancellation()

        def ends(how):
            def keep(candidate):
                asked.append(candidate.key)
                return how()

            return keep

        def fail():
            raise LookupError("of keep")

        for expected, how in (
            (LookupError, fail),
            (SystemExit, sys.exit),
            (TypeError, lambda: None),
            (obsabort.CancelledError, lambda: cancellation.cancel() or False),
        ):
            for way in self.WAYS:
                with self.subTest(expected=expected.__name__, way=way):
                    asked, cancellation = [], obsabort.Cancellation()
                    sweep = client.sweep(BUCKET, idle=3600, keep=ends(how), cancellation=cancellation)
                    self.assertRaises(expected, self.ways(sweep)[way])
                    self.wait_until(lambda: not client._calls)
                    self.assertEqual(len(asked), 1)
                    self.assertEqual(self.left(server), 100)

    def test_keep_on_another_thread(self):
        server = self.serve("--uploads", f"{BUCKET}:20:{2 * DAY}")
        client, threads, reports = self.client(server), [], []

        def keep(candidate):
            threads.append(threading.get_ident())
            return candidate.key.endswith("7")

        thread = threading.Thread(target=lambda: reports.append(client.sweep(BUCKET, idle=60, keep=keep).run()))
        thread.start()
        thread.join()
        self.assertEqual(set(threads), {thread.ident})
        self.assertEqual((reports[0].aborted, reports[0].kept), (18, 2))

    def test_buckets(self):
        server = self.serve("--bucket", "another-bucket")
        client = self.client(server)
        expected = ["another-bucket", BUCKET]
        self.assertEqual(sorted(bucket.name for bucket in client.buckets()), expected)
        self.assertEqual(sorted(bucket.name for bucket in asyncio.run(client.buckets_async())), expected)
        cancellation = obsabort.Cancellation()
        cancellation.cancel()
        self.assertRaises(obsabort.CancelledError, client.buckets, cancellation=cancellation)
        server.control("fault answer=403;error=AccessDenied;method=GET;always")
        self.assertRaises(obsabort.AccessDeniedError, client.buckets)


class Stopping(Case):
    """While the server hangs: within 300 ms."""

    def setUp(self):
        self.server = self.serve("--uploads", f"{BUCKET}:60:{2 * DAY}")
        self.uploads = [(f"key{n}", "id") for n in range(60)]
        self.hang_after_10()

    def hang_after_10(self):
        self.server.control("clear-faults")
        self.server.control("fault skip=10;" + HANGS)

    def stopped(self, expected, work):
        """-> the exception; `work` notes in self.asked when it asked for the stop"""
        try:
            work()
        except expected as error:
            self.assertLess(time.monotonic() - self.asked, 0.3)
            return error
        self.fail("it went on")

    def progress(self, how):
        self.asked = None

        def progress(now):
            if now.outcome is None and self.asked is None:
                self.asked = time.monotonic()
                return how()

        return progress

    def verbs(self, client, progress):
        """On the main thread, on another, and on an event loop."""

        def on_a_thread(verb):
            raised = []

            def work():
                try:
                    verb()
                except BaseException as error:
                    raised.append(error)

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            raise raised[0]

        many = [lambda: client.abort_many(BUCKET, self.uploads, progress=progress())]
        stale = [lambda: client.abort_stale(BUCKET, DAY).run(progress()), lambda: client.sweep(BUCKET, idle=DAY).run(progress())]
        loop = [
            lambda: asyncio.run(client.abort_many_async(BUCKET, self.uploads, progress=progress())),
            lambda: asyncio.run(client.abort_stale(BUCKET, DAY).run_async(progress())),
        ]
        return many + stale + [lambda v=v: on_a_thread(v) for v in many + stale] + loop

    def test_progress_returns_false(self):
        client = self.client(self.server)
        for number, verb in enumerate(self.verbs(client, lambda: self.progress(lambda: False))):
            with self.subTest(number):
                error = self.stopped(obsabort.CancelledError, verb)
                self.assertEqual(error.report.total, error.report.aborted + error.report.missing + error.report.failed + error.report.kept)
                self.assertEqual(error.report.failures[0].code, Code.CANCELLED)

    def test_progress_raises(self):
        def fail():
            gc.collect()
            raise LookupError("of the callback")

        client = self.client(self.server)
        for number, verb in enumerate(self.verbs(client, lambda: self.progress(fail))):
            with self.subTest(number):
                error = self.stopped(LookupError, verb)
                self.assertIn("fail", [frame.name for frame in traceback.extract_tb(error.__traceback__)])

    def test_progress_exits_the_thread(self):
        client = self.client(self.server)
        for number, verb in enumerate(self.verbs(client, lambda: self.progress(sys.exit))):
            with self.subTest(number):
                self.stopped(SystemExit, verb)

    def test_what_is_no_false_goes_on(self):
        server = self.serve("--uploads", f"{BUCKET}:9:{2 * DAY}")
        client = self.client(server)
        self.assertEqual(client.abort_stale(BUCKET, DAY).run(lambda now: 0 if now.done % 2 else None).aborted, 9)

    def test_a_sweep_that_is_left(self):
        """By break, by close(), by an exception of the body, in the asynchronous form too."""
        client = self.client(self.server)
        with Timed() as timed:
            for _ in client.abort_stale(BUCKET, DAY):
                break
            self.wait_until(lambda: not client._calls)
        self.assertLess(timed.took, 0.5)
        self.hang_after_10()
        sweep = client.abort_stale(BUCKET, DAY)
        next(sweep)
        with Timed() as timed:
            sweep.close()
        self.assertLess(timed.took, 0.3)
        self.assertEqual(list(sweep), [])
        self.assertEqual(sweep.report.total, sweep.report.aborted + sweep.report.failed + sweep.report.kept)
        self.hang_after_10()

        async def leave():
            async for _ in client.abort_stale(BUCKET, DAY):
                break

        asyncio.run(leave())
        gc.collect()
        self.wait_until(lambda: not client._calls, 0.5)


class Callbacks(Case):
    """An exception of a callback comes out of the call; none passes through C, whichever thread makes the call."""

    def ways(self, client):
        def on_a_thread():
            raised = []

            def work():
                try:
                    client.abort(BUCKET, "key", "id")
                except BaseException as error:
                    raised.append(error)

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            raise raised[0]

        return {
            "main": lambda: client.abort(BUCKET, "key", "id"),
            "thread": on_a_thread,
            "loop": lambda: asyncio.run(client.abort_async(BUCKET, "key", "id")),
        }

    def test_the_log_callback_raises(self):
        server = self.serve()
        for raised in (LookupError, SystemExit, KeyboardInterrupt):

            def log(*_, raised=raised):
                gc.collect()
                raise raised("of the callback")

            client = self.client(server, log=log, log_level=logging.DEBUG)
            for way, work in self.ways(client).items():
                with self.subTest(way=way, raised=raised.__name__):
                    self.assertRaisesRegex(raised, "of the callback", work)
            client.close()

    def test_callbacks_may_call_the_client_and_close_it(self):
        server = self.serve("--uploads", f"{BUCKET}:40:{2 * DAY}")
        for on_main in (True, False):
            calls = []

            def progress(now, calls=calls):
                calls.append(client.try_abort(BUCKET, "key", "id").code)
                client.set_credentials(server.access_key, server.secret_key)
                if len(calls) == 5:
                    client.close()
                    calls.append("kept" if client._pointer else "freed")

            def work(calls=calls):
                with self.assertRaises((obsabort.CancelledError, RuntimeError)):
                    client.abort_stale(BUCKET, DAY, dry_run=True).run(progress)
                calls.append("done")

            client = self.client(server)
            with self.subTest(on_main=on_main):
                thread = threading.Thread(target=work)
                work() if on_main else thread.start()
                on_main or thread.join(10)
                # The main thread waits for the thread inside C; another is inside itself.
                self.assertEqual(calls[-2:], ["freed" if on_main else "kept", "done"])
                self.assertEqual(calls[0], Code.NO_SUCH_UPLOAD)
                self.wait_until(lambda: client._pointer is None)

    def test_the_collector_takes_calls_and_sweeps_in_any_order(self):
        """In cycles, after failures; whatever it takes first, the other cancels nothing that is freed."""
        server = self.serve("--uploads", f"{BUCKET}:3:{2 * DAY}", "--fault", HANGS)
        client = self.client(server)
        for begin in (list, lambda sweep: sweep.run(lambda now: 1 / 0)):
            for _ in range(5):
                sweep = client.abort_stale(BUCKET, DAY, timeout=0.3)
                with contextlib.suppress(obsabort.Error, ZeroDivisionError):
                    begin(sweep)
                call = sweep._call
                sweep._ended = False
                call.sweep = sweep
                self.wait_until(lambda: not client._calls)
                sweep.__del__()
                call.cancel()
                del sweep, call
                gc.collect()

    def test_collection_during_calls(self):
        """Whatever the collector takes away, it is nothing that C still calls."""
        server = self.serve("--uploads", f"{BUCKET}:100:{2 * DAY}")
        lines = []

        def log(level, text):
            lines.append(text)
            gc.collect()

        client = self.client(server, log=log, log_level=logging.DEBUG)
        report = client.abort_stale(BUCKET, DAY).run(lambda now: gc.collect() and None)
        self.assertEqual(report.aborted, 100)
        self.assertGreater(len(lines), 100)


class Cancelling(Case):
    def setUp(self):
        self.server = self.serve("--fault", HANGS)

    def test_20_cancellations(self):
        """By a Cancellation from another thread, on the main thread and on another; and cancelled before it begins."""
        client = self.client(self.server)

        def cancelled():
            cancellation, asked = obsabort.Cancellation(), []

            def cancel():
                asked.append(time.monotonic())
                cancellation.cancel()

            threading.Timer(0.05, cancel).start()
            outcome = client.try_abort(BUCKET, "key", "id", cancellation=cancellation)
            took.append(time.monotonic() - asked[0])
            codes.append(outcome.code)
            with Timed() as timed:
                codes.append(client.try_abort(BUCKET, "key", "id", cancellation=cancellation).code)
            took.append(timed.took)

        took, codes = [], []
        for _ in range(10):
            cancelled()
        for _ in range(10):
            thread = threading.Thread(target=cancelled)
            thread.start()
            thread.join()
        self.assertEqual(codes, [Code.CANCELLED] * 40)
        self.assertLess(max(took), 0.25)

    def test_20_cancelled_tasks(self):
        """At once; and the calls below end within 250 ms, too."""

        async def main():
            async with obsabort.Client(**settings(self.server)) as client:
                for _ in range(20):
                    task = asyncio.ensure_future(client.abort_async(BUCKET, "key", "id"))
                    await asyncio.sleep(0.05)
                    with Timed() as timed:
                        task.cancel()
                        with self.assertRaises(asyncio.CancelledError):
                            await task
                    took.append(timed.took)
                    with Timed() as timed:
                        while client._calls:
                            await asyncio.sleep(0.005)
                    ended.append(timed.took)

        took, ended = [], []
        asyncio.run(main())
        self.assertLess(max(took), 0.05)
        self.assertLess(max(ended), 0.25)

    def test_deadlines(self):
        client = self.client(self.server)

        async def asynchronous():
            await client.abort_async(BUCKET, "key", "id", timeout=timedelta(milliseconds=300))

        async def wait_for():
            await asyncio.wait_for(client.abort_async(BUCKET, "key", "id"), 0.3)

        for work in (
            lambda: client.abort(BUCKET, "key", "id", timeout=0.3),
            lambda: client.abort_many(BUCKET, [("key", "id")] * 5, timeout=0.3),
            lambda: asyncio.run(asynchronous()),
            lambda: asyncio.run(wait_for()),
        ):
            with Timed() as timed, self.assertRaises((TimeoutError, asyncio.TimeoutError)):
                work()
            self.assertGreater(timed.took, 0.28)
            self.assertLess(timed.took, 0.55)

    def test_a_deadline_holds_in_the_queue(self):
        """All threads of the client are taken by calls that hang."""

        async def main():
            async with obsabort.Client(**settings(self.server), max_concurrent=2) as client:
                hanging = [asyncio.ensure_future(client.abort_async(BUCKET, "key", "id")) for _ in range(2)]
                await asyncio.sleep(0.1)
                with Timed() as timed:
                    with self.assertRaisesRegex(obsabort.TimeoutError, "nothing was sent"):
                        await client.abort_async(BUCKET, "key", "id", timeout=0.3)
                self.assertLess(timed.took, 0.5)
                for task in hanging:
                    task.cancel()
                await asyncio.gather(*hanging, return_exceptions=True)

        asyncio.run(main())

    def test_shutdown(self):
        client = self.client(self.server)
        threading.Timer(0.1, client.shutdown).start()
        with Timed() as timed:
            self.assertRaises(obsabort.CancelledError, client.abort, BUCKET, "key", "id")
        self.assertLess(timed.took, 0.35)
        self.assertRaises(obsabort.CancelledError, client.abort, BUCKET, "key", "id")


class Interrupting(Case):
    """Ctrl-C, in programs of their own."""

    def setUp(self):
        self.server = self.serve("--uploads", f"{BUCKET}:60:{2 * DAY}", "--fault", HANGS)

    def interrupted(self, work, within):
        program = f"""
            print("calling", flush=True)
            try:
                {work}
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            else:
                print("ended")
        """
        said, code, took = self.child(self.server, program, stop_after="calling", options=("-X", "dev", "-W", "ignore::ResourceWarning"))
        self.assertEqual((said, code), ("calling\ninterrupted\n", 0))
        self.assertLess(took, within)

    def test_ctrl_c_ends_each_verb(self):
        """The bound is for the whole end of the program, in which the calls below are ended, too: up to 110 ms."""
        for work in (
            'client.abort("bucket", "key", "id")',
            'client.abort_many("bucket", [("key", "id")] * 9)',
            'client.abort_stale("bucket", 86400).run()',
            'list(client.abort_stale("bucket", 86400))',
            'asyncio.run(client.abort_async("bucket", "key", "id"))',
            'asyncio.run(client.abort_stale("bucket", 86400).run_async())',
        ):
            with self.subTest(work):
                self.interrupted(work, 1)

    def test_ctrl_c_ends_a_call_at_once(self):
        """Within the program, from the signal to the exception."""
        program = """
            took = []
            def handler(*_):
                began.append(time.monotonic())
                raise KeyboardInterrupt
            signal.signal(signal.SIGINT, handler)
            for _ in range(5):
                began = []
                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
                try:
                    client.abort("bucket", "key", "id")
                except KeyboardInterrupt:
                    took.append(time.monotonic() - began[0])
            begin = time.monotonic()
            client.close()
            print(len(took), max(took), time.monotonic() - begin)
        """
        said, code, _ = self.child(self.server, program)
        self.assertEqual(code, 0, said)
        count, took, closing = said.split()
        self.assertEqual(count, "5")
        self.assertLess(float(took), 0.05)
        self.assertLess(float(closing), 0.3)

    def test_interrupts_at_any_moment_leave_nothing_behind(self):
        """A call that is interrupted as it begins or ends must not keep the client from closing."""
        self.server.control("clear-faults")
        program = """
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            began = time.monotonic()
            for _ in range(100):
                client.try_abort("bucket", "key", "id")
            usual = (time.monotonic() - began) / 100
            count = 0
            for n in range(400):
                try:
                    # From its begin to some time after its end.
                    signal.setitimer(signal.ITIMER_REAL, 0.00001 + usual * n / 200)
                    client.try_abort("bucket", "key", "id")
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    count += 1
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            client.close()
            print(count, client._pointer, client._calls)
        """
        said, code, _ = self.child(self.server, program, seconds=60)
        count, *rest = said.splitlines()[-1].split()
        self.assertEqual((rest, code), (["None", "set()"], 0), said)
        self.assertGreater(int(count), 20)


class Threads(Case):
    def test_1000_hanging_calls_take_bounded_threads(self):
        server = self.serve("--fault", HANGS)
        most = 0

        async def main():
            nonlocal most
            async with obsabort.Client(**settings(server), max_concurrent=16) as client:
                tasks = [asyncio.ensure_future(client.abort_async(BUCKET, "key", "id")) for _ in range(1000)]
                for _ in range(10):
                    await asyncio.sleep(0.05)
                    most = max(most, len(os.listdir("/proc/self/task")))
                with Timed() as timed:
                    for task in tasks:
                        task.cancel()
                    results = await asyncio.gather(*tasks, return_exceptions=True)
                self.assertEqual({type(result) for result in results}, {asyncio.CancelledError})
                self.assertLess(timed.took, 0.5)
                with Timed() as timed:
                    await client.aclose()
                self.assertLess(timed.took, 1)

        before = len(os.listdir("/proc/self/task"))
        asyncio.run(main())
        self.assertLessEqual(most, before + 16 + 2)
        self.wait_until(lambda: len(os.listdir("/proc/self/task")) <= before + 1)

    def test_1000_calls_are_all_made(self):
        server = self.serve("--uploads", f"{BUCKET}:1000:{2 * DAY}")

        async def main():
            async with obsabort.Client(**settings(server)) as client:
                found = [outcome async for outcome in client.abort_stale(BUCKET, DAY, dry_run=True)]
                return await asyncio.gather(*(client.abort_async(BUCKET, o.key, o.upload_id) for o in found))

        outcomes = asyncio.run(main())
        self.assertEqual([outcome.code for outcome in outcomes], [Code.OK] * 1000)
        self.assertEqual(self.left(server), 0)

    def test_close_under_100_callers(self):
        server = self.serve("--fault", HANGS)
        client, ended = self.client(server), []

        def work():
            try:
                client.abort(BUCKET, "key", "id")
            except obsabort.Error as error:
                ended.append(error.code)

        threads = [threading.Thread(target=work) for _ in range(100)]
        for thread in threads:
            thread.start()
        self.wait_until(lambda: len(client._calls) == 100)
        time.sleep(0.1)
        closers = [threading.Thread(target=client.close) for _ in range(3)]
        with Timed() as timed:
            for closer in closers:
                closer.start()
            client.close()
        self.assertLess(timed.took, 0.5)
        for thread in threads + closers:
            thread.join(5)
        self.assertEqual(ended, [Code.CANCELLED] * 100)
        self.assertIsNone(client._pointer)
        for verb in (lambda: client.abort(BUCKET, "key", "id"), lambda: client.set_credentials("a", "s")):
            self.assertRaisesRegex(RuntimeError, "closed", verb)
        client.close()

    def test_a_forgotten_client_is_freed(self):
        server = self.serve()

        def forget(work):
            client = obsabort.Client(**settings(server))
            with contextlib.suppress(obsabort.NoSuchUploadError):
                work(client)
            return weakref.ref(client)

        def asynchronous(client):
            asyncio.run(client.abort_async(BUCKET, "key", "id"))

        for work in (
            lambda client: client.abort(BUCKET, "key", "id"),
            asynchronous,
            lambda client: list(client.abort_stale(BUCKET, DAY)),
        ):
            threads = len(os.listdir("/proc/self/task"))
            said = []
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                # Recorded, a warning would keep its source.
                warnings.showwarning = lambda message, category, *_, said=said: said.append((category, str(message)[:8]))
                gc.collect()
                gc.disable()
                try:
                    forgotten = forget(work)
                    # A task that failed refers to itself.
                    collect = gc.collect if work is asynchronous else list
                    self.wait_until(lambda: collect() is None or forgotten() is None)
                finally:
                    gc.enable()
            self.assertEqual(said, [(ResourceWarning, "unclosed")])
            # Its connection is closed, and its threads have ended.
            self.wait_until(lambda: support.run(["ss", "-tnH", "state", "established", f"dport = :{server.port}"]).stdout == "")
            self.wait_until(lambda: len(os.listdir("/proc/self/task")) <= threads)

    def test_a_client_is_not_freed_under_a_call(self):
        """Though nobody else refers to it."""
        server = self.serve("--fault", "real;delay-ms=600;method=DELETE;always")
        upload_id, outcomes = self.initiate(server), []

        def work():
            outcomes.append(obsabort.Client(**settings(server)).try_abort(BUCKET, "key", upload_id))

        thread = threading.Thread(target=work)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            thread.start()
            while thread.is_alive():
                gc.collect()
            outcomes.append(asyncio.run(obsabort.Client(**settings(server)).abort_many_async(BUCKET, [("key", "x")])))
        self.assertEqual((outcomes[0].code, outcomes[1].missing), (Code.OK, 1))

    def test_credentials_rotated_under_load_with_two_clients(self):
        server = self.serve("--uploads", f"{BUCKET}:2000:{2 * DAY}", "--latency-ms", "5")
        found = list(self.client(server).abort_stale(BUCKET, DAY, dry_run=True))
        first, second = self.client(server), self.client(server)
        ended, done, rotations = [], threading.Event(), 0

        def work(client, part):
            for outcome in part:
                ended.append(client.try_abort(BUCKET, outcome.key, outcome.upload_id).code)

        threads = [threading.Thread(target=work, args=((first, second)[n % 2], found[n::8])) for n in range(8)]
        for thread in threads:
            thread.start()
        pair = 0
        while any(thread.is_alive() for thread in threads):
            pair += 1
            server.control(f"add-key ACCESSKEY{pair} secret-{pair}")
            for client in (first, second):
                client.set_credentials(f"ACCESSKEY{pair}", f"secret-{pair}")
                rotations += 1
            time.sleep(0.005)
        self.assertEqual(ended, [Code.OK] * 2000)
        self.assertGreater(rotations, 10)
        self.assertEqual(self.left(server), 0)


class Ending(Case):
    """A process that ends with 64 calls in flight ends soon, by itself, and in silence."""

    def ended(self, program, seconds=1.5):
        server = self.serve("--uploads", f"{BUCKET}:500:{2 * DAY}", "--fault", HANGS)
        said, code, took = self.child(server, program, options=("-X", "faulthandler"))
        self.assertEqual((said, code), ("", 0))
        return took

    def test_of_daemon_threads(self):
        with Timed() as timed:
            self.ended("""
                def work():
                    try:
                        client.abort("bucket", "key", "id")
                    except obsabort.CancelledError:
                        pass
                for _ in range(64):
                    threading.Thread(target=work, daemon=True).start()
                time.sleep(0.5)
            """)
        self.assertLess(timed.took, 3)

    def test_of_tasks(self):
        with Timed() as timed:
            self.ended("""
                client = obsabort.Client(**settings, max_concurrent=64)
                async def main():
                    tasks = [asyncio.ensure_future(client.abort_async("bucket", "key", "id")) for _ in range(64)]
                    await asyncio.sleep(0.5)
                asyncio.run(main())
            """)
        self.assertLess(timed.took, 3)

    def test_with_callbacks_of_sweeps_and_log(self):
        """Every 250 ms, or at each line, the library is about to call Python."""
        with Timed() as timed:
            self.ended("""
                client = obsabort.Client(**settings, log=lambda *_: time.sleep(0.001), log_level=10)
                def work(n):
                    try:
                        if n % 2:
                            client.abort_stale("bucket", 86400).run(lambda now: None)
                        else:
                            for _ in client.abort_stale("bucket", 86400):
                                pass
                    except obsabort.CancelledError:
                        pass
                for n in range(16):
                    threading.Thread(target=work, args=(n,), daemon=True).start()
                kept = client.abort_stale("bucket", 86400, dry_run=True)
                next(kept)
                time.sleep(0.7)
            """)
        self.assertLess(timed.took, 4)


class Forking(Case):
    def test_a_child_uses_its_parents_client(self):
        """While the parent's threads are inside calls."""
        server = self.serve("--fault", HANGS.replace("always", "key=hangs;always"))
        program = """
            def work():
                try:
                    client.abort("bucket", "hangs", "id")
                except obsabort.CancelledError:
                    pass
            for _ in range(8):
                threading.Thread(target=work, daemon=True).start()
            async def asynchronous():
                try:
                    await client.abort_async("bucket", "key", "id")
                except obsabort.NoSuchUploadError:
                    return True
            asyncio.run(asynchronous())
            time.sleep(0.2)
            for _ in range(5):
                child = os.fork()
                if child == 0:
                    codes = [client.try_abort("bucket", "key", "id").code]
                    assert asyncio.run(asynchronous())
                    client.close()
                    sys.exit(0 if codes == [31] else 1)
                assert os.waitpid(child, 0)[1] == 0
            client.close()
            print("done")
        """
        said, code, _ = self.child(server, program, options=("-W", "ignore::DeprecationWarning"))
        self.assertEqual((said, code), ("done\n", 0))


class Documentation(Case):
    def test_the_page_and_the_readmes(self):
        """Each program of docs/python.md and of README's section, with the server's endpoint for Huawei's."""
        root = os.path.join(HERE, "../../..")
        for page in ("docs/python.md", "README.md", "bindings/python/README.md"):
            with open(os.path.join(root, page)) as file:
                programs = re.findall(r"(?ms)^```python\n(.*?)^```", file.read())
            self.assertTrue(programs, page)
            for number, program in enumerate(programs):
                server = self.serve("--uploads", f"{BUCKET}:5:{30 * DAY}:backups/")
                upload_id = self.initiate(server, "path/to/key")
                program = program.replace("https://obs.eu-101.myhuaweicloud.com", server.endpoint).replace("UPLOAD_ID", upload_id)
                environment = {
                    **os.environ,
                    "OBS_ENDPOINT": server.endpoint,
                    "OBS_ACCESS_KEY_ID": server.access_key,
                    "OBS_SECRET_ACCESS_KEY": server.secret_key,
                    "no_proxy": "*",
                }
                with self.subTest(page=page, program=number):
                    done = support.run([sys.executable, "-W", "error", "-c", program, BUCKET, "path/to/key", upload_id], env=environment)
                    self.assertEqual(done.stderr, "")
                    self.assertRegex(done.stdout, "aborted|^gone$")
                server.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unittest.main(verbosity=2)
