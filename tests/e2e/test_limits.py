"""No number and no length from the caller sizes an allocation: a process with little memory gets a code, and lives.

Each case runs in a child of its own whose address space is limited.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import unittest

import obsabort
import support

BUCKET = "limits"
MEBIBYTE = 1 << 20
LIMIT = 700 * MEBIBYTE
HUGE = 256 * MEBIBYTE
REFUSED = obsabort.INVALID_ARGUMENT
UINT32_MAX, SIZE_MAX, ISIZE_MAX = 2**32 - 1, 2**64 - 1, 2**63 - 1
server = None


def setUpModule():
    global server
    server = support.ObsLocal("--uploads", f"{BUCKET}:40:172800")


def tearDownModule():
    if server:
        server.stop()


class Limits(unittest.TestCase):
    def child(self, case, *arguments, processes=None):
        """Runs a case of this file in a child with little memory -> what it printed."""

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))

        command = [sys.executable, os.path.abspath(__file__), case, server.endpoint, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, preexec_fn=limit)
        self.assertEqual(done.returncode, 0, f"{case}: {done.stdout}\n{done.stderr}")
        return json.loads(done.stdout)

    def test_max_connections(self):
        for n, code in ((0, REFUSED), (1, 0), (1024, 0), (1025, REFUSED), (1 << 31, REFUSED), (UINT32_MAX, REFUSED)):
            with self.subTest(n):
                self.assertEqual(self.child("max_connections", n), {"set": code})

    def test_as_many_connections_as_are_allowed(self):
        """Threads that can't be had are done without."""
        told = self.child("sweep", 1024)
        self.assertEqual((told["code"], told["aborted"]), (0, 40), told)

    def test_counts_beyond_memory(self):
        for count in (SIZE_MAX, ISIZE_MAX, ISIZE_MAX // 16 + 1):
            with self.subTest(count):
                self.assertEqual(self.child("count", count), {"code": REFUSED, "report": False})

    def test_a_long_list_is_not_copied(self):
        """Two million entries that all point at the same bad one: 32 MB of the caller's, and next to nothing of ours."""
        told = self.child("long_list", 2_000_000)
        self.assertEqual((told["code"], told["failed"], told["failures"]), (obsabort.PARTIAL, 2_000_000, 1000), told)
        self.assertLess(told["grown_kb"], 16 * 1024)

    def test_huge_strings(self):
        told = self.child("huge_strings")
        for name, code in told.items():
            with self.subTest(name):
                self.assertEqual(code, REFUSED, told)
        self.assertGreater(len(told), 12)


def peak_kb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def client_of(endpoint, **more):
    credentials = (support.ObsLocal.access_key, support.ObsLocal.secret_key)
    return obsabort.Client(endpoint=endpoint, proxy="", credentials=credentials, **more)


def max_connections(endpoint, n):
    return {"set": obsabort.Config(endpoint=endpoint).set("max_connections", int(n))}


def sweep(endpoint, connections):
    with client_of(endpoint, max_connections=int(connections)) as client:
        code, report, _ = client.stale(BUCKET, 3600)
    return {"code": code, "aborted": report.aborted}


def count(endpoint, n):
    report = ctypes.c_void_p()
    one = (obsabort.Upload * 1)(obsabort.Upload(b"key", b"id"))
    with client_of(endpoint) as client:
        code = obsabort.function("many")(
            client.pointer, None, BUCKET.encode(), one, int(n), obsabort.PROGRESS_FN(), None, ctypes.byref(report), None
        )
    return {"code": code, "report": bool(report)}


def long_list(endpoint, n):
    bad = obsabort.Upload(b"key", b"")
    uploads = (obsabort.Upload * int(n))()
    ctypes.memmove(uploads, ctypes.byref(bad), ctypes.sizeof(bad))
    # Doubled until full: a loop over two million would take longer than the test.
    done = ctypes.sizeof(bad)
    while done < ctypes.sizeof(uploads):
        piece = min(done, ctypes.sizeof(uploads) - done)
        ctypes.memmove(ctypes.addressof(uploads) + done, uploads, piece)
        done += piece
    with client_of(endpoint) as client:
        before = peak_kb()
        code, report, _ = client.sweep_array(BUCKET, uploads)
        grown = peak_kb() - before
    return {"code": code, "failed": report.failed, "failures": len(report.failures), "grown_kb": grown}


def huge_strings(endpoint):
    """A quarter of a gigabyte, mapped once: no second copy of it would fit."""
    huge = ctypes.create_string_buffer(b"a" * 1, HUGE)
    ctypes.memset(huge, ord("a"), HUGE - 1)
    told = {}
    config = obsabort.function("config_new")()
    for name in ("endpoint", "ca_file", "proxy", "user_agent"):
        told[f"set_{name}"] = obsabort.function(f"config_set_{name}")(config, huge)
    told["access_key"] = obsabort.function("config_set_credentials")(config, huge, b"s", None)
    told["secret_key"] = obsabort.function("config_set_credentials")(config, b"a", huge, None)
    told["security_token"] = obsabort.function("config_set_credentials")(config, b"a", b"s", huge)
    told["certificate"] = obsabort.function("config_set_client_certificate")(config, huge, b"x")
    told["key_path"] = obsabort.function("config_set_client_certificate")(config, b"x", huge)
    obsabort.function("config_free")(config)
    names = ("bucket", "key", "upload_id")
    with client_of(endpoint, log=(lambda *_: None, obsabort.LOG_DEBUG)) as client:
        for name in names:
            arguments = [huge if name == other else other.encode() for other in names]
            told[name] = obsabort.function("multipart")(client.pointer, *arguments, None, None)
            outcome = ctypes.c_void_p()
            told[f"outcome_{name}"] = obsabort.function("multipart_outcome")(
                client.pointer, None, *arguments, ctypes.byref(outcome)
            )
            obsabort.function("outcome_free")(outcome)
        told["prefix"] = obsabort.function("stale")(
            client.pointer, None, BUCKET.encode(), huge, 3600, 0, obsabort.PROGRESS_FN(), None, None, None
        )
        one = (obsabort.Upload * 1)()
        ctypes.memmove(one, ctypes.byref(ctypes.c_void_p(ctypes.addressof(huge))), 8)
        code, report, _ = client.sweep_array(BUCKET, one)
        told["entry"] = report.failures[0].code
    return told


if __name__ == "__main__":
    case, endpoint, *rest = sys.argv[1:]
    print(json.dumps(globals()[case](endpoint, *rest)))
