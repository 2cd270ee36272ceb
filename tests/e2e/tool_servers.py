"""The servers that the tool's tests talk to, and what each test case starts with."""

import http.server
import json
import socket
import ssl
import threading
import time
import unittest

import s3client
import support
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
