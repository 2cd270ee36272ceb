"""The servers that the tool's tests talk to, and what each test case starts with."""

import json
import socket
import ssl
import time
import unittest

import s3client
import support
from proxy_origin import Origin
from servers import Server
from tool_terminal import environment


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


def serve_tls(test, certificate, client_ca=None, seen=None):
    """Handshakes with whoever comes, and hangs up; `seen` gets the clients' certificates. The port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)

    def handshake(connection, _):
        with context.wrap_socket(connection, server_side=True) as stream:
            if seen is not None:
                seen.append(stream.getpeercert())

    server = Server(handshake)
    test.addCleanup(server.close)
    return server.port


class Recorder(Origin):
    """Notes each request and answers all alike, whoever signed it: also a proxy, to which any host name may be said."""

    access_key, secret_key = "AK", "SK"

    def __init__(self, test, status=204):
        self.status, self.at_once, self.most_at_once = status, 0, 0
        super().__init__()
        self.endpoint = self.url
        test.addCleanup(self.close)

    def judge(self, seen):
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        time.sleep(0.05)
        with self.lock:
            self.at_once -= 1
        if seen.method == "GET":
            return 404, b"<Error><Code>NoSuchUpload</Code></Error>"
        return self.status, b""
