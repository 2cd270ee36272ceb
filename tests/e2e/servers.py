"""The servers that suites play themselves: on a raw socket, a byte at a time, or as an http.server."""

import http.server
import socket
import socketserver
import threading


def read_head(connection):
    """One request head; less of it if the client goes away before. `connection` is a socket, or has a socket's recv."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        got = connection.recv(65536)
        if not got:
            break
        head += got
    return head


class Server:
    """Calls serve(connection, number) on a thread of its own for each connection, the first of which is number 1."""

    def __init__(self, serve, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family, backlog=64)
        self.port = self.listener.getsockname()[1]
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.url = f"http://{self.address}"
        self.connections = 0
        self.threads = []
        self.thread = threading.Thread(target=self._accept, args=(serve,), daemon=True)
        self.thread.start()

    def _accept(self, serve):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._guarded, args=(serve, connection, self.connections), daemon=True)
            thread.start()
            self.threads.append((thread, connection))

    @staticmethod
    def _guarded(serve, connection, number):
        with connection:
            connection.settimeout(20)
            try:
                serve(connection, number)
            # A client that goes away; ssl.SSLError is one, too.
            except OSError:
                pass

    def close(self):
        # Closing alone would not wake a thread that waits in accept() or recv().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        for thread, connection in self.threads:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            thread.join(5)


class MuteServer(Server):
    """Accepts, and says `greeting` or nothing at all."""

    def __init__(self, greeting=b""):
        self.greeting = greeting
        super().__init__(self._greet)

    def _greet(self, connection, _):
        connection.sendall(self.greeting)
        while connection.recv(65536):
            pass


class HttpServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """What http.server.ThreadingHTTPServer is, without a look-up of its own name: there may be no resolver."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, handler):
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        pass

    def close(self):
        self.shutdown()
        self.server_close()
        self.thread.join(5)
