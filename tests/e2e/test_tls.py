"""Real TLS: nginx and `openssl s_server`, with certificates made when the test runs.

Needs root (a mount namespace, in which the system's bundle can be another) and:
apt-get install nginx-light openssl ca-certificates iproute2 mount
"""

import itertools
import os
import re
import ssl
import subprocess
import sys
import threading
import time
import unittest

import calls
import ecs_netns
import obsabort
import support
import tls_certs
from proxy_call import DECIDES, clean_environment, in_process
from proxy_origin import ACCESS_KEY, SECRET_KEY, Origin
from servers import MuteServer
from tls_servers import PACKAGES, Nginx, OpensslServer

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
CREDENTIALS = (ACCESS_KEY, SECRET_KEY, None)
KEYS = itertools.count(1)
SERVER_USE = "extendedKeyUsage=serverAuth\n"


def setUpModule():
    global namespace, directory, root, other, certificates, origin, nginx
    packages = PACKAGES + " ca-certificates iproute2 mount"
    support.need(["nginx", "openssl", "update-ca-certificates"], packages)
    for name in DECIDES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    namespace = ecs_netns.Namespace()
    namespace.hosts([("wild.obs.test", "127.0.0.1"), ("a.b.obs.test", "127.0.0.1")])
    directory = support.temp_dir("obsabort-tls-")
    root = tls_certs.Authority(directory, "root")
    other = tls_certs.Authority(directory, "other")
    certificates = make_certificates()
    origin = Origin()
    nginx = Nginx(origin.port, servers())


def tearDownModule():
    nginx.stop()
    origin.close()


def make_certificates():
    day = tls_certs.DAY
    middle = tls_certs.Authority(directory, "middle", issuer=root)
    leaf = middle.server("leaf")
    chain = tls_certs.chained(directory, "chain", leaf.certificate, middle.certificate)
    self_signed = tls_certs.Authority.self_signed
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
    return {
        "good": root.server("good"),
        "rsa": root.server("rsa", rsa=True),
        "expired": root.server("expired", begins=-9 * day, ends=-2 * day),
        "early": root.server("early", begins=2 * day, ends=9 * day),
        "wrong_name": root.server("wrong_name", "DNS:another.example,IP:127.0.0.9"),
        "dns_only": root.server("dns_only", "DNS:localhost"),
        "ip_only": root.server("ip_only", "IP:127.0.0.1"),
        "wildcard": root.server("wildcard", "DNS:*.obs.test"),
        # Names count in subjectAltName alone; a common name has not for 20 years.
        "common_name": root.issue("common_name", SERVER_USE, common_name="localhost"),
        "client_use": root.issue("client_use", names + "extendedKeyUsage=clientAuth\n"),
        "foreign": other.server("foreign"),
        "chain": tls_certs.Certificate(chain, leaf.key),
        "no_middle": leaf,
        "self_signed_ca": self_signed(directory, "ss1", names + "basicConstraints=CA:TRUE\n", "x"),
        "self_signed": self_signed(directory, "ss2", names + "basicConstraints=CA:FALSE\n", "x"),
    }


def servers():
    """Each certificate behind its own port, and more ports for settings."""
    blocks = {name: (c.certificate, c.key, "") for name, c in certificates.items()}
    good, rsa = certificates["good"], certificates["rsa"]
    settings = {
        "tls12": "ssl_protocols TLSv1.2;",
        "tls13": "ssl_protocols TLSv1.3;",
        "tls12_once": "ssl_protocols TLSv1.2; keepalive_requests 1;",
        "tls13_once": "ssl_protocols TLSv1.3; keepalive_requests 1;",
        "brief": "keepalive_timeout 1s;",
        "mutual": f"ssl_client_certificate {root.certificate}; ssl_verify_client on;",
    }
    for name, setting in settings.items():
        blocks[name] = (good.certificate, good.key, setting)
    # A cipher that rustls rightly does not have.
    old = "ssl_protocols TLSv1.2; ssl_ciphers AES128-SHA;"
    blocks["old_cipher"] = (rsa.certificate, rsa.key, old)
    return blocks


