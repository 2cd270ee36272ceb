"""No write on a socket raises SIGPIPE: a C host with SIGPIPE at its default, against a server that closes at
each stage of the handshake, of the request, and of a kept connection.

Python and Rust programs ignore SIGPIPE, so a suite that loads the library into one of them can't see it.
"""

import os
import signal
import socket
import ssl
import struct
import unittest

import support
import tls_certs
from servers import Server, read_head
from tls_by_hand import Tls

GONE = b"HTTP/1.1 204 No Content\r\n\r\n"
host = None
environment = None
certificates = {}


def setUpModule():
    global host, environment
    support.need(("cc", "openssl"), "gcc openssl")
    directory = support.temp_dir_with_library()
    host = support.build_host(directory, "sigpipe_host", "sigpipe_host.c", "-std=c99", "-D_POSIX_C_SOURCE=200809L")
    environment = {"LD_LIBRARY_PATH": directory, "PATH": os.environ["PATH"]}
    authority = tls_certs.Authority(directory, "ca")
    certificates["ca"] = authority.certificate
    certificates["good"] = authority.server("good")
    certificates["wrong name"] = authority.server("wrong", names="DNS:elsewhere")


def reset(connection):
    """FIN, then RST: what is in flight is read first, and the next write fails with EPIPE."""
    connection.shutdown(socket.SHUT_WR)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def finish(connection):
    """FIN alone; the host's bytes are not read, so that closing sends an RST as well."""
    connection.shutdown(socket.SHUT_WR)
    connection.close()


def first_flight(tls):
    tls.receive()
    return tls.step()[0]


# Each stage serves one connection up to the point where `end` breaks it.
def accepted(connection, tls, end):
    end(connection)


def hello_read(connection, tls, end):
    tls.receive()
    end(connection)


def half_a_flight(connection, tls, end):
    flight = first_flight(tls)
    connection.sendall(flight[: len(flight) // 2])
    end(connection)


def whole_flight(connection, tls, end):
    connection.sendall(first_flight(tls))
    end(connection)


def handshake_over(connection, tls, end):
    tls.handshake()
    end(connection)


def request_read(connection, tls, end):
    tls.handshake()
    read_head(tls)
    end(connection)


def half_a_record(connection, tls, end):
    tls.handshake()
    read_head(tls)
    tls.session.write(GONE)
    record = tls.outgoing.read()
    connection.sendall(record[: len(record) // 2])
    end(connection)


def kept(connection, tls, end):
    tls.handshake()
    read_head(tls)
    tls.sendall(GONE)
    end(connection)


def kept_and_request_read(connection, tls, end):
    tls.handshake()
    read_head(tls)
    tls.sendall(GONE)
    read_head(tls)
    end(connection)


def close_notify(connection, tls, end):
    tls.handshake()
    read_head(tls)
    tls.session.write(GONE)
    try:
        tls.session.unwrap()
    except ssl.SSLWantReadError:
        pass
    connection.sendall(tls.outgoing.read())
    end(connection)


def plain_kept(connection, tls, end):
    read_head(connection)
    connection.sendall(GONE)
    end(connection)


def plain_request_read(connection, tls, end):
    read_head(connection)
    end(connection)


def plain_half_a_head(connection, tls, end):
    read_head(connection)
    connection.sendall(GONE[:20])
    end(connection)


def tunnel_open(connection, tls, end):
    read_head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    end(connection)


TLS_STAGES = (
    accepted, hello_read, half_a_flight, whole_flight, handshake_over, request_read, half_a_record, kept,
    kept_and_request_read, close_notify,
)  # fmt: skip
PLAIN_STAGES = (accepted, plain_request_read, plain_half_a_head, plain_kept)
PROXY_STAGES = (accepted, plain_request_read, tunnel_open)
VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


def staged(stage, end, version=None, certificate=None):
    """A server that takes every connection to one stage, and ends it there."""

    def serve(connection, _):
        stage(connection, version and Tls(connection, version, certificate), end)

    return Server(serve)


class Sigpipe(unittest.TestCase):
    def host_survives(self, server, scheme, proxy="-", aborts=3):
        ca = certificates["ca"] if scheme == "https" else "-"
        endpoint = f"{scheme}://127.0.0.1:{server.port if proxy == '-' else 9}"
        # Python ignores SIGPIPE; restore_signals, the default, gives the child the system's default.
        done = support.run([host, endpoint, ca, proxy, str(aborts)], 60, environment, check=False)
        server.close()
        told = f"{done.stdout}\n{done.stderr}"
        self.assertNotEqual(done.returncode, -signal.SIGPIPE, f"killed by SIGPIPE\n{told}")
        self.assertEqual(done.returncode, 0, told)
        self.assertEqual(len(done.stdout.split()), aborts, told)
        self.assertGreater(server.connections, 0, "no connection was made")
        return done.stdout.split()

    def test_tls(self):
        for version, number in VERSIONS.items():
            for stage in TLS_STAGES:
                for end in (reset, finish):
                    with self.subTest(f"{version}, {stage.__name__}, {end.__name__}"):
                        self.host_survives(staged(stage, end, number, certificates["good"]), "https")

    def test_alert(self):
        """The alert that refuses a certificate is written, too."""
        for version, number in VERSIONS.items():
            for end in (reset, finish):
                with self.subTest(f"{version}, {end.__name__}"):
                    server = staged(whole_flight, end, number, certificates["wrong name"])
                    codes = self.host_survives(server, "https")
                    self.assertEqual(set(codes), {"tls"})

    def test_plain(self):
        for stage in PLAIN_STAGES:
            for end in (reset, finish):
                with self.subTest(f"{stage.__name__}, {end.__name__}"):
                    self.host_survives(staged(stage, end), "http")

    def test_proxy(self):
        for scheme in ("http", "https"):
            for stage in PROXY_STAGES:
                for end in (reset, finish):
                    with self.subTest(f"{scheme}, {stage.__name__}, {end.__name__}"):
                        server = staged(stage, end)
                        self.host_survives(server, scheme, proxy=server.url)


if __name__ == "__main__":
    unittest.main()
