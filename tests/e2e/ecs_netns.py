"""A network and mount namespace for a suite that needs addresses, names or ports of its own.

The suite enters in setUpModule and never leaves: run.py gives each suite a process of its own. The
calling thread moves, and with it every thread and process it starts afterwards, so the library
under test sees the played network and the rest of the machine does not.
"""

import os
import unittest

import support

CLONE_NEWNET = 0x40000000

# Networks reserved for documentation: should a packet ever get out, nobody would answer it.
NET4 = "198.51.100."
NET6 = "2001:db8:77::"

PACKAGES = "iproute2 mount"


class Namespace:
    def __init__(self):
        support.need(["ip", "mount"], PACKAGES)
        try:
            support._system_call("unshare", support.CLONE_NEWNS | CLONE_NEWNET)
        except OSError as error:
            message = f"no network namespace ({error}); to run this: be root"
            if support.CI:
                raise AssertionError(message) from error
            raise unittest.SkipTest(message) from error
        # Otherwise a bind mount made here would show on the whole machine.
        support.run(["mount", "--make-rprivate", "/"])
        self.ip("link", "set", "lo", "up")
        self.directory = support.temp_dir("obsabort-ns-")
        self.bound = {}

    @staticmethod
    def ip(*arguments):
        return support.run(["ip", *arguments]).stdout

    def file(self, path, text):
        """`path` reads as `text` in here, and nowhere else."""
        if path not in self.bound:
            self.bound[path] = os.path.join(self.directory, os.path.basename(path))
            with open(self.bound[path], "w") as file:
                file.write(text)
            # The resolvers' files must be readable to servers that have dropped root.
            os.chmod(self.directory, 0o755)
            support.run(["mount", "--bind", self.bound[path], os.path.realpath(path)])
        with open(self.bound[path], "w") as file:
            file.write(text)

    def hosts(self, names, dns=False):
        """Names by /etc/hosts, and by a name server on 127.0.0.1 if asked for."""
        lines = ["127.0.0.1 localhost", "::1 localhost"]
        lines += [f"{address} {name}" for name, address in names]
        self.file("/etc/hosts", "\n".join(lines) + "\n")
        self.file("/etc/nsswitch.conf", "hosts: files dns\n" if dns else "hosts: files\n")
        self.file("/etc/resolv.conf", "nameserver 127.0.0.1\n")

    def address(self, address):
        """One more address of this host."""
        family = ["-6"] if ":" in address else []
        nodad = ["nodad"] if family else []
        length = "/128" if family else "/32"
        self.ip(*family, "addr", "add", address + length, "dev", "lo", *nodad)

    def black_hole(self):
        """The networks NET4/24 and NET6/64; a SYN to a `silent` address in them just vanishes."""
        self.ip("link", "add", "hole0", "type", "veth", "peer", "name", "hole1")
        for device in ("hole0", "hole1"):
            self.ip("link", "set", device, "up")
        self.ip("addr", "add", NET4 + "1/24", "dev", "hole0")
        self.ip("-6", "addr", "add", NET6 + "1/64", "dev", "hole0", "nodad")

    def silent(self, address):
        # A neighbour known beforehand: no ARP that fails after 3 s with "no route to host", but
        # silence, because the frame reaches an interface that has another MAC.
        neighbour = ["neigh", "replace", address, "lladdr", "02:00:00:00:00:99"]
        self.ip(*neighbour, "dev", "hole0", "nud", "permanent")
        return address

    def drop_from(self, port):
        """What a TCP socket on this port sends vanishes from now on, as if its peer had gone without a word."""
        if self.ip("rule").startswith("0:"):
            # The addresses of this host are looked up first otherwise, whatever other rules say.
            self.ip("rule", "add", "pref", "10", "lookup", "local")
            self.ip("rule", "del", "pref", "0")
        self.ip("rule", "add", "pref", "5", "ipproto", "tcp", "sport", str(port), "blackhole")