class TlsTest(unittest.TestCase):
    def setUp(self):
        origin.take()

    def client(self, port, host="localhost", **more):
        settings = {
            "endpoint": f"https://{host}:{port}",
            "credentials": CREDENTIALS,
            "addressing": obsabort.Addressing.PATH,
            "ca_file": root.certificate,
            "timeout": 10,
            "max_attempts": 1,
            **more,
        }
        settings = {name: value for name, value in settings.items() if value is not None}
        client = obsabort.Client(**settings)
        self.addCleanup(client.close)
        return client

    def gone(self, client, count=1):
        """-> the key, which no other test uses: nginx's log is asked for it"""
        key = f"key{next(KEYS)}"
        for number in range(count):
            outcome = client.try_abort("bucket", key, f"id{number}")
            self.assertEqual((outcome.code, outcome.http_status), (0, 204), outcome.message)
        seen = origin.take()
        self.assertEqual(len(seen), count)
        self.assertTrue(all(s.verified for s in seen), seen)
        return key

    def logged(self, client, count=1):
        """The same, and -> what nginx logged of it."""
        seen = nginx.seen(self.gone(client, count), count)
        self.assertEqual([row["status"] for row in seen], ["204"] * count)
        return seen

    def refused(self, client, *patterns, codes=(obsabort.Code.TLS,)):
        """No abort got through, and the message says why. -> the outcome"""
        outcome = client.try_abort("bucket", "key", "id")
        self.assertIn(outcome.code, codes, outcome.message)
        self.assertEqual(outcome.http_status, 0)
        for pattern in patterns:
            self.assertRegex(outcome.message, re.compile(pattern, re.IGNORECASE))
        self.assertNotIn("\n", outcome.message)
        self.assertEqual(origin.take(), [])
        return outcome


class VersionTest(TlsTest):
    def test_tls_1_2_alone(self):
        (row,) = self.logged(self.client(nginx.ports["tls12"]))
        self.assertEqual(row["protocol"], "TLSv1.2")

    def test_tls_1_3_alone(self):
        (row,) = self.logged(self.client(nginx.ports["tls13"]))
        self.assertEqual(row["protocol"], "TLSv1.3")

    def test_the_newest_version_is_taken(self):
        (row,) = self.logged(self.client(nginx.ports["good"]))
        self.assertEqual(row["protocol"], "TLSv1.3")

    def test_no_shared_version(self):
        options = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]
        with OpensslServer(certificates["good"], *options) as server:
            # That TLS 1.1 works there at all, so that the refusal is for the version.
            reached = support.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-brief", *options],
                input="",
            )
            self.assertIn("TLSv1.1", reached.stderr + reached.stdout)
            self.refused(self.client(server.port), "version")

    def test_no_shared_cipher(self):
        self.refused(self.client(nginx.ports["old_cipher"]), "handshake|cipher")


class CertificateTest(TlsTest):
    def test_good_ones(self):
        for name in ("good", "rsa", "chain", "dns_only"):
            with self.subTest(certificate=name):
                self.gone(self.client(nginx.ports[name]))

    def test_ip_address(self):
        for name in ("good", "ip_only"):
            with self.subTest(certificate=name):
                self.gone(self.client(nginx.ports[name], host="127.0.0.1"))

    def test_wildcard(self):
        for host, fits in (("wild.obs.test", True), ("a.b.obs.test", False)):
            with self.subTest(host=host):
                client = self.client(nginx.ports["wildcard"], host=host)
                self.gone(client) if fits else self.refused(client, "name", re.escape(host))

    def test_bucket_with_a_dot_goes_by_path(self):
        """*.obs.test does not cover my.bucket.obs.test: AUTO must not try."""
        client = self.client(
            nginx.ports["wildcard"], host="wild.obs.test", addressing=obsabort.Addressing.AUTO
        )
        outcome = client.try_abort("my.bucket", "key", "id")
        self.assertEqual(outcome.code, 0, outcome.message)
        (seen,) = origin.take()
        self.assertTrue(seen.target.startswith("/my.bucket/key?"), seen)

    def test_unknown_issuer(self):
        for name in ("foreign", "self_signed"):
            with self.subTest(certificate=name):
                self.refused(self.client(nginx.ports[name]), "issuer")

    def test_missing_intermediate(self):
        self.refused(self.client(nginx.ports["no_middle"]), "issuer")

    def test_expired(self):
        self.refused(self.client(nginx.ports["expired"]), "expired")

    def test_not_valid_yet(self):
        self.refused(self.client(nginx.ports["early"]), "not (yet valid|valid yet)")

    def test_wrong_name(self):
        self.refused(self.client(nginx.ports["wrong_name"]), "name", "localhost")
        self.refused(self.client(nginx.ports["common_name"]), "name", "localhost")

    def test_wrong_address(self):
        for name in ("wrong_name", "dns_only"):
            with self.subTest(certificate=name):
                client = self.client(nginx.ports[name], host="127.0.0.1")
                self.refused(client, "name|address", re.escape("127.0.0.1"))

    def test_address_in_place_of_a_name(self):
        self.refused(self.client(nginx.ports["ip_only"]), "name", "localhost")

    def test_certificate_for_clients(self):
        self.refused(self.client(nginx.ports["client_use"]), "purpose|usage|certificate")

    def test_self_signed_ca_as_its_own_server(self):
        """Also when it is trusted itself; the message says that the CA's own will not do."""
        certificate = certificates["self_signed_ca"].certificate
        client = self.client(nginx.ports["self_signed_ca"], ca_file=certificate)
        self.refused(client, "CA:TRUE|self-signed|issuing CA")


