"""A small OBS origin for the suites that stand something else between library and service.

It answers 204 to an abort whose signature it can verify with its own HMAC, and keeps a journal of
what arrived, connection by connection: what a proxy or a TLS terminator made of the request is what
these suites are about, and a full object store would only hide it.
"""

import base64
import hashlib
import hmac
import http.server
import itertools
import socket
import sys
import threading
import urllib.parse

import servers

ACCESS_KEY = "ORIGINACCESSKEY00001"
SECRET_KEY = "origin/secret+key=that.must.never.be.shown"

# Sub-resources of the query which belong to what is signed; ours needs no others.
SIGNED_QUERY = ("uploadId", "uploads")


def string_to_sign(method, headers, bucket, target, prefix):
    """The string the client must have signed; `headers` are lower-case names to values."""
    path, _, query = target.partition("?")
    resource = path if bucket is None else "/" + bucket + path
    signed = []
    for part in query.split("&") if query else []:
        name, equals, value = part.partition("=")
        if name in SIGNED_QUERY:
            signed.append(name + (("=" + urllib.parse.unquote(value)) if equals else ""))
    if signed:
        resource += "?" + "&".join(sorted(signed))
    canonical = "".join(
        f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith(prefix)
    )
    lines = [method, *(headers.get(name, "") for name in ("content-md5", "content-type", "date"))]
    return "\n".join(lines) + "\n" + canonical + resource


def sign(secret, text):
    return base64.b64encode(
        hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()
    ).decode()


def shake_hands(context, plain):
    """The TLS connection. A client that is refused gets the alert: closing while its request is
    still on the way would reset the connection, and the alert might be lost with it."""
    tls = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
    try:
        tls.do_handshake()
    except OSError:
        try:
            tls.settimeout(1)
            socket.socket.shutdown(tls, socket.SHUT_WR)
            while socket.socket.recv(tls, 65536):
                pass
        except OSError:
            pass
        tls.close()
        raise
    return tls


class Seen:
    """One request as it arrived."""

    def __init__(self, connection, method, target, headers, tls):
        self.connection = connection
        self.method = method
        self.target = target
        self.headers = headers
        self.tls = tls
        self.verified = None
        self.access_key = None

    def __repr__(self):
        return (
            f"<{self.method} {self.target} for {self.headers.get('host')}, connection "
            f"{self.connection}, verified {self.verified}>"
        )


class Origin:
    """An origin on `address`.

    bucket_suffix: the endpoint's host; what stands before it in a virtual host is the bucket.
    keys: access key -> secret key, or -> (secret key, security token).
    """

    def __init__(self, bucket_suffix=None, address=("127.0.0.1", 0), context=None, keys=None):
        self.bucket_suffix = bucket_suffix
        self.keys = keys if keys is not None else {ACCESS_KEY: SECRET_KEY}
        # What a request gets whose key is unknown or whose signature is wrong.
        self.refusal = (403, "SignatureDoesNotMatch")
        # The Date of the responses, if it is not the machine's.
        self.date = None
        self.lock = threading.Lock()
        self.journal = []
        self.handshake_failures = []
        self.connections = 0
        self._numbers = itertools.count(1)
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30
            # One write an answer: Nagle and delayed ACK would otherwise add 40 ms to each.
            wbufsize = -1

            def setup(self):
                with origin.lock:
                    origin.connections += 1
                    self.number = next(origin._numbers)
                self.tls = None
                if context is not None:
                    self.request.settimeout(10)
                    self.request = shake_hands(context, self.request)
                    self.tls = (self.request.version(), self.request.session_reused)
                super().setup()

            def date_time_string(self, timestamp=None):
                return origin.date or super().date_time_string(timestamp)

            def answer(self):
                seen = Seen(
                    self.number,
                    self.command,
                    self.path,
                    {k.lower(): v for k, v in self.headers.items()},
                    self.tls,
                )
                status, body = origin.judge(seen)
                with origin.lock:
                    origin.journal.append(seen)
                self.send_response(status)
                self.send_header("x-obs-request-id", f"ORIGIN{len(origin.journal):026d}")
                if body or status != 204:
                    self.send_header("Content-Type", "application/xml")
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()

            def finish(self):
                try:
                    super().finish()
                finally:
                    # The server closes the plain socket it knows, which TLS has taken over.
                    if self.tls is not None:
                        self.request.close()

            do_DELETE = do_GET = do_PUT = do_POST = answer

            def log_message(self, *args):
                pass

        class Server(servers.HttpServer):
            def handle_error(self, request, client_address):
                with origin.lock:
                    origin.handshake_failures.append(repr(sys.exc_info()[1]))

        self.server = Server(address, Handler)
        self.host, self.port = self.server.server_address[:2]
        self.url = f"http://{self.host}:{self.port}"

    def judge(self, seen):
        """Status and body for one request; overridden where a suite wants another answer."""
        seen.verified = self.verify(seen)
        if not seen.verified:
            status, code = self.refusal
            return (
                status,
                f"<Error><Code>{code}</Code><Message>no match</Message></Error>".encode(),
            )
        if seen.method != "DELETE" or "uploadId=" not in seen.target:
            return (
                405,
                b"<Error><Code>MethodNotAllowed</Code><Message>aborts only</Message></Error>",
            )
        return 204, b""

    def verify(self, seen):
        scheme, _, rest = seen.headers.get("authorization", "").partition(" ")
        seen.access_key, _, signature = rest.partition(":")
        if scheme not in ("OBS", "AWS") or seen.access_key not in self.keys:
            return False
        prefix = "x-obs-" if scheme == "OBS" else "x-amz-"
        secret, token = self.keys[seen.access_key], None
        if isinstance(secret, tuple):
            secret, token = secret
        if token is not None and seen.headers.get(prefix + "security-token") != token:
            return False
        host = seen.headers.get("host", "")
        if not host.startswith("["):
            host = host.partition(":")[0]
        bucket = None
        if self.bucket_suffix and host.endswith("." + self.bucket_suffix):
            bucket = host[: -len(self.bucket_suffix) - 1]
        text = string_to_sign(seen.method, seen.headers, bucket, seen.target, prefix)
        return hmac.compare_digest(sign(secret, text), signature)

    def take(self):
        """The journal so far, emptied."""
        with self.lock:
            seen, self.journal = self.journal, []
            return seen

    def close(self):
        self.server.close()
