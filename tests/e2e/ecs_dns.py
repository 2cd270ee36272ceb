"""A name server for test_resolve, on 127.0.0.1:53 of a namespace."""

import ipaddress
import socket
import struct
import threading
import time

A, AAAA = 1, 28
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
SILENT = "silent"


class Dns:
    """names: name -> list of addresses, a result code, or SILENT. Others do not exist.

    delay: name -> seconds before its answer. queries: (name, type) of all that was asked.
    """

    def __init__(self):
        self.names, self.delay, self.queries = {}, {}, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                query, client = self.socket.recvfrom(2048)
            except OSError:
                return
            threading.Thread(target=self._answer, args=(query, client), daemon=True).start()

    def _answer(self, query, client):
        name, kind, end = self._question(query)
        self.queries.append((name, kind))
        known = self.names.get(name, NXDOMAIN)
        if known == SILENT:
            return
        time.sleep(self.delay.get(name, 0))
        code = known if isinstance(known, int) else NOERROR
        records = b""
        count = 0
        for address in [] if isinstance(known, int) else known:
            packed = ipaddress.ip_address(address).packed
            if (kind, len(packed)) in ((A, 4), (AAAA, 16)):
                # A pointer to the question's name; class IN; kept for no time at all.
                records += struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(packed)) + packed
                count += 1
        # An answer, with recursion as asked for and available.
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, count, 0, 0)
        try:
            self.socket.sendto(head + query[12:end] + records, client)
        except OSError:
            pass

    @staticmethod
    def _question(query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        (kind,) = struct.unpack_from("!H", query, at + 1)
        return ".".join(labels).lower(), kind, at + 5

    def asked(self, name):
        """How often the name's IPv4 addresses were asked for: once a lookup."""
        return self.queries.count((name, A))

    def close(self):
        self.socket.close()