class TrustTest(TlsTest):
    """Which roots count. Each case in a process of its own, with an environment of its own."""

    def in_child(self, environment, server="good", **more):
        origin.take()
        settings = {
            "endpoint": f"https://localhost:{nginx.ports[server]}",
            "credentials": list(CREDENTIALS),
            "addressing": obsabort.Addressing.PATH,
            "max_attempts": 1,
            **more,
        }
        result = in_process(environment, **settings)
        return result if isinstance(result, dict) else result[0]

    def test_systems_bundle_does_not_know_the_test_authority(self):
        result = self.in_child({})
        self.assertEqual((result["code"], result["http_status"]), (obsabort.Code.TLS, 0), result)
        self.assertRegex(result["message"].lower(), "issuer")
        self.assertEqual(origin.take(), [])

    def test_systems_bundle_is_used(self):
        with open(BUNDLE) as file:
            original = file.read()
        with open(root.certificate) as file:
            more = file.read()
        self.addCleanup(namespace.file, BUNDLE, original)
        namespace.file(BUNDLE, original + more)
        result = self.in_child({})
        self.assertEqual(result["code"], 0, result)
        # Instead of, not in addition to.
        result = self.in_child({}, ca_file=other.certificate)
        self.assertEqual(result["code"], obsabort.Code.TLS, result)
        result = self.in_child({"SSL_CERT_FILE": other.certificate})
        self.assertEqual(result["code"], obsabort.Code.TLS, result)

    def test_no_roots_at_all(self):
        with open(BUNDLE) as file:
            self.addCleanup(namespace.file, BUNDLE, file.read())
        namespace.file(BUNDLE, "")
        result = self.in_child({})
        self.assertEqual(result["code"], obsabort.Code.INVALID_CONFIG, result)
        # A plain endpoint needs none.
        result = self.in_child({}, endpoint=f"http://localhost:{origin.port}")
        self.assertEqual(result["code"], 0, result)

    def test_ssl_cert_file(self):
        result = self.in_child({"SSL_CERT_FILE": root.certificate})
        self.assertEqual(result["code"], 0, result)

    def test_ca_file_before_ssl_cert_file(self):
        result = self.in_child({"SSL_CERT_FILE": other.certificate}, ca_file=root.certificate)
        self.assertEqual(result["code"], 0, result)
        result = self.in_child({"SSL_CERT_FILE": root.certificate}, ca_file=other.certificate)
        self.assertEqual(result["code"], obsabort.Code.TLS, result)

    def test_ssl_cert_file_that_cannot_be_used(self):
        for path in unusable_files():
            with self.subTest(path=path):
                result = self.in_child({"SSL_CERT_FILE": path})
                self.assertEqual(result["code"], obsabort.Code.INVALID_CONFIG, result)
                self.assertIn(path, result["message"])

    def test_ssl_cert_dir_as_openssl_makes_it(self):
        hashed = os.path.join(directory, "hashed")
        os.mkdir(hashed)
        for name, authority in (("root.pem", root), ("other.pem", other)):
            with open(authority.certificate) as source, open(os.path.join(hashed, name), "w") as file:
                file.write(source.read())
        # Without the links, the names say nothing to OpenSSL, nor to us.
        result = self.in_child({"SSL_CERT_DIR": hashed})
        self.assertEqual(result["code"], obsabort.Code.INVALID_CONFIG, result)
        self.assertIn(hashed, result["message"])
        support.run(["openssl", "rehash", hashed])
        for environment in (
            {"SSL_CERT_DIR": hashed},
            {"SSL_CERT_DIR": f"/nowhere:{hashed}"},
            {"SSL_CERT_DIR": hashed, "SSL_CERT_FILE": other.certificate},
            {"SSL_CERT_DIR": "/nowhere", "SSL_CERT_FILE": root.certificate},
        ):
            with self.subTest(environment=environment):
                result = self.in_child(environment)
                self.assertEqual(result["code"], 0, result)
        # Instead of the system's store, and of the CA file's.
        result = self.in_child({"SSL_CERT_DIR": hashed}, ca_file=other.certificate)
        self.assertEqual(result["code"], obsabort.Code.TLS, result)

    def after_replacing(self, bundle, environment, replacement):
        """The codes of two clients of one process, before and after the bundle was replaced; of the first one again."""
        program = f"""
import os, obsabort
def client():
    return obsabort.Client(
        endpoint="https://localhost:{nginx.ports["good"]}",
        credentials={CREDENTIALS!r},
        addressing=obsabort.Addressing.PATH,
        max_attempts=1,
    )
first = client()
codes = [first.try_abort("bucket", "key", "id").code]
open({bundle!r}, "w").write(open({replacement!r}).read())
codes += [client().try_abort("bucket", "key", "id").code, first.try_abort("bucket", "key", "id").code]
print(*codes)
"""
        command = [sys.executable, "-c", program]
        environment = clean_environment(**environment)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stderr, "")
        return [int(code) for code in done.stdout.split()]

    def test_a_new_client_trusts_the_bundle_that_took_the_old_ones_place(self):
        bundle = os.path.join(directory, "replaced.pem")
        with open(other.certificate) as old, open(bundle, "w") as file:
            file.write(old.read())
        codes = self.after_replacing(bundle, {"SSL_CERT_FILE": bundle}, root.certificate)
        # A client that exists stays as it is.
        self.assertEqual(codes, [obsabort.Code.TLS, 0, obsabort.Code.TLS])

    def test_so_with_the_systems_store(self):
        with open(BUNDLE) as file:
            self.addCleanup(namespace.file, BUNDLE, file.read())
        with open(other.certificate) as file:
            namespace.file(BUNDLE, file.read())
        codes = self.after_replacing(BUNDLE, {}, root.certificate)
        self.assertEqual(codes, [obsabort.Code.TLS, 0, obsabort.Code.TLS])


