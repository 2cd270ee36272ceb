"""obs-abort from outside: exit status, output for people and for scripts, terminal, interruption.

OBS_ABORT_TOOL names the program, OBS_LOCAL the obs-local program.
"""

import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

import s3client
import support
import tls_certs
import tool_terminal
from tool_terminal import Pty, Tmux, environment, run

HOUR, DAY = 3600, 86400


class Listener:
    """A port that accepts connections and never answers; it counts them."""

    access_key, secret_key = "AK", "SK"

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.socket.setblocking(False)
        self.endpoint = "http://127.0.0.1:%d" % self.socket.getsockname()[1]

    def connections(self):
        count = 0
        try:
            while True:
                self.socket.accept()[0].close()
                count += 1
        except BlockingIOError:
            return count


class WithListener(unittest.TestCase):
    def setUp(self):
        self.listener = Listener()
        self.addCleanup(self.listener.socket.close)
        self.env = environment(self.listener)


class WithServer(unittest.TestCase):
    options = ()

    def setUp(self):
        self.server = support.ObsLocal("--bucket", "leftovers", *self.options)
        self.addCleanup(self.server.stop)
        self.s3 = s3client.S3(self.server.port, self.server.access_key, self.server.secret_key)
        self.addCleanup(self.s3.close)
        self.env = environment(self.server)

    def left(self, prefix=None):
        return self.s3.list_uploads("leftovers", prefix)

    def objects(self, done):
        """Standard output as JSON, each line an object by itself; the summary comes last and alone."""
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["type"] for line in lines], ["upload"] * (len(lines) - 1) + ["summary"])
        self.assertEqual(lines[-1]["exit_status"], done.returncode)
        return lines[:-1], lines[-1]


class Help(unittest.TestCase):
    def test_help_fits_a_screen(self):
        done = run("--help", env=environment())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertLess(len(lines), 24, "the prompt takes a line, too")
        self.assertLess(max(map(len, lines)), 80)
        self.assertEqual(run("-h", env=environment()).stdout, done.stdout)

    def test_help_names_every_option_of_the_manual(self):
        manual = os.path.join(os.path.dirname(__file__), "../../examples-c/obs-abort.1")
        with open(manual) as file:
            options = set(re.findall(r"Fl \\-([a-z][a-z-]+)", file.read()))
        self.assertGreater(len(options), 20)
        shown = set(re.findall(r"--([a-z][a-z-]+)", run("--help", env=environment()).stdout))
        self.assertEqual(options, shown)

    def test_version(self):
        done = run("--version", env=environment())
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^obs-abort \d+\.\d+\.\d+\n$")


class Usage(WithListener):
    def refused(self, *arguments, says="", stdin=None):
        with self.subTest(arguments):
            done = run(*arguments, env=self.env, stdin=stdin)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(done.stdout, "")
            self.assertTrue(done.stderr.startswith("obs-abort: "), done.stderr)
            self.assertIn(says, done.stderr)
            self.assertEqual(self.listener.connections(), 0)

    def test_wrong_usage(self):
        self.refused()
        self.refused("--no-such-option", "obs://bucket", says="no-such-option")
        self.refused("-x", "obs://bucket")
        self.refused("--list", says="bucket")
        self.refused("obs://bucket/key")
        self.refused("obs://bucket", "ID")
        self.refused("obs://bucket/", "ID")
        self.refused("obs:///key", "ID")
        self.refused("bucket/key", "ID", says="obs://")
        self.refused("https://bucket/key", "ID", says="obs://")
        self.refused("obs://bucket/key", "ID", "more")
        self.refused("--list", "obs://bucket/key", says="--prefix")
        self.refused("--stale", "1h", "--yes", "obs://bucket/key", says="--prefix")
        self.refused("--from", "-", "obs://bucket/key")
        self.refused("--stale", "1h", "--list", "obs://bucket")
        self.refused("--list", "--from", "-", "obs://bucket")
        self.refused("--endpoint")
        self.refused("--json=yes", "--list", "obs://bucket")
        self.refused("--addressing", "sideways", "--list", "obs://bucket", says="--addressing")
        self.refused("--signature", "v4", "--list", "obs://bucket", says="--signature")
        self.refused("--credentials", "postcard", "--list", "obs://bucket", says="--credentials")
        self.refused("--timeout", "0", "--list", "obs://bucket", says="--timeout")
        self.refused("--timeout", "5x", "--list", "obs://bucket")
        self.refused("--timeout", "99999999999", "--list", "obs://bucket")
        self.refused("--max-attempts", "0", "--list", "obs://bucket")
        self.refused("--connections", "-3", "--list", "obs://bucket")
        self.refused("--client-cert", "cert.pem", "--list", "obs://bucket", says="--client-key")

    def test_an_option_without_effect_is_refused(self):
        self.refused("--dry-run", "obs://bucket/key", "ID", says="--dry-run")
        self.refused("--dry-run", "--from", "-", "obs://bucket", says="--dry-run")
        self.refused("--prefix", "p", "obs://bucket/key", "ID", says="--prefix")
        self.refused("--yes", "--list", "obs://bucket", says="--yes")

    def test_ages(self):
        bad = "24 0h 0s 0 -1h 1.5h h 1w 1hour 24H +1h 1h30m 0x10s 18446744073709551616s 999999999999999999d"
        for age in bad.split() + ["", " 1h", "1h ", "1h\n", "9223372036854775807m"]:
            self.refused("--stale", age, "--yes", "obs://bucket")
            self.refused(f"--stale={age}", "--yes", "obs://bucket")
        self.refused("--stale", "0s", "--yes", "obs://bucket", says="--include-live")
        self.refused("--stale", "1h", "--include-live", "--yes", "obs://bucket")

    def test_a_sweep_without_a_terminal_wants_yes(self):
        self.refused("--stale", "1h", "obs://bucket", says="--yes")
        self.refused("--stale", "1h", "obs://bucket", says="--yes", stdin="y\n")
        self.refused("--stale", "1h", "--json", "obs://bucket", says="--yes")

    def test_what_the_library_refuses_unsent(self):
        self.refused("--list", "obs://No_Bucket", says="bucket")
        self.refused("obs://ab/key", "ID", says="bucket")
        self.refused("obs://bucket/key", "", says="upload")
        self.refused("obs://bucket/key", "   ", says="upload")
        self.refused("obs://bucket/key", "ID\n", says="upload")
        self.refused("obs://bucket/" + "k" * 1025, "ID", says="key")

    def test_a_malformed_list_aborts_nothing(self):
        for line in ("no tab", "a\tb\tID", "a\tb\tc\tID", 'a\tb\tID\t2026\tx', '"open\tID', '"a"b\tID', '"\\q"\tID',
                     '"\\x00"\tID', '"\\xZZ"\tID', "nul\0\tID"):
            self.refused("--from", "-", "obs://bucket", says="line 2", stdin=f"good\tID\n{line}\n")


