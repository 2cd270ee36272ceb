"""What the library promises on every system: tests/portable/portable.c against servers, and what these have seen.

PORTABLE names the program, which may be a script that runs it under an emulator; PORTABLE_SLACK then allows for it.
PORTABLE_STORE, if the system has a store of trusted authorities that is no file, names a script: STORE add|remove
CA_FILE. Everything happens in a network namespace, with a name server of its own.

Needs root (the namespace) and: apt-get install iproute2 mount openssl
"""

import json
import os
import re
import shutil
import unittest
import urllib.parse

import ecs_netns
import s3client
import support
from ecs_dns import SILENT, Dns
from tls_certs import Authority
from tool_terminal import ON_WINDOWS, environment

DAY = 86400
INVALID_CONFIG, RESOLVE, CONNECT, TLS, TIMEOUT, NO_SUCH_UPLOAD, SERVER = 11, 20, 21, 22, 23, 31, 35
# What a machine that is busy may add, in milliseconds; an emulator adds more.
SLACK = int(os.environ.get("PORTABLE_SLACK", "250"))
# 250 ms is the promise.
CANCELLED_WITHIN = 250 + SLACK


def setUpModule():
    global namespace, dns, HOLE, pki
    support.need(("openssl",), "openssl")
    namespace = ecs_netns.Namespace()
    namespace.hosts([], dns=True)
    namespace.file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n")
    namespace.black_hole()
    HOLE = f"http://{namespace.silent(ecs_netns.NET4 + '11')}:80"
    dns = Dns()
    dns.names.update({"silent.test": SILENT, "named.test": ["127.0.0.1"]})
    # No code page has all of the folder's name.
    folder = os.path.join(support.temp_dir(), "b\u00fccher \u6587\u66f8")
    os.mkdir(folder)
    pki = Authority(folder, "ca")


def tearDownModule():
    dns.close()


class Portable(unittest.TestCase):
    options = ()
    https = False

    def setUp(self):
        self.journal = os.path.join(support.temp_dir(), "journal")
        options = ["--bucket", "leftovers", "--control", "--journal", self.journal, "--domain", "named.test",
                   *self.options]
        if self.https:
            certificate = pki.server("server", "DNS:named.test,IP:127.0.0.1")
            options += ["--tls-cert", certificate.certificate, "--tls-key", certificate.key]
        self.server = support.ObsLocal(*options)
        self.addCleanup(self.server.stop)
        self.endpoint = self.server.endpoint.replace("http:", "https:" if self.https else "http:")
        self.ca_file = pki.certificate if self.https else ""
        self.env = environment(self.server)

    def check(self, name, *arguments, endpoint=None, ca_file=None, seconds=60, **env):
        """Returns what the program printed."""
        program = os.environ.get("PORTABLE")
        if not program:
            raise AssertionError("PORTABLE must name the program of tests/portable")
        words = [name, endpoint or self.endpoint, self.ca_file if ca_file is None else ca_file, *arguments]
        words = [urllib.parse.quote(word, safe="/:=") for word in words]
        done = support.run([program, *words], env=dict(self.env, **env), seconds=seconds, check=False)
        # A driver of Wine's own sometimes crashes while Wine's server ends, and Wine says so here.
        errors = re.sub(r"(?m)^wine: .*\n", "", done.stderr) if ON_WINDOWS else done.stderr
        self.assertEqual((done.returncode, errors), (0, ""), done.stdout)
        return done.stdout

    def connections(self, method="DELETE"):
        with open(self.journal) as file:
            return {row["connection"] for row in map(json.loads, file) if row["method"] == method}

    def left(self):
        return int(re.search(r"\d+", self.server.control("upload-count leftovers")).group())


class WithoutServer(Portable):
    def test_codes_and_versions(self):
        self.check("codes")

    def test_arguments_are_refused_unsent(self):
        self.check("arguments")
        self.assertEqual(self.connections(), set())

    def test_a_ca_file_that_is_not_there(self):
        printed = self.check("no-client", f"code={INVALID_CONFIG}", ca_file=pki.certificate + ".not")
        self.assertIn("ca.pem.not", printed)


