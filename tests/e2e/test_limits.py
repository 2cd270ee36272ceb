"""No number and no length from the caller sizes an allocation: a process with little memory gets a code, and lives.

Each case runs in a child of its own whose address space is limited.
"""

import contextlib
import ctypes
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import threading
import unittest

import calls
import obsabort
import support
import tls_certs

BUCKET = "limits"
UNUSED_USER = 54_321
MEBIBYTE = 1 << 20
LIMIT = 700 * MEBIBYTE
HUGE = 256 * MEBIBYTE
REFUSED = obsabort.Code.INVALID_ARGUMENT
UINT32_MAX, SIZE_MAX, ISIZE_MAX = 2**32 - 1, 2**64 - 1, 2**63 - 1
server = None


def setUpModule():
    global server
    server = support.ObsLocal("--uploads", f"{BUCKET}:40:172800")


def tearDownModule():
    if server:
        server.stop()


class Limits(unittest.TestCase):
    def child(self, case, *arguments, endpoint=None, memory=LIMIT):
        """Runs a case of this file in a child with little memory -> what it printed."""

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

        endpoint = endpoint or server.endpoint
        command = [sys.executable, os.path.abspath(__file__), case, endpoint, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, preexec_fn=limit)
        self.assertEqual(done.returncode, 0, f"{case} {arguments}: {done.stdout}\n{done.stderr}")
        return json.loads(done.stdout)

    def test_max_connections(self):
        for n, code in ((0, REFUSED), (1, 0), (1024, 0), (1025, REFUSED), (1 << 31, REFUSED), (UINT32_MAX, REFUSED)):
            with self.subTest(n):
                self.assertEqual(self.child("max_connections", n), {"set": code})

    def test_more_connections_than_memory(self):
        """The threads that are started leave memory for what they do."""
        for memory in (400, 512, 700):
            # Busy enough for every thread that can be had to have an upload of its own.
            with self.subTest(memory), support.ObsLocal("--uploads", f"{BUCKET}:3000:172800", "--latency-ms", "3") as busy:
                told = self.child("sweep", 1024, endpoint=busy.endpoint, memory=memory * MEBIBYTE)
                self.assertEqual((told["code"], told["aborted"]), (0, 3000), told)

    def test_no_thread_to_be_had(self):
        """RLIMIT_NPROC: fewer threads will do, and so will the caller's own."""
        for verb in ("stale", "many"):
            for threads in (1, 4):
                with self.subTest(verb=verb, threads=threads), support.ObsLocal(
                    "--uploads", f"{BUCKET}:40:172800", "--latency-ms", "30"
                ) as fresh:
                    told = self.child("few_threads", verb, threads, endpoint=fresh.endpoint)
                    self.assertEqual(told, {"code": 0, "gone": 40, "told": 40, "beats": True})

    def test_no_thread_to_resolve_on(self):
        told = self.child("unresolved", endpoint=f"http://localhost:{server.port}")
        self.assertEqual(told["code"], 20, told)
        self.assertIn("no thread", told["error"])

    def test_counts_beyond_memory(self):
        for count in (SIZE_MAX, ISIZE_MAX, ISIZE_MAX // 16 + 1):
            with self.subTest(count):
                self.assertEqual(self.child("count", count), {"code": REFUSED, "report": False})

    def test_a_long_list_is_not_copied(self):
        """Two million entries that all point at the same bad one: 32 MB of the caller's, and next to nothing of ours."""
        told = self.child("long_list", 2_000_000)
        self.assertEqual((told["code"], told["failed"], told["failures"]), (obsabort.Code.PARTIAL, 2_000_000, 1000), told)
        self.assertLess(told["grown_kb"], 16 * 1024)

    def test_huge_strings(self):
        told = self.child("huge_strings")
        for name, code in told.items():
            with self.subTest(name):
                self.assertEqual(code, REFUSED, told)
        self.assertGreater(len(told), 12)

    def test_huge_files(self):
        """A path may name anything: a device that never ends, a file of 8 GB."""
        with tempfile.NamedTemporaryFile(suffix=".pem") as sparse:
            os.truncate(sparse.name, 8 << 30)
            certificate = tls_certs.Authority(support.temp_dir(), "limits").certificate
            for path in ("/dev/zero", sparse.name):
                with self.subTest(path):
                    told = self.child("huge_files", path, certificate)
                    for name in ("ca", "certificate", "key", "roots"):
                        self.assertIn("larger than", told[name], told)

    def test_huge_pages(self):
        """Lengths that the server claims size nothing, and what it sends is bounded."""
        for name, fault in HUGE_PAGES.items():
            with self.subTest(name), support.ObsLocal("--bucket", BUCKET, "--fault", f"{fault};query=uploads;always") as huge:
                told = self.child("page", endpoint=huge.endpoint)
                self.assertIn(told["code"], (24, 25), told)
                self.assertLess(told["grown_kb"], 100 * 1024, told)


PAGE = "body=<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
ANSWER = "answer=200;header=Content-Length:18446744073709551615;" + PAGE
CHUNKED = "answer=200;without=Content-Length;header=Transfer-Encoding:chunked;body="
HUGE_PAGES = {
    "a length beyond all memory, and nothing": ANSWER + ";then=close",
    "a tag": f"{ANSWER}<;repeat=400000,{'a' * 100}",
    "tags": f"{ANSWER};repeat=10000000,<a>",
    "empty tags": f"{ANSWER};repeat=10000000,<a/>",
    "uploads": f"{ANSWER};repeat=10000000,<Upload/>",
    "tiny uploads": f"{ANSWER};repeat=10000000,<Upload><Key>k</Key><UploadId>i</UploadId></Upload>",
    "attributes": f"{ANSWER}<a;repeat=10000000, b='c'",
    "a text": f"{ANSWER}<Upload><Key>;repeat=400000,{'a' * 100}",
    "texts": f"{ANSWER};repeat=3000,<Upload><Key>{'a' * 16000}</Key></Upload>",
    "a comment": f"{ANSWER}<!--;repeat=400000,{'a' * 100}",
    "entities": f"{ANSWER}<Upload><Key>;repeat=10000000,&amp\\;",
    "white space": f"{ANSWER};repeat=400000,{' ' * 100}",
    "a chunk beyond all memory": CHUNKED + "FFFFFFFFFFFFFFFF\\r\\n<ListMultipartUploadsResult>;then=close",
    "a chunk larger than a number": CHUNKED + "FFFFFFFFFFFFFFFFF\\r\\n<ListMultipartUploadsResult>;then=close",
    "an extension of a chunk": f"{CHUNKED}1\\;;repeat=400000,{'a' * 100}",
    "trailers": f"{CHUNKED}0\\r\\n;repeat=400000,a: {'a' * 100}\\r\\n;then=close",
}


def peak_kb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def client_of(endpoint, **more):
    credentials = (support.ObsLocal.access_key, support.ObsLocal.secret_key)
    return obsabort.Client(endpoint=endpoint, proxy="", credentials=credentials, **more)


def max_connections(endpoint, n):
    return {"set": calls.Config(endpoint=endpoint).set("max_connections", int(n))}


def sweep(endpoint, connections):
    with client_of(endpoint, max_connections=int(connections)) as client:
        code, report, _ = calls.stale(client, BUCKET, 3600)
    return {"code": code, "aborted": report.aborted}


def few_threads(endpoint, verb, threads):
    """As root, the limit holds only for another user, who here has no other process."""
    found, told, beats = [], 0, 0
    with client_of(endpoint, max_connections=8) as client:
        found.extend(client.abort_stale(BUCKET, 3600, dry_run=True))
        resource.setrlimit(resource.RLIMIT_NPROC, (int(threads), int(threads)))
        if os.getuid() == 0:
            os.setresuid(UNUSED_USER, UNUSED_USER, UNUSED_USER)
        if threads == "1":
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=int).start()
                sys.exit("a thread could be started")

        def progress(now):
            nonlocal told, beats
            told += now.outcome is not None
            beats += now.outcome is None

        if verb == "stale":
            code, report, _ = calls.stale(client, BUCKET, 3600, progress=progress)
        else:
            code, report, _ = calls.many(client, BUCKET, [(each.key, each.upload_id) for each in found], progress=progress)
    return {"code": code, "gone": report.aborted, "told": told, "beats": beats > 0}


