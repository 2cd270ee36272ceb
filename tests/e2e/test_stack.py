"""Every function on a thread with 64 KB of stack, which is what the header asks for: a C host whose stack ends at a page
that can't be touched.

Needs root (a namespace, for the system's roots and the metadata service) and: apt-get install gcc openssl
ca-certificates iproute2 mount
"""

import os
import socket
import threading
import unittest

import ecs_metadata
import ecs_netns
import support
import tls_certs
from proxy_call import clean_environment
from proxy_servers import ScriptedProxy, answering
from servers import Server, read_head

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
STACK = 64 * 1024
BUCKET = "backups"
# As long as keys may be, and of characters that are percent-encoded.
LONG_KEYS = f"{BUCKET}:300:172800:" + "é+" * 330 + "/"
DEEP = "<Error>" + "<a>" * 20000
HOSTS = ("stack_host", "stack_host_without_threads")


def setUpModule():
    global directory, environment, namespace, root, certificates
    packages = "gcc openssl ca-certificates"
    support.need(("cc", "openssl", "update-ca-certificates"), packages)
    namespace = ecs_netns.Namespace()
    namespace.address(ecs_metadata.ADDRESS)
    namespace.hosts([(f"{BUCKET}.obs.test", "127.0.0.1")])
    directory = support.temp_dir_with_library()
    for name, flags in zip(HOSTS, ([], ["-DNO_THREADS"])):
        support.build_host(directory, name, "stack_host.c", "-std=c99", "-D_GNU_SOURCE", *flags)
    support.build_host(directory, "driver", "../sanitize/driver.c", "-std=c99")
    environment = clean_environment(
        LD_LIBRARY_PATH=directory,
        OBS_ACCESS_KEY_ID=support.ObsLocal.access_key,
        OBS_SECRET_ACCESS_KEY=support.ObsLocal.secret_key,
    )
    root = tls_certs.Authority(directory, "root")
    middle = tls_certs.Authority(directory, "middle", issuer=root)
    leaf = middle.server("leaf", "DNS:*.obs.test,DNS:obs.test,IP:127.0.0.1", rsa=True)
    chain = tls_certs.chained(directory, "chain", leaf.certificate, middle.certificate)
    certificates = {
        "server": tls_certs.Certificate(chain, leaf.key),
        "client": root.client("client", rsa=True),
    }