class Http(Portable):
    options = ("--uploads", f"leftovers:512:{3 * DAY}:old/")

    def test_kept_connection(self):
        self.check("kept")
        self.assertEqual(self.left(), 0)
        self.assertEqual(len(self.connections()), 1)

    def test_many(self):
        self.check("many", "connections=8")
        self.assertEqual(self.left(), 0)
        self.assertLessEqual(len(self.connections()), 16)

    def test_threads(self):
        self.check("threads", "connections=64")
        self.assertEqual(self.left(), 0)
        self.assertLessEqual(len(self.connections()), 64)

    def test_by_name(self):
        self.check("kept", endpoint=self.endpoint.replace("127.0.0.1", "named.test"))
        self.assertEqual(self.left(), 0)


class Https(Http):
    https = True


class Few(Portable):
    options = ("--uploads", f"leftovers:4:{3 * DAY}:old/")

    def test_a_connection_that_the_server_has_closed_is_not_used_again(self):
        """Noticed before a request is sent: each takes one."""
        self.server.control("fault real;then=drop;method=DELETE;always")
        self.check("kept", "pause=200")
        self.assertEqual((self.left(), len(self.connections())), (0, 4))


class FewByTls(Few):
    https = True


class Sweep(Portable):
    options = ("--uploads", f"leftovers:3000:{3 * DAY}:old/", "--uploads", f"leftovers:4:60:young/")

    def test_exactly_the_old_ones_go(self):
        self.check("sweep", "aborted=3000", "kept=4")
        self.assertEqual(self.left(), 4)


class SweepByTls(Sweep):
    https = True


class OneUpload(Portable):
    KEY = "a key: \u00e4/&%41"

    def setUp(self):
        super().setUp()
        client = s3client.S3(self.server.port, self.server.access_key, self.server.secret_key)
        self.addCleanup(client.close)
        self.upload_id = client.initiate("leftovers", self.KEY)

    def test_gone_and_gone_already(self):
        self.check("one", self.KEY, self.upload_id)
        self.assertEqual(self.left(), 0)

    def test_credentials_are_replaced(self):
        self.check("credentials", self.KEY, self.upload_id)
        self.assertEqual(self.left(), 0)


class Trust(Portable):
    """Whom https trusts; the certificates are right, but for what is said."""

    https = True
    options = Few.options

    def refused(self, **more):
        self.check("ends", f"code={TLS}", **more)
        self.assertEqual(self.left(), 4)

    def test_an_authority_that_is_not_trusted(self):
        other = Authority(support.temp_dir(), "other")
        self.refused(ca_file=other.certificate)

    def test_a_name_that_is_not_in_the_certificate(self):
        self.refused(endpoint=self.endpoint.replace("127.0.0.1", "localhost"))

    def test_the_system_does_not_trust_it(self):
        self.refused(ca_file="")

    def test_a_file_from_the_environment(self):
        ascii_only = os.path.join(support.temp_dir(), "ca.pem")
        shutil.copyfile(pki.certificate, ascii_only)
        self.check("kept", ca_file="", SSL_CERT_FILE=ascii_only)
        self.assertEqual(self.left(), 0)

    def test_the_store_of_the_system(self):
        """With the authority in it."""
        store = os.environ.get("PORTABLE_STORE")
        if store:
            support.run([store, "add", pki.certificate], env=self.env)
            self.addCleanup(support.run, [store, "remove", pki.certificate], env=self.env)
        else:
            bundle = "/etc/ssl/certs/ca-certificates.crt"
            with open(bundle) as file, open(pki.certificate) as added:
                before = file.read()
                namespace.file(bundle, before + added.read())
            self.addCleanup(namespace.file, bundle, before)
        self.check("kept", ca_file="")
        self.assertEqual(self.left(), 0)


