"""A kept connection never carries a false "gone" from one abort to the next.

The server answers the first abort, and sends what can be read as the response to a second one as part of the first:
as a body that its framing may or may not announce, or as the beginning of a TLS record. The second abort, on a new
connection, is told no_such_upload: were the connection used again, it would be told that it succeeded.
"""

import ssl
import unittest

import obsabort
import support
import tls_certs
from servers import Server, read_head
from tls_by_hand import Tls

GONE = b"HTTP/1.1 204 No Content\r\n\r\n"
LATE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 45\r\n\r\n<Error><Code>NoSuchUpload</Code></Error>     "
SIZE = str(len(GONE)).encode()

# Heads of a first response after which the bytes of GONE may count as its body.
FRAMINGS = {
    "304 with Content-Length": b"HTTP/1.1 304 x\r\nContent-Length: " + SIZE + b"\r\n\r\n",
    "304 with Transfer-Encoding": b"HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "204 with Content-Length": b"HTTP/1.1 204 x\r\nContent-Length: " + SIZE + b"\r\n\r\n",
    "204 with Transfer-Encoding": b"HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "204, length 0 and an unknown coding": b"HTTP/1.1 204 x\r\nContent-Length: 0\r\nTransfer-Encoding: foo\r\n\r\n",
    "404, length 0 and an unknown coding": b"HTTP/1.1 404 x\r\nContent-Length: 0\r\nTransfer-Encoding: foo\r\n\r\n",
    "404, length 0 and chunked after it": b"HTTP/1.1 404 x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "404, chunked and length 0 after it": b"HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
    "404, two lengths": b"HTTP/1.1 404 x\r\nContent-Length: 0\r\nContent-Length: " + SIZE + b"\r\n\r\n",
    "404, the same length twice": b"HTTP/1.1 404 x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "404, a list of lengths": b"HTTP/1.1 404 x\r\nContent-Length: 0, " + SIZE + b"\r\n\r\n",
    "404, codings beside chunked": b"HTTP/1.1 404 x\r\nTransfer-Encoding: chunked, foo\r\n\r\n0\r\n\r\n",
    "404, chunked with a trailer": b"HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: " + SIZE + b"\r\n\r\n",
    "404, a chunk without a size": b"HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n",
    "404 without a framing": b"HTTP/1.1 404 x\r\n\r\n",
    "HTTP/1.0, kept, length 0 and chunked": b"HTTP/1.0 404 x\r\nConnection: keep-alive\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.0, kept, chunked": b"HTTP/1.0 204 x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.0, kept, without a framing": b"HTTP/1.0 404 x\r\nConnection: keep-alive\r\n\r\n",
    "after an interim response with a length": b"HTTP/1.1 103 x\r\nContent-Length: " + SIZE + b"\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
    "after an interim response": b"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
    "101": b"HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n",
    "closed by a list of options": b"HTTP/1.1 204 x\r\nConnection: foo, Close\r\n\r\n",
    "after an empty line": b"\r\nHTTP/1.1 204 x\r\n\r\n",
}


def server(first, wrap=lambda connection: None):
    """Serves the first connection by `first`, and says on every other that there is no such upload."""
    return Server(lambda connection, number: (first if number == 1 else no_such_upload)(connection, wrap(connection)))


def no_such_upload(connection, tls):
    if tls:
        tls.handshake()
    peer = tls or connection
    while read_head(peer):
        peer.sendall(LATE)


class FalseGone(unittest.TestCase):
    def second_abort(self, server, scheme, **config):
        config.update(
            endpoint=f"{scheme}://127.0.0.1:{server.port}",
            proxy="",
            credentials=("ACCESSKEY", "secret-key"),
            max_attempts=1,
        )
        with obsabort.Client(**config) as client:
            first = client.try_abort("bucket", "first", "upload-1")
            second = client.try_abort("bucket", "second", "upload-2")
        server.close()
        return first, second, server.connections

    def test_framings(self):
        for name, head in FRAMINGS.items():
            with self.subTest(name):

                def first(connection, _, head=head):
                    read_head(connection)
                    connection.sendall(head)
                    if read_head(connection):
                        connection.sendall(GONE)

                _, second, connections = self.second_abort(server(first), "http")
                self.assertEqual(second.code.name.lower(), "no_such_upload", f"{second}")
                self.assertEqual(connections, 2)

    def test_part_of_a_tls_record(self):
        """1 to 21 bytes of the record of a second response, behind the record of the first."""
        directory = support.temp_dir()
        authority = tls_certs.Authority(directory, "ca")
        certificate = authority.server("good")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for cut in range(1, 22):
                with self.subTest(f"{version.name}, {cut} bytes"):

                    def first(connection, tls, cut=cut):
                        tls.handshake()
                        read_head(tls)
                        tls.session.write(GONE)
                        whole = tls.outgoing.read()
                        tls.session.write(GONE)
                        second = tls.outgoing.read()
                        connection.sendall(whole + second[:cut])
                        if read_head(tls):
                            connection.sendall(second[cut:])

                    serving = server(first, lambda c, v=version: Tls(c, v, certificate))
                    one, two, connections = self.second_abort(serving, "https", ca_file=authority.certificate)
                    self.assertEqual(one.code.name.lower(), "ok", f"{one}")
                    self.assertEqual(two.code.name.lower(), "no_such_upload", f"{two}")
                    self.assertEqual(connections, 2)


if __name__ == "__main__":
    unittest.main()
