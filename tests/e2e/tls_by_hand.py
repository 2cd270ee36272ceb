"""The server's side of TLS over a raw socket, one flight and one record at a time."""

import ssl


class Tls:
    """The server's side of TLS over a socket, one flight at a time; after the handshake it is used like a socket."""

    def __init__(self, connection, version, certificate):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(certificate.certificate, certificate.key)
        self.connection = connection
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def receive(self):
        got = self.connection.recv(65536)
        self.incoming.write(got)
        return got

    def step(self):
        """Takes what has arrived; returns the flight that answers it, and whether the handshake is over."""
        try:
            self.session.do_handshake()
            over = True
        except ssl.SSLWantReadError:
            over = False
        return self.outgoing.read(), over

    def handshake(self):
        while self.receive():
            flight, over = self.step()
            self.connection.sendall(flight)
            if over:
                return

    def recv(self, size):
        while True:
            try:
                return self.session.read(size)
            except ssl.SSLWantReadError:
                if not self.receive():
                    return b""

    def sendall(self, text):
        self.session.write(text)
        self.connection.sendall(self.outgoing.read())