def unusable_files():
    """Missing, empty, garbage, broken Base64, a key in place of a certificate, a directory."""
    files = {
        "empty": "",
        "garbage": "this is no certificate\n",
        "broken": "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        "cut": "-----BEGIN CERTIFICATE-----\nMIIB\n",
        "not_der": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    }
    paths = [os.path.join(directory, "no-such-file.pem"), directory, root.key]
    for name, text in files.items():
        paths.append(os.path.join(directory, "unusable-" + name))
        with open(paths[-1], "w") as file:
            file.write(text)
    return paths


class FileTest(TlsTest):
    """Files that can't be used are told when the client is made, not at the first abort."""

    def rejected(self, name, values, path):
        config = calls.Config(endpoint="https://localhost", credentials=CREDENTIALS)
        self.addCleanup(config.free)
        if name != "ca_file":
            config.set("ca_file", root.certificate)
        self.assertIn(config.set(name, *values), (obsabort.Code.OK, obsabort.Code.INVALID_CONFIG))
        with self.assertRaises(obsabort.Error) as caught:
            config.client().close()
        self.assertEqual(caught.exception.code, obsabort.Code.INVALID_CONFIG)
        self.assertIn(path, caught.exception.message)
        return caught.exception.message

    def test_ca_file(self):
        for path in unusable_files():
            with self.subTest(path=path):
                self.rejected("ca_file", [path], path)

    def test_client_certificate(self):
        good = root.client("holder")
        for path in unusable_files():
            with self.subTest(path=path):
                self.rejected("client_certificate", [path, good.key], path)
                if path != root.key:
                    self.rejected("client_certificate", [good.certificate, path], path)

    def test_key_of_another_certificate(self):
        mine, another = root.client("mine"), root.client("another")
        message = self.rejected("client_certificate", [mine.certificate, another.key], "key")
        self.assertRegex(message.lower(), "not the key of|match|belong")

    def test_encrypted_key(self):
        good = root.client("locked")
        path = os.path.join(directory, "locked-encrypted.key")
        support.run(
            ["openssl", "pkcs8", "-topk8", "-in", good.key, "-out", path]
            + ["-passout", "pass:key-pass-phrase"]
        )
        message = self.rejected("client_certificate", [good.certificate, path], path)
        self.assertNotIn("key-pass-phrase", message)