def unresolved(endpoint):
    with client_of(endpoint) as client:
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        if os.getuid() == 0:
            os.setresuid(UNUSED_USER, UNUSED_USER, UNUSED_USER)
        code, _, error = calls.multipart(client, BUCKET, "key", "id")
    return {"code": code, "error": error}


def huge_files(endpoint, path, certificate):
    """What each setting says of this path."""
    settings = {
        "ca": {"ca_file": path},
        "certificate": {"client_certificate": (path, path)},
        "key": {"client_certificate": (certificate, path)},
        "roots": {},
    }
    os.environ["SSL_CERT_FILE"] = path
    told = {}
    for name, setting in settings.items():
        config = calls.Config(endpoint="https://localhost", proxy="")
        for function, values in setting.items():
            config.set(function, *values if isinstance(values, tuple) else (values,))
        try:
            config.client().close()
        except obsabort.Error as refused:
            told[name] = str(refused)
        config.free()
    return told


def page(endpoint):
    with client_of(endpoint, max_attempts=1, timeout=20) as client:
        before = peak_kb()
        code, _, error = calls.stale(client, BUCKET, 3600)
        grown = peak_kb() - before
    return {"code": code, "error": error, "grown_kb": grown}


def count(endpoint, n):
    report = ctypes.c_void_p()
    one = (calls.Upload * 1)(calls.Upload(b"key", b"id"))
    with client_of(endpoint) as client:
        code = calls.c.many(
            client._pointer, None, BUCKET.encode(), one, int(n), calls.PROGRESS_FN(), None, ctypes.byref(report), None
        )
    return {"code": code, "report": bool(report)}


