"""The C programs and tests/sanitize/driver.c under valgrind memcheck, against obs-local on plain HTTP: no
error, no leak.

EXAMPLES_DIR is where `make -C examples-c` put the programs. Plain HTTP, since memcheck misreads
the assembly that ciphers are written in.
"""

import os
import unittest

import s3client
import support
from tool_terminal import tool_path

BUCKET, LEFTOVERS = "memcheck", "leftovers"
FOUND_SOMETHING = 99

server = None
other = None
library_dir = None


def setUpModule():
    global server, other, library_dir
    support.need(("valgrind",), "valgrind")
    # The programs ask for the SONAME; they must get the library under test, not another build.
    library_dir = support.temp_dir_with_library()
    server = support.ObsLocal("--uploads", f"{LEFTOVERS}:60:172800:old/:7")
    other = s3client.S3(server.port, server.access_key, server.secret_key)
    other.create_bucket(BUCKET)


def tearDownModule():
    if other:
        other.close()
    if server:
        server.stop()


class Memcheck(unittest.TestCase):
    def memcheck(self, program, *arguments, secret_key=None, **options):
        """Runs it, fails on anything memcheck found, and returns the finished process."""
        path = os.path.join(os.environ.get("EXAMPLES_DIR", ""), program)
        self.assertTrue(os.path.exists(path), f"EXAMPLES_DIR must hold {program}, not found: {path}")
        log = os.path.join(support.temp_dir(), "valgrind.log")
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        env.update(
            LD_LIBRARY_PATH=library_dir,
            OBS_ACCESS_KEY_ID=server.access_key,
            OBS_SECRET_ACCESS_KEY=secret_key or server.secret_key,
        )
        command = ["valgrind", "--tool=memcheck", f"--error-exitcode={FOUND_SOMETHING}"]
        command += ["--leak-check=full", "--errors-for-leak-kinds=definite"]
        command += ["--num-callers=40", f"--log-file={log}", path]
        done = support.run(command + list(arguments), 120, env, check=False, **options)
        with open(log) as file:
            report = file.read()
        self.assertIn("ERROR SUMMARY: 0 errors", report, f"{done.stdout}\n{done.stderr}")
        self.assertNotEqual(done.returncode, FOUND_SOMETHING, report)
        return done

    def initiate(self, key):
        upload_id = other.initiate(BUCKET, key)
        other.upload_part(BUCKET, key, upload_id, 1, b"part")
        return upload_id

    def abort_one(self, upload_id, expected, endpoint=None, **options):
        done = self.memcheck(
            *("abort_one", endpoint or server.endpoint, BUCKET, "a key", upload_id), **options
        )
        self.assertEqual(done.returncode, expected, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_one_upload_and_again(self):
        upload_id = self.initiate("a key")
        self.assertIn("204", self.abort_one(upload_id, 0))
        self.assertIsNone(other.list_parts(BUCKET, "a key", upload_id))
        self.assertIn("no_such_upload", self.abort_one(upload_id, 1))

    def test_refused(self):
        upload_id = self.initiate("a key")
        self.assertIn("access_denied", self.abort_one(upload_id, 1, secret_key="wrong"))

    def test_bad_argument(self):
        self.assertIn("invalid_argument", self.abort_one("", 1))

    def test_bad_endpoint(self):
        self.assertIn("invalid_config", self.abort_one("id", 1, endpoint="ftp://127.0.0.1"))

    def test_nobody_listens(self):
        endpoint = f"http://127.0.0.1:{support.free_port()}"
        self.assertIn("connect", self.abort_one("id", 1, endpoint=endpoint))

    def test_name_does_not_resolve(self):
        endpoint = f"http://no-such-host.invalid:{support.free_port()}"
        self.assertIn("resolve", self.abort_one("id", 1, endpoint=endpoint))

    def test_threads(self):
        keys = [f"key {number % 10}" for number in range(120)]
        lines = [f"{key}\t{self.initiate(key)}\n" for key in keys]
        lines += ["key 1\tunknown\n"] * 5
        done = self.memcheck(
            *("abort_threads", server.endpoint, BUCKET, "8"), input="".join(lines)
        )
        self.assertEqual(done.stdout, "120 aborted, 5 gone already, 0 failed\n", done.stderr)
        self.assertEqual(other.list_uploads(BUCKET, "key "), [])

    def test_every_function(self):
        """tests/sanitize/driver.c, which the sanitizers run, too."""
        support.need(("cc",), "gcc")
        driver = support.build_host(library_dir, "driver", "../sanitize/driver.c", "-std=c99", "-g", "-O1")
        options = []
        for name, count in ("single", 4), ("threads", 16), ("many", 20), ("rest", 20), ("stale", 30):
            options += ["--uploads", f"driver:{count}:172800:{name}/:5"]
        # Within a prefix, one key has several uploads: the driver aborts by id.
        options += ["--page-cap", "10", "--fault", "silence;then=stall;key=stall;always"]
        with support.ObsLocal(*options) as own:
            self.assertEqual(own.secret_key, server.secret_key)
            done = self.memcheck(driver, own.endpoint, "driver")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_sweep(self):
        self.assertEqual(len(other.list_uploads(LEFTOVERS)), 60)
        listed = [f"{u.key}\t{u.upload_id}\n" for u in other.list_uploads(LEFTOVERS)]
        done = self.tool("--from", "-", f"obs://{LEFTOVERS}", input="".join(listed[:20]))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(len(other.list_uploads(LEFTOVERS)), 40)
        done = self.tool("--stale", "24h", "--yes", f"obs://{LEFTOVERS}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(other.list_uploads(LEFTOVERS), [])

    def tool(self, *arguments, **options):
        return self.memcheck(tool_path(), "--endpoint", server.endpoint, *arguments, **options)


if __name__ == "__main__":
    unittest.main()
