"""Real proxies: squid and tinyproxy as Debian configures them, and scripted ones for the rest.

Needs root (a network namespace, in which the https origin can have port 443: squid's stock rules
refuse CONNECT to any other) and: apt-get install squid tinyproxy openssl iproute2 mount
"""

import base64
import logging
import os
import ssl
import time
import unittest

import calls
import ecs_netns
import obsabort
import support
import tls_certs
from proxy_call import DECIDES, in_process
from proxy_origin import ACCESS_KEY, SECRET_KEY, Origin
from proxy_servers import PACKAGES, ScriptedProxy, Squid, Tinyproxy, answering

HOST = "obs.test"
BUCKET = "bucket"
# Every character here has a meaning somewhere in a URL or in user:password.
USER, PASSWORD = "back up", "p@ss:w/%rd#?é"
URL_USER, URL_PASSWORD = "back%20up", "p%40ss%3Aw%2F%25rd%23%3F%C3%A9"
PLAIN_USER, PLAIN_PASSWORD = "operator", "tinysecret1"
CREDENTIALS = (ACCESS_KEY, SECRET_KEY, None)


def setUpModule():
    global http_origin, https_origin, ca_file, authority, context
    support.need(["squid", "tinyproxy", "openssl", "ip", "mount"], PACKAGES + " iproute2 mount")
    for name in DECIDES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    namespace = ecs_netns.Namespace()
    names = [HOST, f"{BUCKET}.{HOST}", f"one-tunnel.{HOST}", "notobs.test", f"{BUCKET}.notobs.test"]
    namespace.hosts([(name, "127.0.0.1") for name in names])
    directory = support.temp_dir("obsabort-proxy-")
    authority = tls_certs.Authority(directory, "root")
    server = authority.server("server", f"DNS:{HOST},DNS:*.{HOST},IP:127.0.0.1")
    ca_file = authority.certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    http_origin = Origin(HOST)
    https_origin = Origin(HOST, address=("127.0.0.1", 443), context=context)


def tearDownModule():
    http_origin.close()
    https_origin.close()


def unused_address():
    return f"127.0.0.1:{support.free_port()}"


class ProxyTest(unittest.TestCase):
    def setUp(self):
        http_origin.take()
        https_origin.take()
        self.log = []

    def client(self, endpoint, proxy, **more):
        settings = {
            "endpoint": endpoint,
            "credentials": CREDENTIALS,
            "timeout": 10,
            "ca_file": ca_file,
            "proxy": proxy,
            "log": lambda level, message: self.log.append(message),
            "log_level": logging.DEBUG,
            **more,
        }
        client = obsabort.Client(**settings)
        self.addCleanup(client.close)
        return client

    def http(self, proxy, **more):
        return self.client(f"http://{HOST}:{http_origin.port}", proxy, **more)

    def https(self, proxy, **more):
        return self.client(f"https://{HOST}", proxy, **more)

    def aborts(self, client, origin, count=3):
        """Several aborts; the origin must have verified each. -> what the origin saw."""
        for number in range(count):
            outcome = client.try_abort(BUCKET, "dir/a key+%.txt", f"id{number}")
            self.assertEqual((outcome.code, outcome.http_status), (0, 204), outcome.message)
        seen = origin.take()
        targets = [f"/dir/a%20key%2B%25.txt?uploadId=id{number}" for number in range(count)]
        self.assertEqual([s.target for s in seen], targets)
        self.assertTrue(all(s.verified for s in seen), seen)
        return seen

    def assertSecret(self, *texts, secrets=()):
        """Neither the messages nor the log may show a password, in any form it travels in."""
        pairs = [(USER, PASSWORD), (PLAIN_USER, PLAIN_PASSWORD), (USER, "wrong-secret")]
        hidden = [PASSWORD, URL_PASSWORD, PLAIN_PASSWORD, "wrong-secret", SECRET_KEY, *secrets]
        hidden += [base64.b64encode(f"{u}:{p}".encode()).decode() for u, p in pairs]
        for text in list(texts) + self.log:
            for secret in hidden:
                self.assertNotIn(secret, text or "")