def long_list(endpoint, n):
    bad = calls.Upload(b"key", b"")
    uploads = (calls.Upload * int(n))()
    ctypes.memmove(uploads, ctypes.byref(bad), ctypes.sizeof(bad))
    # Doubled until full: a loop over two million would take longer than the test.
    done = ctypes.sizeof(bad)
    while done < ctypes.sizeof(uploads):
        piece = min(done, ctypes.sizeof(uploads) - done)
        ctypes.memmove(ctypes.addressof(uploads) + done, uploads, piece)
        done += piece
    with client_of(endpoint) as client:
        before = peak_kb()
        code, report, _ = calls.many_of_array(client, BUCKET, uploads)
        grown = peak_kb() - before
    return {"code": code, "failed": report.failed, "failures": len(report.failures), "grown_kb": grown}


def huge_strings(endpoint):
    """A quarter of a gigabyte, mapped once: no second copy of it would fit."""
    huge = ctypes.create_string_buffer(b"a" * 1, HUGE)
    ctypes.memset(huge, ord("a"), HUGE - 1)
    told = {}
    config = calls.c.config_new()
    for name in ("endpoint", "ca_file", "proxy", "user_agent"):
        told[f"set_{name}"] = getattr(calls.c, f"config_set_{name}")(config, huge)
    told["access_key"] = calls.c.config_set_credentials(config, huge, b"s", None)
    told["secret_key"] = calls.c.config_set_credentials(config, b"a", huge, None)
    told["security_token"] = calls.c.config_set_credentials(config, b"a", b"s", huge)
    told["certificate"] = calls.c.config_set_client_certificate(config, huge, b"x")
    told["key_path"] = calls.c.config_set_client_certificate(config, b"x", huge)
    calls.c.config_free(config)
    names = ("bucket", "key", "upload_id")
    with client_of(endpoint, log=lambda *_: None, log_level=logging.DEBUG) as client:
        for name in names:
            arguments = [huge if name == other else other.encode() for other in names]
            told[name] = calls.c.multipart(client._pointer, *arguments, None, None)
            outcome = ctypes.c_void_p()
            told[f"outcome_{name}"] = calls.c.multipart_outcome(
                client._pointer, None, *arguments, ctypes.byref(outcome)
            )
            calls.c.outcome_free(outcome)
        told["prefix"] = calls.c.stale(
            client._pointer, None, BUCKET.encode(), huge, 3600, 0, calls.PROGRESS_FN(), None, None, None
        )
        one = (calls.Upload * 1)()
        ctypes.memmove(one, ctypes.byref(ctypes.c_void_p(ctypes.addressof(huge))), 8)
        code, report, _ = calls.many_of_array(client, BUCKET, one)
        told["entry"] = report.failures[0].code
    return told


if __name__ == "__main__":
    case, endpoint, *rest = sys.argv[1:]
    print(json.dumps(globals()[case](endpoint, *rest)))
