"""Freed memory holds no secret: a C host aborts, frees everything, and searches its own memory.

Needs root (a namespace, for the metadata service) and: apt-get install gcc openssl ca-certificates iproute2 mount
"""

import contextlib
import json
import os
import secrets
import string
import unittest

import ecs_metadata
import ecs_netns
import support
import tls_certs
from proxy_call import clean_environment
from servers import Server
from test_stack import open_tunnel

BUCKET = "backups"
ALPHABET = string.ascii_letters + string.digits


def secret(length):
    """Text of which each run of 16 bytes is found nowhere else."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def setUpModule():
    global directory, host, root, certificate, namespace
    support.need(("cc", "openssl", "update-ca-certificates"), "gcc openssl ca-certificates")
    namespace = ecs_netns.Namespace()
    namespace.address(ecs_metadata.ADDRESS)
    directory = support.temp_dir_with_library()
    host = support.build_host(directory, "memory_host", "memory_host.c", "-std=c99", "-D_GNU_SOURCE")
    root = tls_certs.Authority(directory, "root")
    certificate = root.server("leaf", "IP:127.0.0.1")


class Agency(ecs_metadata.Metadata):
    """A metadata service whose credentials are as long as real ones."""

    def __init__(self, **more):
        super().__init__()
        self.more = more
        self.secret, self.token, self.metadata_token = secret(40), secret(3000), secret(56)

    def new_token(self):
        self.tokens.add(self.metadata_token)
        return self.metadata_token

    def new_keys(self):
        answer = json.loads(super().new_keys())
        answer["credential"].update(secret=self.secret, securitytoken=self.token, **self.more)
        return json.dumps(answer)


class Secrets(unittest.TestCase):
    def serve(self, *options, tls=False):
        if tls:
            options += ("--tls-cert", certificate.certificate, "--tls-key", certificate.key)
        local = self.enterContext(support.ObsLocal("--no-verify", "--uploads", f"{BUCKET}:30:172800", *options))
        return local.endpoint.replace("http:", "https:") if tls else local.endpoint

    def file(self, name, content):
        path = os.path.join(directory, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def run_host(self, endpoint, given, needles, *settings, held=None, variables=None):
        """given: secret key, token, proxy URL. needles: what is searched for. held: how many of these, the first ones, a
        client holds as long as it lives: if the search does not find them, it finds nothing."""
        given = self.file("secrets", b"".join(text.encode() + b"\0" for text in given))
        marked = b"".join(bytes(byte | 0x80 for byte in text.encode()) + b"\0" for text in needles)
        command = [host, endpoint, BUCKET, given, self.file("needles", marked), *settings]
        environment = clean_environment(LD_LIBRARY_PATH=directory, **(variables or {}))
        done = support.run(command, env=environment, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = [line.split() for line in done.stdout.splitlines()]
        found = {int(number) for label, number, *_ in lines if label == "held"}
        self.assertLessEqual(set(range(len(needles) if held is None else held)), found, "the search finds nothing")
        left = [line for line in lines if line[0] == "left"]
        self.assertEqual(left, [], "runs of secrets in memory after everything was freed")

    def static(self, endpoint, *settings):
        given = secret(40), secret(3000), ""
        self.run_host(endpoint, given, given[:2], *settings)

    def test_http(self):
        self.static(self.serve())

    def test_a_token_as_long_as_may_be(self):
        given = secret(1024), secret(8192), ""
        self.run_host(self.serve(), given, given[:2])

    def test_tls(self):
        for version in "1.2", "1.3":
            with self.subTest(version):
                self.static(self.serve("--tls-version", version, tls=True), "ca=" + root.certificate)

    def test_refused(self):
        self.static(self.serve("--fault", "answer=403;error=AccessDenied;always"), "expect=access_denied")

    def test_retried(self):
        self.static(self.serve("--fault", "answer=500;times=1", "--fault", "real;cut=0;skip=1;times=1"))

    def test_no_connection(self):
        self.static(f"http://127.0.0.1:{support.free_port()}", "expect=connect")

    def test_credentials_that_were_replaced(self):
        given = secret(40), secret(3000), "", secret(40), secret(2000)
        self.run_host(self.serve(), given, (*given[:2], *given[3:]))

    def test_credentials_and_proxy_of_the_environment(self):
        endpoint = self.serve()
        password, key, token = secret(40), secret(40), secret(3000)
        variables = {
            "OBS_ACCESS_KEY_ID": "ACCESSKEY",
            "OBS_SECRET_ACCESS_KEY": key,
            "OBS_SECURITY_TOKEN": token,
            "http_proxy": endpoint.replace("http://", f"http://user:{password}@"),
        }
        given = secret(40), "", "-"
        self.run_host(endpoint, given, (key, token, password), "credentials=1", variables=variables)

    def test_the_key_of_a_client_certificate(self):
        client = root.client("client", rsa=True)
        with open(client.key) as file:
            lines = [line for line in file.read().split("\n") if len(line) == 64]
        given = secret(40), secret(3000), ""
        settings = "ca=" + root.certificate, "certificate=" + client.certificate, "key=" + client.key
        # The key is held parsed, its text is not.
        endpoint = self.serve("--tls-client-ca", root.certificate, tls=True)
        self.run_host(endpoint, given, (*given[:2], *lines[:10]), *settings, held=2)

    def test_http_through_a_proxy(self):
        origin = self.serve()
        # In absolute form, which the server takes as well.
        password = secret(40)
        given = secret(40), secret(3000), origin.replace("http://", f"http://user:{password}@")
        self.run_host(origin, given, (*given[:2], password))

    def test_a_tunnel_through_a_proxy(self):
        tunnel = Server(open_tunnel)
        self.addCleanup(tunnel.close)
        password = secret(40)
        given = secret(40), secret(3000), f"http://user:{password}@{tunnel.address}"
        self.run_host(self.serve(tls=True), given, (*given[:2], password), "ca=" + root.certificate)

    def agency(self, endpoint, *settings, held=2, **more):
        with contextlib.closing(Agency(**more)) as metadata:
            needles = metadata.secret, metadata.token, metadata.metadata_token
            self.run_host(endpoint, (secret(40), "", ""), needles, "credentials=2", *settings, held=held)

    def test_an_agency(self):
        self.agency(self.serve())

    def test_an_agency_over_tls(self):
        self.agency(self.serve(tls=True), "ca=" + root.certificate)

    def test_an_agency_with_credentials_that_are_no_use(self):
        for more in ({"expires_at": "1999-01-01T00:00:00Z"}, {"access": "a b"}, {"expires_at": 5}):
            with self.subTest(more):
                self.agency(self.serve(), "expect=no_credentials", held=0, **more)


if __name__ == "__main__":
    unittest.main()
