"""Builds the measured programs, starts the responder, and takes each figure. Nothing here judges one: run.py does."""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
ACCESS_KEY = "HWAK0EXAMPLE1234567X"
BUCKET = "backups"
SECRET_KEY = b"hwSk/Example+Secret=Key0123456789abcdefghij"
SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")
# The responder's ports: name, and what it does there (responder.c).
PORTS = {
    "http": "http:204:0",
    "tls": "tls:204:0",
    "http-404": "http:404:0",
    "http-503": "http:503:0",
    "tls-404": "tls:404:0",
    "tls-503": "tls:503:0",
    "20ms": "http:204:20",
    "100ms": "http:204:100",
}

PACKAGES = {
    "valgrind": "valgrind",
    "strace": "strace",
    "openssl": "openssl",
    "libcurl": "libcurl4-openssl-dev",
    "libssl": "libssl-dev",
    "strip": "binutils",
    "readelf": "binutils",
    "roots": "ca-certificates",
}


class Missing(Exception):
    """Something to be installed; str() is how."""

    def __init__(self, *names):
        packages = sorted({PACKAGES[name] for name in names})
        super().__init__("apt-get install " + " ".join(packages))


def need(*programs):
    missing = [p for p in programs if shutil.which(p) is None]
    if missing:
        raise Missing(*missing)


def system_bundle():
    for path in SYSTEM_BUNDLES:
        if os.path.exists(path):
            return path
    raise Missing("roots")