class Budget(Portable):
    """Whatever a call waits for, it ends when its time is over, and not before."""

    def ends(self, code, after, *settings, **more):
        slack = 0 if after == 0 else 5
        self.check("ends", f"code={code}", f"min={max(after - slack, 0)}", f"max={after + SLACK}", *settings, **more)

    def test_connecting(self):
        self.ends(TIMEOUT, 700, "timeout=700", endpoint=HOLE)
        self.ends(TIMEOUT, 300, "budget=300", endpoint=HOLE)

    def test_connect_timeout(self):
        self.ends(CONNECT, 400, "connect-timeout=400", "attempts=1", endpoint=HOLE)

    def test_refused_at_once(self):
        self.ends(CONNECT, 0, "attempts=1", "timeout=5000", endpoint="http://127.0.0.1:1")

    def test_looking_up(self):
        self.ends(TIMEOUT, 600, "timeout=600", endpoint="http://silent.test")

    def test_no_such_name(self):
        self.check("ends", f"code={RESOLVE}", "attempts=1", endpoint="http://nobody.test")

    def test_shaking_hands(self):
        self.server.control("fault silence;then=stall;accept;always")
        self.ends(TIMEOUT, 600, "timeout=600", endpoint=self.endpoint.replace("http:", "https:"))

    def test_waiting_for_a_response(self):
        self.server.control("fault silence;then=stall;method=DELETE;always")
        self.ends(TIMEOUT, 600, "timeout=600")
        self.ends(TIMEOUT, 130, "budget=130")

    def test_response_timeout(self):
        self.server.control("fault silence;then=stall;method=DELETE;always")
        self.ends(TIMEOUT, 400, "response-timeout=400", "attempts=1")

    def test_a_response_that_drips(self):
        self.server.control("fault raw=HTTP/1.1 204 No Content\\r\\nx-a: " + "x" * 4000 + ";drip=1,30;method=DELETE;always")
        self.ends(TIMEOUT, 600, "timeout=600")

    def test_backing_off(self):
        self.server.control("fault answer=500;method=DELETE;always")
        # It ends as soon as the next wait would be too long.
        self.check("ends", f"code={SERVER}", "timeout=900", "attempts=1000", f"max={900 + SLACK}")


class Retry(Portable):
    def test_until_it_is_gone(self):
        self.server.control("fault answer=503;error=SlowDown;method=DELETE;times=2")
        # The upload was never there.
        self.check("ends", f"code={NO_SUCH_UPLOAD}", "tries=3")

    def test_until_the_attempts_are_used_up(self):
        self.server.control("fault answer=500;method=DELETE;always")
        self.check("ends", f"code={SERVER}", "attempts=2", "tries=2")


class Cancel(Portable):
    """Whatever a call waits for, cancellation and shutdown end it."""

    worst = 0

    @classmethod
    def tearDownClass(cls):
        print(f"the slowest cancellation took {cls.worst} ms")

    def cancelled(self, verb, *settings, **more):
        with self.subTest(verb):
            printed = self.check("cancel", verb, f"max={CANCELLED_WITHIN}", "timeout=60000", *settings, **more)
            Cancel.worst = max(Cancel.worst, *map(int, re.findall(r"after (\d+) ms", printed)))

    def each_verb(self, *settings, **more):
        for verb in ("one", "many", "stale"):
            self.cancelled(verb, *settings, **more)

    def test_connecting(self):
        self.each_verb("connect-timeout=60000", endpoint=HOLE)

    def test_looking_up(self):
        self.each_verb("connect-timeout=60000", endpoint="http://silent.test")

    def test_shaking_hands(self):
        self.server.control("fault silence;then=stall;accept;always")
        self.each_verb("connect-timeout=60000", endpoint=self.endpoint.replace("http:", "https:"))

    def test_waiting_for_a_response(self):
        self.server.control("fault silence;then=stall;always")
        self.each_verb("response-timeout=60000")

    def test_a_response_that_drips(self):
        self.server.control("fault raw=HTTP/1.1 200 OK\\r\\nx-a: " + "x" * 4000 + ";drip=1,30;always")
        self.each_verb("response-timeout=60000")

    def test_backing_off(self):
        self.server.control("fault answer=500;always")
        self.each_verb("attempts=1000", "wait=1500")

    def test_told_to_wait(self):
        self.server.control("fault answer=503;header=Retry-After:20;always")
        self.each_verb("attempts=1000")


class CancelByTls(Portable):
    https = True

    def test_waiting_for_a_response(self):
        self.server.control("fault silence;then=stall;always")
        for verb in ("one", "many", "stale"):
            self.check("cancel", verb, f"max={CANCELLED_WITHIN}", "timeout=60000", "response-timeout=60000")
