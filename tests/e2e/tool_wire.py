"""obs-abort's options on the wire, and everything that keeps it from starting."""

import json
import os
import time
import unittest

import support
import tls_certs
from tool_servers import Listener, Recorder, WithListener, serve_tls
from tool_terminal import environment, run


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


class Connection(unittest.TestCase):
    """Each option has the effect on the wire that its name says."""

    def abort(self, *options, status=0, answers=204, env=None):
        recorder = Recorder(self, answers)
        options = [option.replace("RECORDER", recorder.endpoint) for option in options]
        done = run(*options, "obs://bucket/key", "ID", env=dict(environment(recorder), **(env or {})))
        self.assertEqual(done.returncode, status, done.stderr)
        return [(seen.method, seen.target, seen.headers) for seen in recorder.journal]

    def test_by_default(self):
        ((method, target, headers),) = self.abort()
        self.assertEqual((method, target), ("DELETE", "/bucket/key?uploadId=ID"))
        self.assertRegex(headers["authorization"], "^AWS AK:")
        self.assertRegex(headers["user-agent"], r"^obs-abort/\d\S* libobsabort/\d")
        self.assertNotIn("x-amz-request-payer", headers)

    def test_signature(self):
        ((_, _, headers),) = self.abort("--signature", "obs")
        self.assertRegex(headers["authorization"], "^OBS AK:")

    def test_proxy_and_addressing(self):
        proxied = ("--endpoint", "http://obs.test", "--proxy", "RECORDER")
        ((_, target, headers),) = self.abort(*proxied)
        self.assertEqual(target, "http://bucket.obs.test/key?uploadId=ID")
        self.assertRegex(headers["authorization"], "^OBS AK:")
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