class RealProxies:
    """What both proxies must do; each class below says with which: `stock` is open, `asking` wants a password."""

    @classmethod
    def tearDownClass(cls):
        cls.stock.stop()
        cls.asking.stop()

    def test_http_endpoint(self):
        proxy = self.stock
        seen = self.aborts(self.http("http://" + proxy.address), http_origin)
        for request in seen:
            self.assertEqual(request.headers["host"], f"{BUCKET}.{HOST}:{http_origin.port}")
            # It came through the proxy, which says so, and the way to the proxy stays between us.
            self.assertIn("via", request.headers)
            self.assertNotIn("proxy-authorization", request.headers)

    def test_http_endpoint_with_path_addressing(self):
        proxy = self.stock
        client = self.http("http://" + proxy.address, addressing=obsabort.Addressing.PATH)
        outcome = client.try_abort(BUCKET, "key", "id")
        self.assertEqual(outcome.code, 0, outcome.message)
        (seen,) = http_origin.take()
        self.assertEqual(seen.target, f"/{BUCKET}/key?uploadId=id")
        self.assertEqual(seen.headers["host"], f"{HOST}:{http_origin.port}")
        self.assertTrue(seen.headers["authorization"].startswith("AWS "))
        self.assertIn("via", seen.headers)

    def test_https_endpoint_by_connect(self):
        proxy = self.stock
        seen = self.aborts(self.https("http://" + proxy.address), https_origin)
        for request in seen:
            self.assertEqual(request.headers["host"], f"{BUCKET}.{HOST}")
            self.assertNotIn("via", request.headers, "the tunnel's inside was rewritten")
        self.assertEqual(
            {s.connection for s in seen}, {seen[0].connection}, "one tunnel serves all"
        )

    def test_https_certificate_is_verified_through_the_tunnel(self):
        proxy = self.stock
        other = tls_certs.Authority(support.temp_dir(), "other").certificate
        client = self.https("http://" + proxy.address, ca_file=other, max_attempts=1)
        outcome = client.try_abort(BUCKET, "key", "id")
        self.assertEqual((outcome.code, outcome.http_status), (obsabort.Code.TLS, 0), outcome.message)
        self.assertEqual(https_origin.take(), [])

    def test_password(self):
        proxy = self.asking
        self.aborts(self.http(self.right_url(proxy)), http_origin)
        seen = self.aborts(self.https(self.right_url(proxy)), https_origin)
        self.assertNotIn("proxy-authorization", seen[0].headers)
        self.assertSecret()

    def test_wrong_and_missing_password_over_https(self):
        proxy = self.asking
        for url in (f"http://{URL_USER}:wrong-secret@{proxy.address}", "http://" + proxy.address):
            with self.subTest(url=url):
                outcome = self.https(url).try_abort(BUCKET, "key", "id")
                self.assertEqual(outcome.code, obsabort.Code.CONNECT, outcome.message)
                self.assertEqual((outcome.http_status, outcome.attempts), (0, 0))
                self.assertRegex(outcome.message, r"\b40[17]\b")
                self.assertIn(proxy.address, outcome.message)
                self.assertIn("proxy", outcome.message.lower())
                self.assertSecret(outcome.message)
        self.assertEqual(https_origin.take(), [])

    def test_wrong_and_missing_password_over_http(self):
        proxy = self.asking
        for url in (f"http://{URL_USER}:wrong-secret@{proxy.address}", "http://" + proxy.address):
            with self.subTest(url=url):
                outcome = self.http(url).try_abort(BUCKET, "key", "id")
                self.assertIn(outcome.code, (obsabort.Code.REJECTED, obsabort.Code.CONNECT), outcome.message)
                self.assertLessEqual(outcome.attempts, 1, "a refusal is not worth a second try")
                self.assertRegex(outcome.message, r"\b40[17]\b")
                if "407" in outcome.message:
                    self.assertIn(proxy.address, outcome.message)
                    self.assertIn("proxy", outcome.message.lower())
                self.assertSecret(outcome.message)
        self.assertEqual(http_origin.take(), [])

    def test_origin_unreachable_behind_the_proxy(self):
        """No success, no hang: the proxy's own error page is not the service's answer."""
        proxy = self.stock
        http_origin_gone = f"http://{HOST}:{support.free_port()}"
        client = self.client(http_origin_gone, "http://" + proxy.address, max_attempts=2)
        outcome = client.try_abort(BUCKET, "key", "id")
        code = obsabort.Code.THROTTLED if outcome.http_status == 503 else obsabort.Code.SERVER
        self.assertEqual(outcome.code, code, outcome.message)
        self.assertIn(outcome.http_status, (500, 502, 503, 504))
        self.assertEqual(outcome.attempts, 2)