class MutualTest(TlsTest):
    """Servers that ask for a certificate: nginx says 400 without one, others end the handshake."""

    @classmethod
    def setUpClass(cls):
        cls.strict = {}
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates["good"].certificate, certificates["good"].key)
            context.load_verify_locations(root.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
            context.minimum_version = context.maximum_version = version
            cls.strict[version.name] = Origin(context=context)

    @classmethod
    def tearDownClass(cls):
        for server in cls.strict.values():
            server.close()

    def test_with_a_certificate(self):
        holder = root.client("client")
        pair = (holder.certificate, holder.key)
        (row,) = self.logged(self.client(nginx.ports["mutual"], client_certificate=pair))
        self.assertEqual(row["verify"], "SUCCESS")
        for version, server in self.strict.items():
            with self.subTest(version=version):
                client = self.client(server.port, client_certificate=pair)
                self.assertEqual(client.try_abort("bucket", "key", "id").code, 0)

    def test_key_formats(self):
        """PKCS #8 is what openssl writes today; older files are SEC 1 or PKCS #1."""
        ec, rsa = root.client("sec1"), root.client("pkcs1", rsa=True)
        for holder, command in ((ec, "ec"), (rsa, "rsa")):
            path = holder.key + ".traditional"
            more = ["-traditional"] if command == "rsa" else []
            support.run(["openssl", command, "-in", holder.key, "-out", path, *more])
            with open(path) as file:
                self.assertIn(f"BEGIN {command.upper()} PRIVATE KEY", file.read())
            for key in (holder.key, path):
                with self.subTest(key=key):
                    pair = (holder.certificate, key)
                    self.gone(self.client(nginx.ports["mutual"], client_certificate=pair))

    def test_chain_of_an_intermediate(self):
        middle = tls_certs.Authority(directory, "client-middle", issuer=root)
        holder = middle.client("below")
        chain = tls_certs.chained(directory, "below-chain", holder.certificate, middle.certificate)
        for server in self.strict.values():
            client = self.client(server.port, client_certificate=(chain, holder.key))
            outcome = client.try_abort("bucket", "key", "id")
            self.assertEqual(outcome.code, 0, outcome.message)

    def test_without_a_certificate(self):
        outcome = self.client(nginx.ports["mutual"]).try_abort("bucket", "key", "id")
        self.assertEqual((outcome.code, outcome.http_status), (obsabort.Code.REJECTED, 400))
        for version, server in self.strict.items():
            with self.subTest(version=version):
                self.refused(self.client(server.port), "certificate|handshake")

    def test_certificate_of_another_authority(self):
        stranger = other.client("stranger")
        pair = (stranger.certificate, stranger.key)
        for version, server in self.strict.items():
            with self.subTest(version=version):
                client = self.client(server.port, client_certificate=pair)
                self.refused(client, "certificate|ca|issuer")

    def test_s_server_that_demands_one(self):
        options = ["-Verify", "1", "-verify_return_error", "-CAfile", root.certificate]
        with OpensslServer(certificates["good"], *options) as server:
            self.refused(self.client(server.port), "certificate|handshake")


class WrongPortTest(TlsTest):
    def test_tls_to_a_plain_port(self):
        self.refused(self.client(origin.port), "tls|http")

    def test_tls_to_something_else(self):
        for greeting in (b"SSH-2.0-OpenSSH_9.2\r\n", bytes(100), b"\x15\x03\x01\x00\x02\x02\x28"):
            server = MuteServer(greeting)
            self.addCleanup(server.close)
            with self.subTest(greeting=greeting):
                self.refused(self.client(server.port))

    def test_plain_http_to_nginx_with_tls(self):
        client = self.client(0, endpoint=f"http://localhost:{nginx.ports['good']}")
        outcome = client.try_abort("bucket", "key", "id")
        self.assertEqual((outcome.code, outcome.http_status), (obsabort.Code.REJECTED, 400))
        self.assertEqual(origin.take(), [])

    def test_plain_http_to_s_server(self):
        with OpensslServer(certificates["good"]) as server:
            client = self.client(0, endpoint=f"http://localhost:{server.port}")
            self.refused(client, codes=(obsabort.Code.PROTOCOL, obsabort.Code.IO))

    def test_handshake_that_never_ends(self):
        server = MuteServer()
        self.addCleanup(server.close)
        for settings, code in (
            ({"timeout": 0.5}, obsabort.Code.TIMEOUT),
            ({"connect_timeout": 0.5}, obsabort.Code.TLS),
        ):
            with self.subTest(**settings):
                client = self.client(server.port, **settings)
                begin = time.monotonic()
                outcome = client.try_abort("bucket", "key", "id")
                took = time.monotonic() - begin
                self.assertEqual((outcome.code, outcome.http_status), (code, 0), outcome.message)
                self.assertGreater(took, 0.45)
                self.assertLess(took, 0.75)

    def test_cancelled_in_a_handshake(self):
        server = MuteServer()
        self.addCleanup(server.close)
        client = self.client(server.port)
        cancellation, cancelled = obsabort.Cancellation(), []

        def cancel():
            cancelled.append(time.monotonic())
            cancellation.cancel()

        timer = threading.Timer(0.5, cancel)
        timer.start()
        outcome = client.try_abort("bucket", "key", "id", cancellation=cancellation)
        took = time.monotonic() - cancelled[0]
        timer.join()
        self.assertEqual(outcome.code, obsabort.Code.CANCELLED, outcome.message)
        self.assertLess(took, 0.4)


class ConnectionTest(TlsTest):
    def test_connection_is_kept(self):
        seen = self.logged(self.client(nginx.ports["good"]), count=6)
        self.assertEqual(len({row["connection"] for row in seen}), 1, seen)

    def test_session_is_resumed(self):
        """A second connection costs no second certificate."""
        for name in ("tls12_once", "tls13_once"):
            with self.subTest(server=name):
                seen = self.logged(self.client(nginx.ports[name]), count=3)
                self.assertEqual(len({row["connection"] for row in seen}), 3, seen)
                self.assertEqual([row["reused"] for row in seen], [".", "r", "r"])

    def test_another_client_does_not_share_sessions_across_trust(self):
        """A session that one trust opened must not let another trust in."""
        for name in ("tls12_once", "tls13_once"):
            with self.subTest(server=name):
                self.gone(self.client(nginx.ports[name]), count=2)
                client = self.client(nginx.ports[name], ca_file=other.certificate)
                self.refused(client, "issuer")

    def test_server_that_closes_idle_connections(self):
        client = self.client(nginx.ports["brief"], max_attempts=1)
        seen = self.logged(client)
        time.sleep(1.4)
        seen += self.logged(client)
        self.assertEqual(len({row["connection"] for row in seen}), 2, seen)

    def test_threads(self):
        """Eight threads, no more connections than threads, every answer its own."""
        client = self.client(nginx.ports["good"])
        key, failures = f"key{next(KEYS)}", []

        def work():
            for number in range(20):
                outcome = client.try_abort("bucket", key, f"id{number}")
                if outcome.code != 0:
                    failures.append(outcome)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        seen = nginx.seen(key, 160)
        self.assertEqual(len(seen), 160)
        self.assertLessEqual(len({row["connection"] for row in seen}), 8)


if __name__ == "__main__":
    unittest.main()