class Bench:
    """A temporary directory with the programs, certificates and the running responder."""

    def __init__(self, library, include, core):
        self.library = os.path.abspath(library)
        self.include = include
        self.core = core
        self.dir = tempfile.mkdtemp(prefix="obsabort-bench-")
        self.cc = os.environ.get("CC", "cc").split()
        self.responder = None
        self.stats_socket = None
        self.ports = {}
        # A proxy of whoever runs this, or their roots, must not get between the clients and the responder.
        self.env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith(("SSL_", "OBS_"))}
        self.env["OBSABORT_LIB"] = self.library

    def close(self):
        if self.stats_socket is not None:
            self.stats_socket.close()
        if self.responder is not None:
            self.responder.stdin.close()
            self.responder.stdout.close()
            self.responder.wait(timeout=10)
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    # --- building -----------------------------------------------------------------------------------------------------------

    def has_header(self, header):
        command = self.cc + ["-E", "-x", "c", "-", "-o", os.devnull]
        return subprocess.run(command, input=f"#include <{header}>\n", text=True, stderr=subprocess.DEVNULL).returncode == 0

    def compile(self, output, sources, *libraries):
        command = self.cc + ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-I", HERE]
        if self.include:
            command += ["-I", self.include]
        command += ["-o", self.path(output)] + [os.path.join(HERE, s) for s in sources] + list(libraries)
        subprocess.run(command, check=True)

    def build(self):
        """Gives the names of the clients that could be built."""
        need(self.cc[0], "openssl")
        if not self.has_header("openssl/ssl.h"):
            raise Missing("libssl")
        self.compile("responder", ["responder.c"], "-lssl", "-lcrypto")
        self.compile("alloc_count.so", ["alloc_count.c"], "-shared", "-fPIC")
        self.compile("obsabort", ["bench_obsabort.c", "driver.c"], "-ldl", "-pthread")
        self.compile("raw", ["bench_raw.c", "driver.c"], "-lssl", "-lcrypto", "-ldl", "-pthread")
        clients = ["obsabort", "raw"]
        if self.has_header("curl/curl.h"):
            self.compile("curl", ["bench_curl.c", "driver.c"], "-ldl", "-pthread")
            clients.append("curl")
        return clients

    def make_certificates(self):
        def openssl(*arguments):
            subprocess.run(("openssl",) + arguments, check=True, cwd=self.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=bench CA",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        openssl("req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
        with open(self.path("server.ext"), "w") as file:
            file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.pem",
                "-days", "2", "-extfile", "server.ext")
        # The system's roots and the one that signed the responder: what every client has to read at a cold start over TLS.
        with open(self.path("bundle.pem"), "wb") as out:
            for part in (system_bundle(), self.path("ca.pem")):
                with open(part, "rb") as file:
                    out.write(file.read() + b"\n")

    # --- the responder ------------------------------------------------------------------------------------------------------

    def start_responder(self):
        self.make_certificates()
        command = [self.path("responder"), str(self.core), "server.pem", "server.key", *PORTS.values()]
        self.responder = subprocess.Popen(command, cwd=self.dir, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        numbers = self.responder.stdout.readline().split()
        if len(numbers) != len(PORTS):
            raise RuntimeError("the responder did not start")
        self.ports = {name: int(number) for name, number in zip(PORTS, numbers)}

    def endpoint(self, port, host="127.0.0.1"):
        return f"{'https' if PORTS[port].startswith('tls:') else 'http'}://{host}:{self.ports[port]}"

    def stats(self):
        if self.stats_socket is None:
            self.stats_socket = socket.create_connection(("127.0.0.1", self.ports["http"]))
        self.stats_socket.sendall(b"GET /stats HTTP/1.1\r\n\r\n")
        response = b""
        while not response.endswith(b"]}"):
            response += self.stats_socket.recv(4096)
        stats = json.loads(response.split(b"\r\n\r\n", 1)[1])
        return {"cpu_ns": stats["cpu_ns"], **dict(zip(PORTS, stats["ports"]))}

    # --- running clients ----------------------------------------------------------------------------------------------------

    def command(self, client, port, *options, host="127.0.0.1"):
        """A client's name may end in -fresh: libcurl with a new handle for every abort."""
        name, _, fresh = client.partition("-")
        scheme, status, _ = PORTS[port].split(":")
        command = [self.path(name), "--endpoint", self.endpoint(port, host), "--status", status]
        if fresh:
            command.append("--fresh")
        if scheme == "tls" and "--ca" not in options and "--system-roots" not in options:
            command += ["--ca", self.path("ca.pem")]
        return command + [str(o) for o in options if o != "--system-roots"]

    def run(self, command, env=None, prefix=()):
        done = subprocess.run(list(prefix) + command, env=dict(self.env, **(env or {})), text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
        return done

    def run_json(self, command, env=None):
        return json.loads(self.run(command, env).stdout)

    def version(self, client):
        return self.run([self.path(client), "--version"]).stdout.strip()

    # --- figures that do not depend on the clock ----------------------------------------------------------------------------

    def instructions(self, client, port="http", low=200, high=1200):
        """Per abort, by callgrind: the difference of two runs, so that loading and connecting cancel out. valgrind shows every
        program the same made-up processor (it hides SHA-NI and AVX-512), so the figure moves little between x86-64 machines;
        compiler and C library matter more."""
        need("valgrind")
        totals = []
        for count in (low, high):
            prefix = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
            done = self.run(self.command(client, port, "-n", count, "-w", 10), prefix=prefix)
            totals.append(int(re.search(r"Collected : (\d+)", done.stderr).group(1)))
        return (totals[1] - totals[0]) / (high - low)

    def system_calls(self, client, kind, count=500, threads=1):
        """What strace sees between the marks that driver.c makes around its aborts: on kept connections, by a host name, so
        that a look-up would show. Gives calls per abort by name, and the lines that speak of look-ups and of threads."""
        need("strace")
        trace = self.path("strace.out")
        prefix = ["strace", "-f", "-qq", "-s", "64", "-o", trace]
        self.run(self.command(client, kind, "-n", count, "-w", 20, "-t", threads, host="localhost"), prefix=prefix)
        calls, lookups, started, inside = {}, [], [], False
        with open(trace, errors="replace") as lines:
            for line in lines:
                if '"bench-begin"' in line or '"bench-end"' in line:
                    inside = "begin" in line
                    continue
                match = re.match(r"\d+\s+(\w+)\(", line)  # "<... resumed>" lines are the second half of a call seen before
                if not inside or match is None:
                    continue
                name = match.group(1)
                calls[name] = calls.get(name, 0) + 1
                if re.search(r"resolv\.conf|/etc/hosts|nsswitch|systemd/resolve|host\.conf|htons\(53\)|nscd", line):
                    lookups.append(line.strip())
                if name in ("clone", "clone3", "fork", "vfork"):
                    started.append(line.strip())
        if not calls:
            raise RuntimeError("strace saw no marks: is ptrace allowed here?")
        return {name: n / count for name, n in sorted(calls.items())}, lookups, started

    def allocations(self, client, kind, count=2000):
        preload = {"LD_PRELOAD": self.path("alloc_count.so")}
        return self.run_json(self.command(client, kind, "-n", count, "-w", 20), preload)["allocations"] / count

    def memory_kb(self, client, kind, threads):
        """Above the same process before it loads the client: medians of three."""
        runs = [self.run_json(self.command(client, kind, "-n", 2000, "-w", 20, "-t", threads)) for _ in range(3)]
        return {name: statistics.median(run[name] for run in runs) for name in ("rss_kb", "pss_kb", "private_dirty_kb")}

    def sweep(self, count, *options, attempts=4):
        """Finds and aborts so many uploads of obs-local's, run with these options, by obs_abort_stale."""
        command = [os.environ["OBS_LOCAL"], "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY.decode(), "--until-stdin-closes",
                   "--uploads", f"{BUCKET}:{count}:7200", *options]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            endpoint = "http://" + server.stdout.readline().split()[-1]
            found = self.run_json([self.path("obsabort"), "--endpoint", endpoint, "--attempts", str(attempts), "--stale"])
        if found["aborted"] != count:
            raise RuntimeError(f"{found['aborted']} of {count} stale uploads were aborted")
        return found

    def sweep_peak_kb(self, count):
        """The most memory that a sweep takes, process and all."""
        return self.sweep(count)["peak_kb"]

    def random_refusals_ms(self, rounds, count=500):
        """Milliseconds of a sweep, 20 ms away, if a tenth of the aborts get a 503, and if they get a 500; round by round. With
        four attempts one upload in ten thousand would fail, by chance."""
        times = {503: [], 500: []}
        for seed in range(rounds):
            for status, code in ((503, "SlowDown"), (500, "InternalError")):
                fault = f"answer={status};error={code};method=DELETE;probability=0.1;always"
                options = ("--latency-ms", "20", "--seed", str(seed + 1), "--fault", fault)
                times[status].append(self.sweep(count, *options, attempts=8)["ns"] / 1e6)
        return times

    def sweep_at_limit(self, rate, burst, count=2000):
        """A sweep, 20 ms away, of a service with a token bucket."""
        return self.sweep(count, "--latency-ms", "20", "--rate", str(rate), "--burst", str(burst))

    def connections(self, client, kind, threads):
        before = self.stats()[kind]["connections"]
        self.run(self.command(client, kind, "-n", 200 * threads, "-t", threads))
        return self.stats()[kind]["connections"] - before

    def stripped_size(self):
        need("strip")
        stripped = self.path("stripped.so")
        subprocess.run(["strip", "-o", stripped, self.library], check=True)
        return os.path.getsize(stripped)

    def needed_libraries(self):
        need("readelf")
        text = subprocess.run(["readelf", "-d", "-W", self.library], check=True, text=True, capture_output=True).stdout
        return sorted(re.findall(r"\(NEEDED\).*\[(.*)\]", text))

    # --- figures that do ----------------------------------------------------------------------------------------------------

    def rounds(self, clients, kind, threads, rounds, seconds):
        """Aborts per second of each client, round by round: every client runs once in each round, for about so many seconds,
        each round in another order, all on the responder's core."""
        running = {}
        try:
            for client in clients:
                command = self.command(client, kind, "--serve", "-w", 200, "-t", threads, "--core", self.core)
                process = subprocess.Popen(command, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                running[client] = process
                if process.stdout.readline() != "ready\n":
                    raise RuntimeError(" ".join(command) + ": did not start")

            def go(client, count):
                process = running[client]
                process.stdin.write(f"{count}\n")
                process.stdin.flush()
                return count / (int(process.stdout.readline()) / 1e9)

            counts = {client: max(threads, int(go(client, 200 * threads) * seconds) // threads * threads) for client in clients}
            rates = {client: [] for client in clients}
            for round_number in range(rounds):
                turn = round_number % len(clients)
                order = clients[turn:] + clients[:turn]
                for client in order if round_number % 2 == 0 else reversed(order):
                    rates[client].append(go(client, counts[client]))
            return rates
        finally:
            for process in running.values():
                process.stdin.close()
                process.stdout.close()
                process.wait(timeout=30)

    def ceiling(self, kind, count=64000):
        """What the responder can do when a client costs next to nothing: requests signed once, 32 in a write. Gives responses
        per second, and the responder's own microseconds per response then and with one request at a time."""
        out = {}
        for name, options in (("pipelined", ("--pipeline", 32)), ("single", ())):
            before = self.stats()
            ns = self.run_json(self.command("raw", kind, "-n", count, "--core", self.core, *options))["ns"]
            out[name] = {"rate": count / (ns / 1e9), "responder_us": (self.stats()["cpu_ns"] - before["cpu_ns"]) / count / 1e3}
        return out

    def cold_starts(self, clients, kind, rounds):
        """Milliseconds from before dlopen to the end of the first abort, a new process each time."""
        times = {client: [] for client in clients}
        env, options = None, ()
        if kind == "tls":
            bundle = self.path("bundle.pem")
            env = {"SSL_CERT_FILE": bundle}
        for round_number in range(rounds + 1):  # the first one warms the page cache
            for client in clients if round_number % 2 == 0 else reversed(clients):
                if kind == "tls":  # libcurl on Debian does not look at SSL_CERT_FILE; the others do
                    options = ("--ca", bundle) if client == "curl" else ("--system-roots",)
                command = self.command(client, kind, "--cold", "--core", self.core, *options)
                ms = self.run_json(command, env)["ns"] / 1e6
                if round_number > 0:
                    times[client].append(ms)
        return times

    def many(self, clients, rounds, at_once, delay_ms, count=1000):
        """Milliseconds for so many aborts, so many at once, with the delayed responder; opening the connections included."""
        times = {client: [] for client in clients}
        options = ("--many", "-n", count, "-w", 0, "--at-once", at_once, "--core", self.core)
        for _ in range(rounds):
            for client in clients:
                times[client].append(self.run_json(self.command(client, f"{delay_ms}ms", *options))["ns"] / 1e6)
        return times

    def processor_us(self, port, rounds, count, wide=32):
        """Microseconds of processor time per abort: of obs_abort_many, and of as many threads that call obs_abort_multipart;
        round by round, on the responder's core, on connections that are open already."""
        options = ("-n", count, "--at-once", wide, "--core", self.core)
        commands = {
            "many": self.command("obsabort", port, "--many", "-w", 10 * wide, *options),
            "threads": self.command("obsabort", port, "-t", wide, "-w", 10, *options),
        }
        used = {name: [] for name in commands}
        for round_number in range(rounds):
            for name in commands if round_number % 2 == 0 else reversed(commands):
                used[name].append(self.run_json(commands[name])["processor_ns"] / count / 1e3)
        return used

    # --- are they doing the same? -------------------------------------------------------------------------------------------

    def recorded_request(self, client):
        """One request of a client, as a socket of our own sees it."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            listener.settimeout(20)
            endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
            command = [self.path(client), "--endpoint", endpoint, "-n", "1", "-w", "0"]
            process = subprocess.Popen(command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(20)
                    head = b""
                    while b"\r\n\r\n" not in head:
                        piece = connection.recv(65536)
                        if not piece:
                            break
                        head += piece
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            finally:
                process.wait(timeout=30)
        return head.decode("latin-1")

    def check_request(self, client):
        """An error text unless the client sends the DELETE that all are to send, rightly signed."""
        lines = self.recorded_request(client).split("\r\n")
        match = re.match(r"DELETE (/backups/\S+\?uploadId=\S+) HTTP/1.1$", lines[0])
        if match is None:
            return f"unexpected request line {lines[0]!r}"
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        text = f"DELETE\n\n\n{headers.get('date')}\n{match.group(1)}"
        signature = base64.b64encode(hmac.new(SECRET_KEY, text.encode(), hashlib.sha1).digest()).decode()
        if headers.get("authorization") != f"OBS {ACCESS_KEY}:{signature}":
            return f"wrong signature: {headers.get('authorization')!r}"
        return None
