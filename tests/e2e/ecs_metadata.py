"""The metadata service of an ECS with an agency, played on 169.254.169.254:80."""

import http.server
import itertools
import json
import threading
import time

import servers

ADDRESS = "169.254.169.254"
TOKEN_PATH = "/meta-data/latest/api/token"
KEY_PATH = "/openstack/latest/securitykey"


class Fetch:
    def __init__(self, method, path, headers):
        self.method, self.path, self.headers = method, path, headers
        self.at = time.monotonic()

    def __repr__(self):
        return f"<{self.method} {self.path} at {self.at:.3f}>"


class Metadata:
    """Gives keys out; a test changes the attributes while it runs.

    lifetime: seconds until the given keys expire.
    version: 2, or 1, where a token request gets `token_status`.
    token_optional: keys are given without a token, too, as long as version 1 is not switched off.
    repeat: the keys that were given last are given again.
    status: what the key request gets instead of keys. body: given as it is, in place of the JSON.
    delay: seconds before the answer to a key request; token_delay: to a token request.
    """

    def __init__(self):
        self.version, self.token_status = 2, 404
        self.token_optional = self.repeat = False
        self.lifetime = 86400
        self.status, self.body = None, None
        self.delay = self.token_delay = 0
        self.fetches = []
        self.busy = self.most_busy = 0
        # Access key -> (secret key, token), all that were ever given; an Origin takes them so.
        self.keys = {}
        self.tokens = set()
        self.lock = threading.Lock()
        self._numbers = itertools.count(1)
        metadata = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_PUT(self):
                metadata.note(self)
                time.sleep(metadata.token_delay)
                if self.path != TOKEN_PATH:
                    return self.answer(404, "no such page")
                if metadata.version == 1:
                    return self.answer(metadata.token_status, "no such page")
                if self.headers.get("X-Metadata-Token-Ttl-Seconds") != "21600":
                    return self.answer(400, "bad ttl")
                self.answer(200, metadata.new_token())

            def do_GET(self):
                metadata.note(self)
                with metadata.lock:
                    metadata.busy += 1
                    metadata.most_busy = max(metadata.most_busy, metadata.busy)
                try:
                    self.give()
                finally:
                    with metadata.lock:
                        metadata.busy -= 1

            def give(self):
                time.sleep(metadata.delay)
                if self.path != KEY_PATH:
                    return self.answer(404, "no such page")
                token = self.headers.get("X-Metadata-Token")
                optional = metadata.token_optional and token is None
                if metadata.version == 2 and token not in metadata.tokens and not optional:
                    return self.answer(401, "no token")
                if metadata.status:
                    return self.answer(metadata.status, "out of order")
                if metadata.body is not None:
                    return self.answer(200, metadata.body)
                self.answer(200, metadata.new_keys())

            def answer(self, status, text):
                body = text.encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    # The client's patience ended first.
                    self.close_connection = True

            def log_message(self, *arguments):
                pass

        self.server = servers.HttpServer((ADDRESS, 80), Handler)

    def note(self, request):
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self.lock:
            self.fetches.append(Fetch(request.command, request.path, headers))

    def new_token(self):
        with self.lock:
            token = f"metadata-token-that-stays-hidden-{next(self._numbers)}"
            self.tokens.add(token)
        return token

    def new_keys(self):
        with self.lock:
            if not (self.repeat and self.keys):
                self.key_number = next(self._numbers)
            number = self.key_number
            access = f"ECSACCESSKEY{number:08d}"
            secret, token = f"ecs-hidden-secret-{number}", f"ecs-hidden-token-{number}"
            self.keys[access] = (secret, token)
        expires = time.gmtime(time.time() + self.lifetime)
        credential = {
            "access": access,
            "secret": secret,
            "securitytoken": token,
            # As the service writes it: with microseconds.
            "expires_at": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", expires),
        }
        return json.dumps({"credential": credential})

    def asked(self):
        """ "PUT" and "GET" in the order they came."""
        with self.lock:
            return [fetch.method for fetch in self.fetches]

    def close(self):
        self.server.close()