class Start(WithListener):
    """Exit status 3: nothing was aborted, and the reason is said."""

    def fails(self, *arguments, env, says, stdin=None, seconds=30):
        done = run(*arguments, env=env, stdin=stdin, seconds=seconds)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertIn(says, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), len(set(done.stderr.splitlines())), done.stderr)
        return done.stderr

    def each_mode(self, *options, env, says, seconds=30):
        for arguments, stdin in (
            (["obs://bucket/key", "ID"], None),
            (["--list", "obs://bucket"], None),
            (["--stale", "1h", "--yes", "obs://bucket"], None),
            (["--from", "-", "obs://bucket"], "one\tID\n"),
        ):
            with self.subTest(arguments[0]):
                self.fails(*options, *arguments, env=env, says=says, stdin=stdin, seconds=seconds)

    def test_no_endpoint(self):
        self.each_mode(env=dict(self.env, OBS_ENDPOINT=""), says="OBS_ENDPOINT")

    def test_bad_endpoint(self):
        for endpoint in ("ftp://host", "http://user@host", "http://host/path", "http://host:0", "http://host:99999"):
            self.fails("--list", "--endpoint", endpoint, "obs://bucket", env=self.env, says="endpoint")

    def test_missing_credentials(self):
        env = environment(OBS_ENDPOINT=self.listener.endpoint)
        self.each_mode(env=env, says="no_credentials")
        self.assertEqual(self.listener.connections(), 0)

    def test_unreachable_endpoint(self):
        endpoint = "http://127.0.0.1:%d" % support.free_port()
        self.each_mode("--max-attempts", "2", env=dict(self.env, OBS_ENDPOINT=endpoint), says="connect")

    def test_an_endpoint_that_never_answers_a_listing(self):
        says = self.fails("--timeout", "500ms", "--list", "obs://bucket", env=self.env, says="timeout")
        self.assertIn("obs-abort: ", says)

    def test_wrong_certificate(self):
        support.need(["openssl"], "openssl")
        directory = support.temp_dir()
        good, other = (tls_certs.Authority(directory, name) for name in ("good", "other"))
        port = serve_tls(self, good.server("server"))
        env = dict(self.env, OBS_ENDPOINT=f"https://127.0.0.1:{port}")
        self.each_mode("--ca-file", other.certificate, "--max-attempts", "1", env=env, says="tls")
        missing = os.path.join(directory, "no-such.pem")
        self.fails("--list", "--ca-file", missing, "obs://bucket", env=env, says="ca")

    def test_missing_files(self):
        missing = os.path.join(support.temp_dir(), "missing")
        self.fails("--from", missing, "obs://bucket", env=self.env, says=missing)
        self.fails("--list", "--credentials", "file:" + missing, "obs://bucket", env=self.env, says=missing)

    def test_json_tells_it_too(self):
        endpoint = "http://127.0.0.1:%d" % support.free_port()
        for env in (dict(self.env, OBS_ENDPOINT=endpoint), environment(OBS_ENDPOINT=endpoint), environment()):
            done = run("--json", "--max-attempts", "1", "--list", "obs://bucket", env=env)
            self.assertEqual(done.returncode, 3)
            summary = json.loads(done.stdout)
            self.assertEqual((summary["type"], summary["exit_status"], summary["total"]), ("summary", 3, 0))
            self.assertTrue(summary["message"])
            self.assertNotEqual(summary["code"], 0)