class SquidTest(RealProxies, ProxyTest):
    @classmethod
    def setUpClass(cls):
        cls.stock = Squid()
        cls.asking = Squid({USER: PASSWORD})

    def right_url(self, proxy):
        return f"http://{URL_USER}:{URL_PASSWORD}@{proxy.address}"

    def test_http_connection_to_the_proxy_is_kept(self):
        client = self.http("http://" + self.stock.address)
        for number in range(5):
            self.assertEqual(client.try_abort(BUCKET, "kept", f"id{number}").code, 0)
        requests = self.stock.seen(5, "/kept")
        url = f"http://{BUCKET}.{HOST}:{http_origin.port}/kept?"
        self.assertEqual([r[1:] for r in requests], [(204, "DELETE", url)] * 5)
        self.assertEqual(len({r[0] for r in requests}), 1, requests)

    def test_https_aborts_share_one_connect(self):
        # A bucket of its own tells its tunnel from other tests'; squid logs a tunnel's end.
        client = self.https("http://" + self.stock.address)
        for number in range(5):
            self.assertEqual(client.try_abort("one-tunnel", "key", f"id{number}").code, 0)
        client.close()
        requests = self.stock.seen(1, "one-tunnel")
        self.assertEqual([r[2:] for r in requests], [("CONNECT", f"one-tunnel.{HOST}:443")])

    def test_connect_to_a_port_that_stock_squid_refuses(self):
        origin = Origin(HOST, context=context)
        self.addCleanup(origin.close)
        client = self.client(f"https://{HOST}:{origin.port}", "http://" + self.stock.address)
        outcome = client.try_abort(BUCKET, "key", "id")
        self.assertEqual(
            (outcome.code, outcome.http_status), (obsabort.Code.CONNECT, 0), outcome.message
        )
        self.assertIn("403", outcome.message)
        self.assertIn(self.stock.address, outcome.message)
        self.assertEqual(origin.connections, 0)


class TinyproxyTest(RealProxies, ProxyTest):
    @classmethod
    def setUpClass(cls):
        cls.stock = Tinyproxy()
        cls.asking = Tinyproxy(PLAIN_USER, PLAIN_PASSWORD)

    def right_url(self, proxy):
        return f"http://{PLAIN_USER}:{PLAIN_PASSWORD}@{proxy.address}"


