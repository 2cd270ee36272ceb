"""The proxies of test_proxy: squid and tinyproxy as Debian configures them, and scripted ones."""

import os
import re
import shutil
import signal
import time

import support
from servers import Server, read_head

SQUID_CONF = "/etc/squid/squid.conf"
TINYPROXY_CONF = "/etc/tinyproxy/tinyproxy.conf"
PACKAGES = "squid tinyproxy openssl"


class Squid(support.Process):
    """squid with Debian's squid.conf, in which only port and paths are changed; with `users` (name
    to password) its own basic_ncsa_auth asks for a password, as its comments show how to."""

    def __init__(self, users=None):
        self.directory = support.temp_dir("obsabort-squid-")
        # squid drops root for the user `proxy`, who must be able to write his files.
        shutil.chown(self.directory, "proxy", "proxy")
        self.port = support.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.access_log = os.path.join(self.directory, "access.log")
        conf = os.path.join(self.directory, "squid.conf")
        with open(conf, "w") as file:
            file.write(self._configuration(users))
        os.chmod(self.directory, 0o755)
        super().__init__(
            [support.find_program("squid"), "-N", "-f", conf],
            os.path.join(self.directory, "output.log"),
        )
        self.wait_for_port(self.port)

    def _configuration(self, users):
        with open(SQUID_CONF) as file:
            stock = file.read()
        text, changed = re.subn(r"(?m)^http_port 3128$", f"http_port {self.address}", stock)
        assert changed == 1, f"{SQUID_CONF} is not Debian's: it has {changed} lines http_port 3128"
        text = re.sub(r"(?m)^coredump_dir .*$", f"coredump_dir {self.directory}", text)
        if users:
            asked = "# INSERT YOUR OWN RULE(S) HERE"
            assert asked in text
            text = text.replace(asked, self._authentication(users) + asked)
        # The client's port in the log tells its connections apart. The pinger, which measures
        # routes by ICMP, would outlive squid by some seconds.
        return text + (
            "\npinger_enable off"
            f"\npid_filename {self.directory}/squid.pid\n"
            f"cache_log {self.directory}/cache.log\n"
            "logformat connections %>p %>Hs %rm %ru\n"
            f"access_log stdio:{self.access_log} connections\n"
        )

    def _authentication(self, users):
        passwords = os.path.join(self.directory, "passwords")
        with open(passwords, "w") as file:
            for user, password in users.items():
                hashed = support.run(
                    ["openssl", "passwd", "-apr1", "-stdin"], input=password + "\n"
                ).stdout
                file.write(f"{user}:{hashed}")
        shutil.chown(passwords, "proxy", "proxy")
        return (
            f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {passwords}\n"
            "acl authenticated proxy_auth REQUIRED\n"
            "http_access deny !authenticated\n"
        )

    def seen(self, count, part):
        """(client port, status, method, url) of each request with `part` in its URL; waits until
        there are `count`: squid logs a request some time after it has answered."""
        deadline = time.monotonic() + 5
        while True:
            with open(self.access_log) as file:
                lines = [line.split() for line in file]
            requests = [(port, int(status), method, url) for port, status, method, url in lines]
            requests = [request for request in requests if part in request[3]]
            if len(requests) >= count or time.monotonic() > deadline:
                return requests
            time.sleep(0.05)

    def stop(self, seconds=5):
        # To SIGTERM squid gives its clients another 30 s.
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
        super().stop(seconds)


class Tinyproxy(support.Process):
    """tinyproxy with Debian's tinyproxy.conf, in which only port and paths are changed."""

    def __init__(self, user=None, password=None):
        directory = support.temp_dir("obsabort-tinyproxy-")
        shutil.chown(directory, "tinyproxy", "tinyproxy")
        self.port = support.free_port()
        self.address = f"127.0.0.1:{self.port}"
        with open(TINYPROXY_CONF) as file:
            text = file.read()
        text, changed = re.subn(r"(?m)^Port 8888$", f"Port {self.port}\nListen 127.0.0.1", text)
        assert changed == 1, f"{TINYPROXY_CONF} is not Debian's: it has {changed} lines Port 8888"
        text = re.sub(r"(?m)^(LogFile|PidFile) .*/", rf"\1 {directory}/", text)
        text = re.sub(rf'(?m)^(LogFile|PidFile) ({directory}/[^"\n]*)"?$', r'\1 "\2"', text)
        if user:
            text += f"\nBasicAuth {user} {password}\n"
        conf = os.path.join(directory, "tinyproxy.conf")
        with open(conf, "w") as file:
            file.write(text)
        super().__init__(
            [support.find_program("tinyproxy"), "-d", "-c", conf],
            os.path.join(directory, "output.log"),
        )
        self.wait_for_port(self.port)


class ScriptedProxy(Server):
    """A proxy that answers each request head with what `answer` makes of it: bytes, then closed.

    None stands for a proxy that never answers. `heads` keeps what was asked.
    """

    def __init__(self, answer, host="127.0.0.1"):
        self.answer = answer
        self.heads = []
        super().__init__(self._converse, host)

    def _converse(self, client, _):
        head = read_head(client)
        if not head.endswith(b"\r\n\r\n"):
            return
        text = head.decode("latin-1")
        self.heads.append(text)
        answer = self.answer(text) if callable(self.answer) else self.answer
        if answer is None:
            client.recv(1)
        else:
            client.sendall(answer)

    def targets(self):
        """Method and target of each head."""
        return [" ".join(head.split(" ", 2)[:2]) for head in self.heads]


def answering(status, *headers):
    """A whole answer without a body, after which the connection closes."""
    lines = [f"HTTP/1.1 {status}", *headers, "Connection: close"]
    if not status.startswith("204"):
        lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