def open_tunnel(client, _):
    """A proxy that opens the tunnel it is asked for."""
    head = read_head(client)
    host, port = head.split()[1].decode().split(":")
    with socket.create_connection((host, int(port))) as origin:
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=pump, args=(origin, client), daemon=True)
        back.start()
        pump(client, origin)
        back.join()


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Stack(unittest.TestCase):
    most_used = 0

    @classmethod
    def tearDownClass(cls):
        print(f"at most {cls.most_used} of {STACK} bytes of stack were used")

    def serve(self, *options, tls=False):
        """-> the endpoint of a server of the test's own."""
        if tls:
            server = certificates["server"]
            options += ("--tls-cert", server.certificate, "--tls-key", server.key)
        local = self.enterContext(support.ObsLocal("--uploads", LONG_KEYS, *options))
        return local.endpoint.replace("http:", "https:") if tls else local.endpoint

    def run_hosts(self, options, endpoint, *settings, expected, tls=False, **more):
        """All verbs, with worker threads and without, each time against a new server."""
        for name in HOSTS:
            own = self.serve(*options, tls=tls) if endpoint is None else endpoint
            program = os.path.join(directory, name)
            done = support.run([program, own, BUCKET, *settings], env={**environment, **more}, check=False)
            # Negative: the signal that ended it.
            self.assertEqual(done.returncode, 0, f"{name}: {done.stdout}\n{done.stderr}")
            said = dict(line.split() for line in done.stdout.splitlines())
            codes = [said[verb] for verb in ("multipart", "outcome", "many", "stale")]
            self.assertEqual(codes, expected, done.stderr)
            # Both begin with a list, as obs_abort_stale does.
            self.assertEqual([said["sweep"], said["buckets"]], [said["stale"]] * 2, done.stderr)
            self.assertGreater(int(said["logged"]), 0)
            Stack.most_used = max(Stack.most_used, int(said["used"]))

    GOOD = ["no_such_upload", "no_such_upload", "partial", "ok"]

    def test_plain(self):
        self.run_hosts((), None, expected=self.GOOD)

    def test_confirmed(self):
        self.run_hosts((), None, "confirm=1", expected=self.GOOD)

    def test_a_name_that_is_looked_up(self):
        endpoint = self.serve().replace("127.0.0.1", "obs.test")
        program = os.path.join(directory, HOSTS[0])
        done = support.run([program, endpoint, BUCKET], env=environment)
        self.assertIn("stale ok", done.stdout)

    def test_nobody_listens(self):
        endpoint = f"http://127.0.0.1:{support.free_port()}"
        self.run_hosts((), endpoint, expected=["connect", "connect", "partial", "connect"])

    def test_a_name_that_does_not_resolve(self):
        expected = ["resolve", "resolve", "partial", "resolve"]
        self.run_hosts((), "https://no-such-host.invalid", "attempts=2", expected=expected)

    def test_out_of_time(self):
        options = ("--fault", "silence;delay-ms=9000;always")
        self.run_hosts(options, None, "timeout_ms=200", expected=["timeout", "timeout", "timeout", "timeout"])

    def test_refused_with_a_body(self):
        for body in (DEEP, "<!DOCTYPE html><html>" + "<p>" * 9999, "x" * 60000):
            with self.subTest(body[:20]):
                options = ("--fault", f"answer=403;body={body};always")
                expected = ["access_denied", "access_denied", "partial", "access_denied"]
                self.run_hosts(options, None, expected=expected)

    def test_retried(self):
        fault = "answer=500;error=InternalError;target=%C3%A9;probability=0.3;times=20"
        self.run_hosts(("--fault", fault, "--seed", "7"), None, "attempts=20", expected=self.GOOD)

    def test_redirected(self):
        fault = "answer=307;header=Location:http://127.0.0.1:9/elsewhere;always"
        self.run_hosts(("--fault", fault), None, expected=["redirect", "redirect", "partial", "redirect"])

    def test_a_list_that_can_not_be_read(self):
        fault = f"answer=200;method=GET;body=<ListMultipartUploadsResult>{'<Upload>' * 9999};always"
        self.run_hosts(("--fault", fault), None, expected=self.GOOD[:3] + ["protocol"])

    def test_https(self):
        for version in "1.2", "1.3":
            with self.subTest(version):
                options = ("--tls-version", version)
                self.run_hosts(options, None, "ca=" + root.certificate, tls=True, expected=self.GOOD)

    def test_https_with_a_client_certificate(self):
        own = certificates["client"]
        settings = ("ca=" + root.certificate, "certificate=" + own.certificate, "key=" + own.key)
        options = ("--tls-client-ca", root.certificate)
        self.run_hosts(options, None, *settings, tls=True, expected=self.GOOD)

    def test_https_with_the_roots_of_the_system(self):
        self.run_hosts((), None, tls=True, expected=["tls", "tls", "partial", "tls"])
        with open(BUNDLE) as file, open(root.certificate) as ours:
            both = file.read() + ours.read()
        self.assertGreater(both.count("BEGIN CERTIFICATE"), 100)
        path = os.path.join(directory, "both.pem")
        with open(path, "w") as file:
            file.write(both)
        self.run_hosts((), None, tls=True, expected=self.GOOD, SSL_CERT_FILE=path)
        namespace.file(BUNDLE, both)
        self.run_hosts((), None, tls=True, expected=self.GOOD)

    def test_through_a_proxy(self):
        tunnel = Server(open_tunnel)
        self.addCleanup(tunnel.close)
        ca = "ca=" + root.certificate
        self.run_hosts((), None, ca, "proxy=http://user:password@" + tunnel.address, tls=True, expected=self.GOOD)

    def test_refused_by_a_proxy(self):
        proxy = ScriptedProxy(answering("407 Proxy Authentication Required"))
        self.addCleanup(proxy.close)
        settings = ("ca=" + root.certificate, "proxy=" + proxy.url)
        self.run_hosts((), None, *settings, tls=True, expected=["connect", "connect", "partial", "connect"])

    def test_credentials_of_an_agency(self):
        metadata = ecs_metadata.Metadata()
        self.addCleanup(metadata.close)
        endpoint = self.serve("--no-verify")
        program = os.path.join(directory, HOSTS[0])
        done = support.run([program, endpoint, BUCKET, "credentials=2"], env=environment)
        self.assertIn("stale ok", done.stdout)
        self.assertIn("GET", metadata.asked())

    def test_every_function(self):
        """The sanitizers' driver, which calls all there are."""
        options = []
        for name, count in ("single", 4), ("threads", 16), ("many", 20), ("rest", 20), ("stale", 30):
            options += ["--uploads", f"driver:{count}:172800:{name}/:5"]
        options += ["--page-cap", "10", "--fault", "silence;then=stall;key=stall;always"]
        for tls in (False, True):
            with self.subTest(tls=tls):
                ca = [root.certificate] if tls else []
                command = [os.path.join(directory, "driver"), "--stack", str(STACK)]
                command += [self.serve(*options, tls=tls), "driver", *ca]
                done = support.run(command, env=environment, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