def serve_tls(test, certificate, client_ca=None, seen=None):
    """Handshakes with whoever comes, and hangs up; `seen` gets the clients' certificates. The port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    listener = socket.create_server(("127.0.0.1", 0))
    test.addCleanup(listener.close)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as stream:
                    if seen is not None:
                        seen.append(stream.getpeercert())
            except OSError:
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


class Recorder(http.server.ThreadingHTTPServer):
    """Notes each request and answers all alike: also a proxy, to which any host name may be said."""

    access_key, secret_key = "AK", "SK"

    def __init__(self, test, status=204):
        self.requests, self.status, self.at_once, self.most_at_once = [], status, 0, 0
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), RecorderRequest)
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()
        test.addCleanup(self.server_close)
        test.addCleanup(self.shutdown)


class RecorderRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        recorder = self.server
        with recorder.lock:
            recorder.requests.append((self.command, self.path, self.headers))
            recorder.at_once += 1
            recorder.most_at_once = max(recorder.at_once, recorder.most_at_once)
        time.sleep(0.05)
        with recorder.lock:
            recorder.at_once -= 1
        gone = self.command == "GET"
        self.send_response(404 if gone else recorder.status)
        if gone:
            self.send_header("x-obs-error-code", "NoSuchUpload")
            self.send_header("x-amz-error-code", "NoSuchUpload")
        if gone or recorder.status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    do_DELETE = do_GET = answer

    def log_message(self, *_):
        pass


class Connection(unittest.TestCase):
    """Each option has the effect on the wire that its name says."""

    def abort(self, *options, status=0, answers=204, env=None):
        recorder = Recorder(self, answers)
        options = [option.replace("RECORDER", recorder.endpoint) for option in options]
        done = run(*options, "obs://bucket/key", "ID", env=dict(environment(recorder), **(env or {})))
        self.assertEqual(done.returncode, status, done.stderr)
        return recorder.requests

    def test_by_default(self):
        ((method, target, headers),) = self.abort()
        self.assertEqual((method, target), ("DELETE", "/bucket/key?uploadId=ID"))
        self.assertRegex(headers["Authorization"], "^AWS AK:")
        self.assertRegex(headers["User-Agent"], r"^obs-abort/\d\S* libobsabort/\d")
        self.assertNotIn("x-amz-request-payer", headers)

    def test_signature(self):
        ((_, _, headers),) = self.abort("--signature", "obs")
        self.assertRegex(headers["Authorization"], "^OBS AK:")

    def test_proxy_and_addressing(self):
        proxied = ("--endpoint", "http://obs.test", "--proxy", "RECORDER")
        ((_, target, headers),) = self.abort(*proxied)
        self.assertEqual(target, "http://bucket.obs.test/key?uploadId=ID")
        self.assertRegex(headers["Authorization"], "^OBS AK:")
        ((_, target, _),) = self.abort(*proxied, "--addressing", "path")
        self.assertEqual(target, "http://obs.test/bucket/key?uploadId=ID")
        ((_, target, _),) = self.abort(*proxied, "--addressing=custom-domain")
        self.assertEqual(target, "http://obs.test/key?uploadId=ID")

    def test_an_empty_proxy_is_none(self):
        nobody = "http://127.0.0.1:%d" % support.free_port()
        env = {"http_proxy": nobody, "no_proxy": ""}
        self.assertEqual(len(self.abort("--proxy", "", env=env)), 1)
        self.abort("--max-attempts=1", env=env, status=3)

    def test_request_payer(self):
        ((_, _, headers),) = self.abort("--request-payer")
        self.assertEqual(headers["x-amz-request-payer"], "requester")

    def test_security_token(self):
        ((_, _, headers),) = self.abort(env={"OBS_SECURITY_TOKEN": "TOKEN"})
        self.assertEqual(headers["x-amz-security-token"], "TOKEN")

    def test_max_attempts(self):
        self.assertEqual(len(self.abort("--max-attempts", "1", answers=500, status=1)), 1)
        self.assertEqual(len(self.abort("--max-attempts", "3", answers=500, status=1)), 3)

    def test_confirm(self):
        self.assertEqual([method for method, _, _ in self.abort("--confirm")], ["DELETE", "GET"])

    def test_connections(self):
        for limit in (1, 5):
            recorder = Recorder(self)
            lines = "".join(f"key {n}\tID\n" for n in range(20))
            done = run("--connections", str(limit), "--from", "-", "obs://bucket", env=environment(recorder), stdin=lines)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(recorder.most_at_once, limit)

    def test_timeouts(self):
        listener = Listener()
        self.addCleanup(listener.socket.close)
        started = time.monotonic()
        done = run("--timeout", "700ms", "obs://bucket/key", "ID", env=environment(listener))
        self.assertEqual(done.returncode, 1, "the request may have been carried out")
        self.assertIn("timeout", done.stderr)
        self.assertAlmostEqual(time.monotonic() - started, 0.7, delta=0.3)
        done = run("--connect-timeout", "500ms", "--max-attempts", "1", "--endpoint",
                   listener.endpoint.replace("http:", "https:"), "obs://bucket/key", "ID", env=environment(listener))
        self.assertEqual(done.returncode, 3)
        self.assertIn("tls", done.stderr)

    def test_client_certificate(self):
        support.need(["openssl"], "openssl")
        authority = tls_certs.Authority(support.temp_dir(), "ca")
        client, seen = authority.client("operator"), []
        port = serve_tls(self, authority.server("server"), client_ca=authority.certificate, seen=seen)
        run("--ca-file", authority.certificate, "--client-cert", client.certificate, "--client-key", client.key,
            "--max-attempts", "1", "--endpoint", f"https://127.0.0.1:{port}", "obs://bucket/key", "ID",
            env=environment(OBS_ACCESS_KEY_ID="AK", OBS_SECRET_ACCESS_KEY="SK"))
        self.assertTrue(seen and seen[0], "the server saw a certificate")


class One(WithServer):
    def test_gone_and_gone_already(self):
        upload_id = self.s3.initiate("leftovers", "a key")
        done = run("obs://leftovers/a key", upload_id, env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^aborted: a key \S+ \(HTTP 204, request id \S+\)\n$")
        self.assertEqual(self.left(), [])
        done = run("obs://leftovers/a key", upload_id, env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^gone already: a key \S+: .*\(HTTP 404, request id \S+\)\n$")

    def test_the_key_is_taken_as_it_stands(self):
        for key in ("a%20b", "/slash//", "?uploadId=x", "-dash", '"quoted"', "钥匙 🗝", "tab\tkey\n"):
            with self.subTest(key):
                upload_id = self.s3.initiate("leftovers", key)
                done = run(f"obs://leftovers/{key}", "--", upload_id, env=self.env)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue(done.stdout.startswith("aborted: "), done.stdout)
                self.assertEqual(len(done.stdout.splitlines()), 1)
                self.assertEqual(self.left(), [])

    def test_failures(self):
        upload_id = self.s3.initiate("leftovers", "key")
        env = dict(self.env, **{tool_terminal.SECRET: "wrong"})
        done = run("obs://leftovers/key", upload_id, env=env)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"^obs-abort: failed: key \S+: access_denied: .*\n$")
        done = run("obs://no-such-bucket/key", upload_id, env=self.env)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no_such_bucket", done.stderr)
        self.assertEqual(len(self.left()), 1)

    def test_json(self):
        upload_id = self.s3.initiate("leftovers", "key")
        done = run("--json", "obs://leftovers/key", upload_id, env=self.env)
        (upload,), summary = self.objects(done)
        self.assertEqual(done.returncode, 0)
        known = {name: upload[name] for name in ("result", "bucket", "key", "upload_id", "code", "http_status", "attempts")}
        self.assertEqual(
            known,
            {"result": "aborted", "bucket": "leftovers", "key": "key", "upload_id": upload_id, "code": 0,
             "http_status": 204, "attempts": 1},
        )
        self.assertTrue(upload["request_id"])
        self.assertIsNone(upload["message"])
        self.assertEqual((summary["total"], summary["aborted"], summary["code_name"]), (1, 1, "ok"))
        (upload,), summary = self.objects(run("--json", "obs://leftovers/key", upload_id, env=self.env))
        self.assertEqual((upload["result"], upload["code_name"], upload["service_code"]),
                         ("missing", "no_such_upload", "NoSuchUpload"))
        self.assertEqual((summary["missing"], summary["exit_status"]), (1, 0))

    def test_credentials_from_a_file(self):
        upload_id = self.s3.initiate("leftovers", "key")
        path = os.path.join(support.temp_dir(), "credentials")
        with open(path, "w") as file:
            file.write(f"# of the test\nOBS_ACCESS_KEY_ID={self.server.access_key}\n\n"
                       f"OTHER=thing\nOBS_SECRET_ACCESS_KEY={self.server.secret_key}\n")
        env = environment(OBS_ENDPOINT=self.server.endpoint)
        done = run("--credentials", f"file:{path}", "obs://leftovers/key", upload_id, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.left(), [])

    def test_verbose_tells_requests_but_no_secret(self):
        upload_id = self.s3.initiate("leftovers", "key")
        quiet = run("--verbose", "obs://leftovers/key", upload_id, env=self.env)
        done = run("-vvv", "obs://leftovers/key", upload_id, env=self.env)
        self.assertGreater(len(done.stderr), len(quiet.stderr))
        self.assertIn("DELETE", done.stderr)
        self.assertNotIn(self.server.secret_key, done.stderr)


HARD_KEYS = ["plain", "two words", "back\\slash", '"quoted"', 'in"side', "tab\tin", "line\nbreak", "escape\x1b[2Jseq",
             "bell\x07", "delete\x7f", "csi\u009b31m", "right\u202eleft", "钥匙 🗝", " ", "%09", "trailing ", "a\r", "#x"]


class List(WithServer):
    def test_columns(self):
        ids = {key: self.s3.initiate("leftovers", key) for key in ("one", "two words")}
        done = run("--list", "obs://leftovers", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        self.assertEqual({row[0]: row[1] for row in rows}, ids)
        for row in rows:
            self.assertRegex(row[2], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.assertRegex(row[3], r"^\d+s$")
        self.assertIn("2 unfinished", done.stderr)
        self.assertEqual(len(self.left()), 2)

    def test_prefix(self):
        for key in ("db/1", "db/2", "web/1"):
            self.s3.initiate("leftovers", key)
        uploads, summary = self.objects(run("--list", "--json", "--prefix", "db/", "obs://leftovers", env=self.env))
        self.assertEqual(sorted(upload["key"] for upload in uploads), ["db/1", "db/2"])
        self.assertEqual((summary["found"], summary["aborted"], summary["dry_run"]), (2, 0, True))

    def test_json_carries_every_key(self):
        ids = {key: self.s3.initiate("leftovers", key) for key in HARD_KEYS}
        done = run("--list", "--json", "obs://leftovers", env=self.env)
        uploads, _ = self.objects(done)
        self.assertEqual({upload["key"]: upload["upload_id"] for upload in uploads}, ids)
        for upload in uploads:
            self.assertEqual(upload["result"], "found")
            self.assertLess(upload["age_seconds"], 60)
        self.assertIsNone(re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.stdout), "no control characters")

    def test_its_lines_fed_back_abort_every_key(self):
        for key in HARD_KEYS:
            self.s3.initiate("leftovers", key)
        listed = run("--list", "obs://leftovers", env=self.env).stdout
        self.assertEqual(len(listed.splitlines()), len(HARD_KEYS), "one line a key, whatever is in it")
        self.assertIsNone(re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", listed))
        done = run("--from", "-", "obs://leftovers", env=self.env, stdin=listed)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{len(HARD_KEYS)} aborted, 0 failed", done.stderr)
        self.assertEqual(self.left(), [])

    def test_no_key_reaches_a_terminal_as_it_is(self):
        for key in HARD_KEYS:
            self.s3.initiate("leftovers", key)
        for options in (["--list"], ["--list", "--json"], ["--stale", "0s", "--include-live", "--dry-run"]):
            with Pty(*options, "obs://leftovers", env=dict(self.env, NO_COLOR="1")) as terminal:
                status, output = terminal.finish()
            self.assertEqual(status, 0)
            self.assertEqual(output.count("upload_id") or output.count("Z\t"), len(HARD_KEYS))
            self.assertIsNone(re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", output), output)

    def test_an_empty_bucket(self):
        done = run("--list", "obs://leftovers", env=self.env)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_a_listing_refused(self):
        done = run("--list", "obs://no-such-bucket", env=self.env)
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertIn("no_such_bucket", done.stderr)


class From(WithServer):
    def make(self, count):
        return "".join(f"key {n}\t{self.s3.initiate('leftovers', f'key {n}')}\n" for n in range(count))

    def test_file_and_stdin(self):
        path = os.path.join(support.temp_dir(), "list")
        with open(path, "w") as file:
            file.write(self.make(20))
        done = run("--from", path, "obs://leftovers", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 20)
        self.assertIn("20 aborted, 0 failed", done.stderr)
        self.assertEqual(self.left(), [])
        done = run("--from=-", "obs://leftovers", env=self.env, stdin=self.make(3).replace("\n", "\r\n\r\n"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.left(), [])

    def test_a_bad_entry_fails_alone(self):
        text = self.make(3) + "long\t" + "i" * 2000 + "\n"
        done = run("--from", "-", "obs://leftovers", env=self.env, stdin=text)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stdout.splitlines()), 3)
        self.assertRegex(done.stderr, "(?m)^obs-abort: failed: long i+: invalid_argument")
        self.assertIn("3 aborted, 1 failed", done.stderr)
        self.assertEqual(self.left(), [])

    def test_gone_already_counts_as_gone(self):
        text = self.make(2)
        done = run("--from", "-", "--json", "obs://leftovers", env=self.env, stdin=text + text)
        uploads, summary = self.objects(done)
        self.assertEqual(done.returncode, 0)
        self.assertEqual((len(uploads), summary["aborted"] + summary["missing"], summary["failed"]), (4, 4, 0))

    def test_an_empty_list(self):
        done = run("--from", "-", "obs://leftovers", env=self.env, stdin="")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("0 aborted", done.stderr)

    def test_quiet(self):
        done = run("--quiet", "--from", "-", "obs://leftovers", env=self.env, stdin=self.make(2))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class Stale(WithServer):
    options = ("--uploads", f"leftovers:25:{3 * DAY}:old/", "--uploads", f"leftovers:4:{2 * HOUR}:young/")

    def test_dry_run_changes_nothing(self):
        done = run("--stale", "24h", "--dry-run", "obs://leftovers", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        keys = [line.split("\t")[0] for line in done.stdout.splitlines()]
        self.assertEqual(sorted(keys), sorted(u.key for u in self.left("old/")))
        self.assertIn("25 would be aborted, 4 younger", done.stderr)
        self.assertEqual(len(self.left()), 29)

    def test_exactly_the_old_ones_go(self):
        done = run("--stale", "24h", "--yes", "obs://leftovers", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 25)
        self.assertTrue(all(line.startswith("aborted\told/") for line in done.stdout.splitlines()))
        self.assertIn("25 aborted, 0 failed, 4 younger", done.stderr)
        self.assertEqual({u.key.split("/")[0] for u in self.left()}, {"young"})
        self.assertEqual(len(self.left()), 4)
        done = run("--stale", "24h", "--yes", "obs://leftovers", env=self.env)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_units(self):
        for age, count in (("4d", 0), ("73h", 0), ("71h", 25), ("121m", 25), ("119m", 29), ("7260s", 25), ("60s", 29)):
            done = run("--stale", age, "--dry-run", "--json", "obs://leftovers", env=self.env)
            self.assertEqual(self.objects(done)[1]["found"], count, age)

    def test_json(self):
        done = run("--stale=24h", "--json", "-y", "--prefix", "old/", "obs://leftovers", env=self.env)
        uploads, summary = self.objects(done)
        self.assertEqual({upload["result"] for upload in uploads}, {"aborted"})
        self.assertEqual({upload["http_status"] for upload in uploads}, {204})
        for upload in uploads:
            self.assertAlmostEqual(upload["age_seconds"], 3 * DAY, delta=120)
        counts = [summary[name] for name in ("total", "aborted", "missing", "failed", "kept", "found")]
        self.assertEqual(counts, [25, 25, 0, 0, 0, 0])
        self.assertEqual((summary["dry_run"], summary["interrupted"]), (False, False))

    def test_live_ones_only_when_asked_for(self):
        fresh = self.s3.initiate("leftovers", "fresh")
        done = run("--stale", "0s", "--include-live", "--dry-run", "--json", "obs://leftovers", env=self.env)
        self.assertIn(fresh, [upload["upload_id"] for upload in self.objects(done)[0]])
        done = run("--stale", "0s", "--include-live", "--yes", "obs://leftovers", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.left(), [])


class Trouble(WithServer):
    """Some uploads fail, or the listing does, half-way."""

    def setUp(self):
        pass

    def sweep(self, *options, fault):
        self.options = ("--uploads", f"leftovers:30:{3 * DAY}", "--page-cap", "10", "--fault", fault)
        super().setUp()
        return run("--stale", "1h", "--yes", "--max-attempts", "1", *options, "obs://leftovers", env=self.env)

    def test_some_failed(self):
        done = self.sweep(fault="answer=403;error=AccessDenied;method=DELETE;skip=5;times=3")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stdout.splitlines()), 27)
        self.assertEqual(len(re.findall("(?m)^obs-abort: failed: .*access_denied.*AccessDenied", done.stderr)), 3)
        self.assertIn("27 aborted, 3 failed", done.stderr)
        self.assertEqual(len(self.left()), 3)

    def test_some_failed_in_json(self):
        done = self.sweep("--json", fault="answer=403;error=AccessDenied;method=DELETE;skip=5;times=3")
        uploads, summary = self.objects(done)
        self.assertEqual((done.returncode, summary["code_name"], summary["failed"]), (1, "partial", 3))
        failed = [upload for upload in uploads if upload["result"] == "failed"]
        self.assertEqual({u.upload_id for u in self.left()}, {upload["upload_id"] for upload in failed})
        for upload in failed:
            self.assertEqual((upload["http_status"], upload["service_code"]), (403, "AccessDenied"))
            self.assertTrue(upload["message"].startswith("access_denied: "))

    def test_the_listing_breaks_off_half_way(self):
        done = self.sweep(fault="answer=403;error=AccessDenied;query=uploads;skip=2;times=1")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stdout.splitlines()), 20)
        self.assertIn("access_denied", done.stderr)
        self.assertIn("20 aborted, 0 failed", done.stderr)
        self.assertEqual(len(self.left()), 10)

    def test_the_listing_is_refused(self):
        done = self.sweep(fault="answer=403;error=AccessDenied;query=uploads;always")
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertIn("access_denied", done.stderr)

    def test_no_upload_could_be_sent(self):
        done = self.sweep(fault="answer=500;method=DELETE;always")
        self.assertEqual(done.returncode, 1, "500 is no reason to look at the configuration")
        self.assertIn("0 aborted, 30 failed", done.stderr)


class Output(WithServer):
    """What becomes of the sweep when standard output does not take its lines."""

    options = ("--uploads", f"leftovers:400:{3 * DAY}", "--latency-ms", "10")
    sweep = ("--stale", "1h", "--yes", "--connections", "2", "obs://leftovers")

    def test_a_full_disk_stops_the_sweep(self):
        with open("/dev/full", "w") as full:
            done = run(*self.sweep, env=self.env, stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output: No space left on device", done.stderr)
        self.assertIn("not begun", done.stderr)
        self.assertGreater(len(self.left()), 300)

    def test_a_reader_that_leaves_stops_the_sweep(self):
        words = [tool_terminal.tool_path(), *self.sweep]
        sweep = subprocess.Popen(words, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        sweep.stdout.readline()
        sweep.stdout.close()
        errors = sweep.stderr.read()
        sweep.stderr.close()
        self.assertEqual(sweep.wait(10), 1)
        self.assertIn("standard output: Broken pipe", errors)
        self.assertGreater(len(self.left()), 300)

    def test_a_list_whose_reader_leaves_is_no_news(self):
        words = [tool_terminal.tool_path(), "--list", "obs://leftovers"]
        done = support.run(["sh", "-c", '"$@" | head -n 1', "sh", *words], env=self.env)
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertNotIn("Broken pipe", done.stderr)

    def test_results_never_go_into_a_connection(self):
        """Descriptor 1 is free when the parent closed it, and the next socket would get its number."""
        listener = socket.create_server(("127.0.0.1", 0))
        received = []

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                received.append(connection.recv(65536))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        words = [tool_terminal.tool_path(), "obs://leftovers/key", "ID"]
        env = dict(self.env, OBS_ENDPOINT="http://127.0.0.1:%d" % listener.getsockname()[1])
        done = support.run(["sh", "-c", '"$@" >&-', "sh", *words], env=env, check=False)
        thread.join(10)
        listener.close()
        self.assertEqual(received, [b""])
        self.assertEqual(done.returncode, 1)

    def test_a_closed_standard_output(self):
        words = [tool_terminal.tool_path(), *self.sweep]
        done = support.run(["sh", "-c", '"$@" >&-', "sh", *words], env=self.env, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output:", done.stderr)
        done = support.run(["sh", "-c", '"$@" >/dev/full', "sh", words[0], "--help"], env=self.env, check=False)
        self.assertEqual(done.returncode, 1)


class Terminal(WithServer):
    """In tmux: what a person sees."""

    options = ("--uploads", f"leftovers:120:{3 * DAY}:old/", "--uploads", f"leftovers:3:{2 * HOUR}:young/",
               "--latency-ms", "100")

    def setUp(self):
        support.need(["tmux"], "tmux")
        super().setUp()
        self.sweep = ("--stale", "24h", "--connections", "4", "obs://leftovers")

    def test_the_question_answered_yes_and_the_bar(self):
        with Tmux(*self.sweep, env=self.env) as terminal:
            screen = terminal.wait_for("[y/N]")
            self.assertRegex(screen, r"120 unfinished uploads in obs://leftovers, 24h old or older")
            self.assertRegex(screen, r"oldest: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(3d 0h ago\)")
            self.assertRegex(screen, r"newest: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(3d 0h ago\)")
            self.assertEqual(len(self.left()), 123)
            terminal.keys("y", "Enter")
            screen = terminal.wait_for("s left")
            self.assertRegex(screen, r"aborting \[#*-+\] +\d+%  \d+ of 123, \d+(\.\d)?/s, \d+s left")
            screen = terminal.wait_for("exit=")
            self.assertIn("exit=0", screen)
            self.assertIn("120 aborted, 0 failed, 3 younger", screen)
            self.assertNotIn("aborting [", screen, "the bar leaves the screen")
        self.assertEqual(len(self.left()), 3)

    def test_the_question_answered_no(self):
        for keys in (["n", "Enter"], ["Enter"], ["C-d"], ["Y", "E", "A", "Enter"]):
            with self.subTest(keys), Tmux(*self.sweep, env=self.env) as terminal:
                terminal.wait_for("[y/N]")
                terminal.keys(*keys)
                screen = terminal.wait_for("exit=")
                self.assertIn("nothing was aborted", screen)
                self.assertIn("exit=1", screen)
        with Pty("--json", *self.sweep, env=self.env) as terminal:
            terminal.read_until("[y/N]")
            terminal.type("n\n")
            status, output = terminal.finish()
            summary = json.loads(output.splitlines()[-1])
            self.assertEqual((status, summary["aborted"], summary["exit_status"]), (1, 0, 1))
        with Tmux(*self.sweep, env=self.env) as terminal:
            terminal.wait_for("[y/N]")
            terminal.keys("C-c")
            self.assertIn("exit=130", terminal.wait_for("exit="))
        self.assertEqual(len(self.left()), 123)

    def test_nothing_to_ask_about(self):
        with Tmux("--stale", "4d", "obs://leftovers", env=self.env) as terminal:
            screen = terminal.wait_for("exit=")
            self.assertIn("0 aborted, 0 failed, 123 younger", screen)
            self.assertIn("exit=0", screen)

    def test_colours(self):
        for name, value, coloured in (("X", "", True), ("NO_COLOR", "", True), ("NO_COLOR", "1", False)):
            with self.subTest(**{name: value}):
                self.s3.initiate("leftovers", "fresh")
                with Tmux("--stale", "0s", "--include-live", "--yes", "--prefix", "fresh", "obs://leftovers",
                          env=dict(self.env, **{name: value})) as terminal:
                    self.assertIn("1 aborted", terminal.wait_for("exit="))
                    self.assertEqual("\x1b[32m1 aborted" in terminal.screen(colours=True), coloured)

    def test_a_dumb_terminal_gets_plain_lines(self):
        with Tmux(*self.sweep, "--yes", env=self.env, before="TERM=dumb ") as terminal:
            screen = terminal.wait_for("exit=0")
            self.assertIn("aborted old/", re.sub(r"\s+", " ", screen))
            self.assertNotIn("\x1b[", terminal.screen(colours=True))

    def test_ctrl_c_once_finishes_what_is_in_flight(self):
        with Tmux(*self.sweep, "--yes", env=self.env) as terminal:
            terminal.wait_for("aborting [")
            terminal.keys("C-c")
            terminal.wait_for("stopping: what is in flight finishes")
            screen = terminal.wait_for("exit=")
        self.assertIn("exit=130", screen)
        aborted, failed = map(int, re.search(r"interrupted: (\d+) aborted, (\d+) failed", screen).groups())
        self.assertEqual(failed, 0, "nothing in flight was cut off")
        self.assertEqual(aborted, 123 - len(self.left()), "what it says is what the server saw")
        self.assertTrue(0 < aborted < 120, aborted)

    def test_the_bar_is_drawn_beside_a_file_but_not_beside_a_pipe(self):
        path = os.path.join(support.temp_dir(), "log")
        with Tmux(*self.sweep, "--yes", "--prefix", "old/", env=self.env, redirect=f">{path}") as terminal:
            terminal.wait_for("aborting [")
            terminal.wait_for("exit=0")
        with open(path) as file:
            self.assertEqual(len(file.read().splitlines()), 120)
        for n in range(40):
            self.s3.initiate("leftovers", f"new/{n}")
        arguments = ("--stale", "0s", "--include-live", "--yes", "--connections", "2", "obs://leftovers")
        with Pty(*arguments, env=self.env, stdout=subprocess.PIPE) as terminal:
            lines = terminal.process.stdout.read().decode().splitlines()
            terminal.process.stdout.close()
            status, output = terminal.finish()
        self.assertEqual((status, len(lines)), (0, 43))
        self.assertNotIn("\r\x1b[K", output)


class Signals(unittest.TestCase):
    """Against a server that never answers, and without a terminal's help."""

    def setUp(self):
        self.listener = Listener()
        self.addCleanup(self.listener.socket.close)
        self.env = environment(self.listener)
        self.list = os.path.join(support.temp_dir(), "list")
        with open(self.list, "w") as file:
            file.write("".join(f"key {n}\tID{n}\n" for n in range(500)))

    def test_ctrl_c_twice_stops_at_once(self):
        for arguments in (["--from", self.list, "obs://bucket"], ["--list", "obs://bucket"], ["obs://bucket/key", "ID"]):
            with self.subTest(arguments[0]), Pty(*arguments, env=self.env) as terminal:
                time.sleep(0.8)
                terminal.type("\x03")
                time.sleep(0.6)
                self.assertIsNone(terminal.process.poll(), "the first lets it finish")
                terminal.type("\x03")
                started = time.monotonic()
                status, output = terminal.finish(5)
                self.assertLess(time.monotonic() - started, 1)
                self.assertEqual(status, 130)
                self.assertIn("interrupted", output)

    def test_a_third_one_ends_it_on_the_spot(self):
        with Pty("--from", self.list, "obs://bucket", env=self.env) as terminal:
            time.sleep(0.5)
            for _ in range(3):
                terminal.process.send_signal(signal.SIGINT)
                time.sleep(0.02)
            self.assertEqual(terminal.finish(1)[0], 130)

    def test_sigterm(self):
        sweep = subprocess.Popen([tool_terminal.tool_path(), "--json", "--from", self.list, "obs://bucket"],
                                 env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        sweep.terminate()
        time.sleep(0.5)
        sweep.terminate()
        output, _ = sweep.communicate(timeout=5)
        self.assertEqual(sweep.returncode, 143)
        lines = [json.loads(line) for line in output.splitlines()]
        summary = lines[-1]
        self.assertEqual((summary["interrupted"], summary["code_name"], summary["exit_status"]), (True, "cancelled", 143))
        self.assertEqual(summary["total"], 500)
        self.assertEqual(summary["failed"], len(lines) - 1)
        self.assertEqual(summary["kept"], 500 - summary["failed"])

    def test_a_signal_that_the_parent_ignores_stays_ignored(self):
        """nohup, and background jobs of a script."""
        words = [tool_terminal.tool_path(), "--timeout", "2s", "--max-attempts", "1", "obs://bucket/key", "ID"]
        sweep = subprocess.Popen(["sh", "-c", 'trap "" INT; exec "$@"', "sh", *words], env=self.env,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        sweep.send_signal(signal.SIGINT)
        _, errors = sweep.communicate(timeout=10)
        self.assertEqual(sweep.returncode, 1)
        self.assertIn("timeout", errors)

    def test_while_a_list_is_read(self):
        with Pty("--from", "-", "obs://bucket", env=self.env) as terminal:
            terminal.type("key\tID\n")
            time.sleep(0.3)
            terminal.type("\x03")
            self.assertEqual(terminal.finish(3)[0], 130)
        self.assertEqual(self.listener.connections(), 0)