class BrokenProxyTest(ProxyTest):
    def scripted(self, answer):
        proxy = ScriptedProxy(answer)
        self.addCleanup(proxy.close)
        return proxy

    def test_dead_proxy(self):
        for make in (self.http, self.https):
            address = unused_address()
            url = f"http://{URL_USER}:{URL_PASSWORD}@{address}"
            with self.subTest(kind=make.__name__):
                outcome = make(url, max_attempts=2).try_abort(BUCKET, "key", "id")
                self.assertEqual(outcome.code, obsabort.Code.CONNECT, outcome.message)
                self.assertEqual((outcome.http_status, outcome.attempts), (0, 0))
                self.assertIn(address, outcome.message)
                self.assertIn("proxy", outcome.message.lower())
                self.assertSecret(outcome.message)
        self.assertEqual(http_origin.take() + https_origin.take(), [], "the proxy was passed by")

    def test_proxy_name_that_does_not_resolve(self):
        for make in (self.http, self.https):
            with self.subTest(kind=make.__name__):
                client = make("http://no-such-proxy.test:3128", max_attempts=1)
                outcome = client.try_abort(BUCKET, "key", "id")
                self.assertEqual(outcome.code, obsabort.Code.RESOLVE, outcome.message)
                self.assertIn("no-such-proxy.test", outcome.message)

    def test_connect_refused_by_status(self):
        """What the proxy says is told; 407 and 403 mean the same the second time, so no retry."""
        for status, retried in (
            ("403 Forbidden", False),
            ("407 Proxy Authentication Required", False),
            ("502 Bad Gateway", True),
            ("504 Gateway Timeout", True),
        ):
            proxy = self.scripted(answering(status, "Proxy-Authenticate: Basic realm=x"))
            with self.subTest(status=status):
                outcome = self.https(proxy.url, max_attempts=2).try_abort(BUCKET, "key", "id")
                self.assertEqual(outcome.code, obsabort.Code.CONNECT, outcome.message)
                self.assertEqual((outcome.http_status, outcome.attempts), (0, 0))
                self.assertIn(status[:3], outcome.message)
                self.assertIn(proxy.address, outcome.message)
                if not retried:
                    self.assertEqual(len(proxy.heads), 1)
                self.assertEqual(proxy.targets()[0], f"CONNECT {BUCKET}.{HOST}:443")
        self.assertEqual(https_origin.take(), [])

    def test_connect_head(self):
        """What a proxy gets: the name, which is its to resolve, and the password meant for it."""
        proxy = self.scripted(answering("403 Forbidden"))
        url = proxy.url.replace("://", f"://{URL_USER}:{URL_PASSWORD}@")
        self.https(url, max_attempts=1).try_abort(BUCKET, "key", "id")
        lines = proxy.heads[0].split("\r\n")
        self.assertEqual(lines[0], f"CONNECT {BUCKET}.{HOST}:443 HTTP/1.1")
        headers = {k.lower(): v.strip() for k, _, v in (l.partition(":") for l in lines[1:] if l)}
        self.assertEqual(headers["host"], f"{BUCKET}.{HOST}:443")
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.assertEqual(headers["proxy-authorization"], "Basic " + expected)
        self.assertNotIn("authorization", headers, "the signature is not the proxy's business")

    def test_http_head(self):
        """Absolute form, with the proxy's own password beside the service's signature."""
        proxy = self.scripted(answering("204 No Content"))
        url = proxy.url.replace("://", f"://{URL_USER}:{URL_PASSWORD}@")
        outcome = self.http(url).try_abort(BUCKET, "a key", "id")
        self.assertEqual(outcome.code, 0, outcome.message)
        lines = proxy.heads[0].split("\r\n")
        authority_part = f"{BUCKET}.{HOST}:{http_origin.port}"
        self.assertEqual(lines[0], f"DELETE http://{authority_part}/a%20key?uploadId=id HTTP/1.1")
        headers = {k.lower(): v.strip() for k, _, v in (l.partition(":") for l in lines[1:] if l)}
        self.assertEqual(headers["host"], authority_part)
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.assertEqual(headers["proxy-authorization"], "Basic " + expected)
        self.assertTrue(headers["authorization"].startswith("OBS "))

    def test_http_name_is_the_proxys_to_resolve(self):
        """Behind many proxies the client has no name server of its own."""
        proxy = self.scripted(answering("204 No Content"))
        outcome = self.client("http://only.the-proxy-knows.test", proxy.url).try_abort(
            BUCKET, "k", "id"
        )
        self.assertEqual(outcome.code, 0, outcome.message)

    def test_garbage_instead_of_an_answer(self):
        for name, garbage in (
            ("text", b"SSH-2.0-OpenSSH_9.2\r\n"),
            ("zeros", bytes(300)),
            ("endless", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000),
        ):
            proxy = self.scripted(garbage)
            for make in (self.http, self.https):
                with self.subTest(garbage=name, kind=make.__name__):
                    outcome = make(proxy.url, max_attempts=1).try_abort(BUCKET, "key", "id")
                    codes = (obsabort.Code.PROTOCOL, obsabort.Code.IO, obsabort.Code.CONNECT)
                    self.assertIn(outcome.code, codes, outcome.message)
                    self.assertEqual(outcome.http_status, 0)
                    if make == self.https:
                        self.assertIn(proxy.address, outcome.message)

    def test_closes_instead_of_answering(self):
        proxy = self.scripted(b"")
        for make in (self.http, self.https):
            with self.subTest(kind=make.__name__):
                outcome = make(proxy.url, max_attempts=2).try_abort(BUCKET, "key", "id")
                self.assertIn(outcome.code, (obsabort.Code.IO, obsabort.Code.CONNECT), outcome.message)
                if make == self.https:
                    self.assertIn(proxy.address, outcome.message)

    def test_never_answers(self):
        proxy = self.scripted(None)
        for make in (self.http, self.https):
            with self.subTest(kind=make.__name__):
                client = make(proxy.url, timeout=0.7)
                begin = time.monotonic()
                outcome = client.try_abort(BUCKET, "key", "id")
                took = time.monotonic() - begin
                self.assertEqual(outcome.code, obsabort.Code.TIMEOUT, outcome.message)
                self.assertLess(took, 1.0)
                self.assertGreater(took, 0.6)

    def test_connect_timeout_holds_for_the_proxys_answer(self):
        """Until the tunnel stands there is no connection: the attempt's own timeout applies."""
        proxy = self.scripted(None)
        client = self.https(proxy.url, connect_timeout=0.4, max_attempts=1)
        begin = time.monotonic()
        outcome = client.try_abort(BUCKET, "key", "id")
        self.assertEqual(outcome.code, obsabort.Code.CONNECT, outcome.message)
        self.assertLess(time.monotonic() - begin, 1.0)
        self.assertIn(proxy.address, outcome.message)

    def test_bytes_after_the_connect_answer(self):
        """A proxy that says too much: nothing of it may be taken for TLS, or for an answer."""
        proxy = self.scripted(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
        outcome = self.https(proxy.url, max_attempts=1).try_abort(BUCKET, "key", "id")
        self.assertNotEqual(outcome.code, 0)
        self.assertEqual(outcome.http_status, 0)


class SettingTest(ProxyTest):
    def test_bad_urls(self):
        for url in (
            "ftp://127.0.0.1:3128",
            "http://",
            "http://:3128",
            "http://proxy:0",
            "http://proxy:99999",
            "http://proxy:port",
            "http://a b:3128",
            "http://proxy\r\nX: y:3128",
            "socks5://127.0.0.1:1080",
            "http://[::1:3128",
            "http://user:hidden%zzsecret@proxy:3128",
            "http://user:hidden\nsecret@proxy:1",
        ):
            with self.subTest(url=url):
                config = calls.Config(endpoint="http://" + HOST, credentials=CREDENTIALS)
                self.addCleanup(config.free)
                codes = (obsabort.Code.INVALID_CONFIG, obsabort.Code.INVALID_ARGUMENT)
                self.assertIn(config.set("proxy", url), codes)
                # The failed setter is remembered: otherwise the abort would go out without a proxy.
                with self.assertRaises(obsabort.Error) as caught:
                    config.client()
                self.assertEqual(caught.exception.code, obsabort.Code.INVALID_CONFIG)
                self.assertIn("proxy", caught.exception.message)
                self.assertNotIn("secret", caught.exception.message)

    def test_ipv6_proxy(self):
        proxy = ScriptedProxy(answering("204 No Content"), host="::1")
        self.addCleanup(proxy.close)
        outcome = self.http(proxy.url).try_abort(BUCKET, "key", "id")
        self.assertEqual(outcome.code, 0, outcome.message)
        self.assertEqual(len(proxy.heads), 1)


class EnvironmentTest(ProxyTest):
    """Which proxy the environment names, each case in a process of its own."""

    @classmethod
    def setUpClass(cls):
        # Each says by its name that it was asked: by 204 for http, by refusing for https.
        def answer(head):
            return answering("403 no" if head.startswith("CONNECT") else "204 No Content")

        cls.proxies = {name: ScriptedProxy(answer) for name in "ABC"}

    @classmethod
    def tearDownClass(cls):
        for proxy in cls.proxies.values():
            proxy.close()

    def way(self, environment, scheme="http", host=HOST, port=None, **settings):
        """Who was asked: "A", "B", "C" or "direct"."""
        origin = http_origin if scheme == "http" else https_origin
        origin.take()
        for proxy in self.proxies.values():
            proxy.heads.clear()
        environment = {
            name: self.proxies[value].url if value in self.proxies else value
            for name, value in environment.items()
        }
        settings = {"addressing": obsabort.Addressing.AUTO, **settings}
        result = in_process(
            environment,
            endpoint=f"{scheme}://{host}:{port or origin.port}",
            credentials=list(CREDENTIALS),
            ca_file=ca_file,
            max_attempts=1,
            timeout=10,
            **settings,
        )
        self.assertIsInstance(result, list, result)
        asked = [name for name, proxy in self.proxies.items() if proxy.heads]
        direct = origin.take()
        if direct:
            self.assertEqual(result[0]["code"], 0, result)
            asked.append("direct")
        self.assertEqual(len(asked), 1, (asked, result))
        return asked[0]

    def check(self, rows):
        for expected, environment, more in rows:
            with self.subTest(environment=environment, **more):
                self.assertEqual(self.way(environment, **more), expected)

    def test_scheme_decides(self):
        self.check(
            [
                ("direct", {}, {}),
                ("direct", {}, {"scheme": "https"}),
                ("A", {"http_proxy": "A", "https_proxy": "B", "all_proxy": "C"}, {}),
                (
                    "B",
                    {"http_proxy": "A", "https_proxy": "B", "all_proxy": "C"},
                    {"scheme": "https"},
                ),
                ("direct", {"http_proxy": "A"}, {"scheme": "https"}),
                ("direct", {"https_proxy": "A"}, {}),
                ("C", {"all_proxy": "C"}, {}),
                ("C", {"all_proxy": "C"}, {"scheme": "https"}),
                ("C", {"ALL_PROXY": "C"}, {}),
            ]
        )

    def test_lower_case_before_upper(self):
        self.check(
            [
                ("A", {"http_proxy": "A", "HTTP_PROXY": "B"}, {}),
                ("B", {"HTTP_PROXY": "B"}, {}),
                ("A", {"https_proxy": "A", "HTTPS_PROXY": "B"}, {"scheme": "https"}),
                ("B", {"HTTPS_PROXY": "B"}, {"scheme": "https"}),
                ("A", {"all_proxy": "A", "ALL_PROXY": "B"}, {}),
                ("A", {"HTTP_PROXY": "A", "all_proxy": "B"}, {}),
            ]
        )

    def test_upper_case_http_proxy_in_a_cgi_program(self):
        """There a caller's `Proxy:` header sets HTTP_PROXY (httpoxy)."""
        cgi = {"REQUEST_METHOD": "GET"}
        self.check(
            [
                ("direct", {"HTTP_PROXY": "A", **cgi}, {}),
                ("A", {"http_proxy": "A", **cgi}, {}),
                ("C", {"HTTP_PROXY": "A", "ALL_PROXY": "C", **cgi}, {}),
                ("B", {"HTTPS_PROXY": "B", **cgi}, {"scheme": "https"}),
            ]
        )

    def test_no_proxy(self):
        path = {"addressing": obsabort.Addressing.PATH}
        port = http_origin.port
        rows = [
            ("direct", "obs.test", {}),  # the host asked is bucket.obs.test
            ("direct", ".obs.test", {}),
            ("direct", ".test", {}),
            ("direct", "test", {}),
            ("direct", "OBS.Test", {}),
            ("direct", "obs.test.", {}),
            ("direct", ".obs.test.", {}),
            ("direct", f"obs.test.:{port}", {}),
            ("direct", " , other.example ,\tobs.test", {}),
            ("direct", "obs.test", path),
            ("direct", ".obs.test", path),
            ("direct", "bucket.obs.test", {}),
            ("direct", "*", {}),
            ("direct", "other.example, obs.test", {}),
            ("direct", "other.example,.obs.test,127.0.0.1", {}),
            ("direct", f"obs.test:{port}", {}),
            ("A", f"obs.test:{port + 1}", {}),
            ("A", "bs.test", {}),
            ("A", "est", {}),
            ("A", "other.obs.test", {}),
            ("A", "obs", {}),
            ("A", "", {}),
            ("A", "obs.test", {"host": "notobs.test"}),
            ("direct", "127.0.0.1", {"host": "127.0.0.1"}),
            ("direct", f"127.0.0.1:{port}", {"host": "127.0.0.1"}),
            ("A", "127.0.0.1:1", {"host": "127.0.0.1"}),
            ("A", "127.0.0.2", {"host": "127.0.0.1"}),
            ("A", "0.0.1", {"host": "127.0.0.1"}),
            ("A", "127.0.0.1", {}),  # addresses are compared as written, not after a look-up
        ]
        self.check(
            [(way, {"http_proxy": "A", "no_proxy": value}, more) for way, value, more in rows]
        )

    def test_no_proxy_upper_case_and_all_proxy(self):
        self.check(
            [
                ("direct", {"http_proxy": "A", "NO_PROXY": "obs.test"}, {}),
                ("A", {"http_proxy": "A", "no_proxy": "other.example", "NO_PROXY": "obs.test"}, {}),
                ("direct", {"all_proxy": "A", "no_proxy": "obs.test"}, {}),
                ("direct", {"https_proxy": "A", "no_proxy": ".obs.test"}, {"scheme": "https"}),
            ]
        )

    def test_setting_before_environment(self):
        everything = {"http_proxy": "A", "https_proxy": "A", "all_proxy": "A"}
        self.check(
            [
                ("direct", everything, {"proxy": ""}),
                ("direct", everything, {"proxy": "", "scheme": "https"}),
                ("B", everything, {"proxy": self.proxies["B"].url}),
                # no_proxy belongs to the environment's proxies: what the program sets, it means.
                ("B", {"no_proxy": "*"}, {"proxy": self.proxies["B"].url}),
            ]
        )

    def test_without_a_scheme(self):
        """As curl takes it: http_proxy=host:port."""
        self.assertEqual(self.way({"http_proxy": self.proxies["A"].address}), "A")

    def test_bad_url_in_the_environment_does_not_matter_where_it_does_not_decide(self):
        bad = {"http_proxy": "ftp://nowhere:1"}
        self.assertEqual(self.way(bad, proxy=""), "direct")
        self.assertEqual(self.way(bad, proxy=self.proxies["B"].url), "B")

        self.check(
            [
                ("A", {"https_proxy": "A", "all_proxy": "socks5://nowhere:1"}, {"scheme": "https"}),
                ("A", {"http_proxy": "A", "all_proxy": "socks5://nowhere:1"}, {}),
                ("direct", {"all_proxy": "socks5://nowhere:1", "no_proxy": "obs.test"}, {}),
                ("direct", {**bad, "no_proxy": "*"}, {}),
                ("direct", bad, {"scheme": "https"}),
                ("A", {**bad, "https_proxy": "A"}, {"scheme": "https"}),
            ]
        )

    def test_password_in_the_environment(self):
        url = self.proxies["A"].url.replace("://", f"://{URL_USER}:{URL_PASSWORD}@")
        self.assertEqual(self.way({"http_proxy": url}), "A")
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.assertIn(
            f"roxy-authorization: basic {expected}".lower(), self.proxies["A"].heads[0].lower()
        )

    def test_bad_url_in_the_environment(self):
        """An abort that silently went round the operator's proxy would be worse than an error."""
        url = "ftp://user:hidden-secret@proxy:99999"
        result = in_process(
            {"http_proxy": url}, endpoint="http://" + HOST, credentials=list(CREDENTIALS)
        )
        self.assertIsInstance(result, dict, result)
        self.assertEqual(result["code"], obsabort.Code.INVALID_CONFIG)
        self.assertIn("http_proxy", result["message"])
        self.assertNotIn("hidden-secret", result["message"])


if __name__ == "__main__":
    unittest.main()
