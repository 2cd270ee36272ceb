"""Names and addresses that fail: a name server and black holes, played in a network namespace.

Needs root (the namespace) and: apt-get install iproute2 mount
"""

import os
import socket
import threading
import time
import unittest

import ecs_netns
import obsabort
import support
from ecs_dns import NXDOMAIN, SERVFAIL, SILENT, Dns
from proxy_call import DECIDES
from proxy_origin import ACCESS_KEY, SECRET_KEY, Origin

# How long the system's resolver waits for a name server that is silent.
PATIENCE = 2
# What a budget may be overshot by: 50 ms or 5 %, and what two busy cores may add.
SLACK = 0.05 + 0.15
# Cancellation has 250 ms.
CANCEL_SLACK = 0.25 + 0.15

DEAD_FIRST = f"""
precedence ::ffff:{ecs_netns.NET4}0/120 100
precedence {ecs_netns.NET6}/64 90
precedence ::1/128 50
precedence ::/0 40
precedence ::ffff:0:0/96 10
"""


def setUpModule():
    global namespace, origin, origin6, dns, HOLE4, HOLE6
    for name in DECIDES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    namespace = ecs_netns.Namespace()
    namespace.hosts([], dns=True)
    namespace.file(
        "/etc/resolv.conf", f"nameserver 127.0.0.1\noptions timeout:{PATIENCE} attempts:1\n"
    )
    # The system would put this host's own addresses first: here the dead ones come first.
    namespace.file("/etc/gai.conf", DEAD_FIRST)
    namespace.black_hole()
    HOLE4 = [namespace.silent(f"{ecs_netns.NET4}{n}") for n in range(11, 17)]
    HOLE6 = [namespace.silent(f"{ecs_netns.NET6}{n}") for n in range(11, 14)]
    dns = Dns()
    origin = Origin()
    origin6 = Origin(address=("::1", origin.port))


def tearDownModule():
    origin.close()
    origin6.close()
    dns.close()


class Timed:
    """with Timed() as t: ...; t.took"""

    def __enter__(self):
        self.begin = time.monotonic()
        return self

    def __exit__(self, *_):
        self.took = time.monotonic() - self.begin


def threads_now():
    return len(os.listdir("/proc/self/task"))


def descriptors_now():
    return len(os.listdir("/proc/self/fd"))


class ResolveTest(unittest.TestCase):
    def setUp(self):
        origin.take()
        origin6.take()
        dns.names, dns.delay, dns.queries = {}, {}, []

    def client(self, host="obs.test", **more):
        settings = {
            "endpoint": f"http://{host}:{origin.port}",
            "credentials": (ACCESS_KEY, SECRET_KEY, None),
            "addressing": obsabort.Addressing.PATH,
            "timeout": 10,
            **more,
        }
        client = obsabort.Client(**settings)
        self.addCleanup(client.close)
        return client

    def failed(self, client, code, *parts, **options):
        """-> the seconds it took"""
        with Timed() as timed:
            outcome = client.try_abort("bucket", "key", "id", **options)
        self.assertEqual(outcome.code, code, outcome.message)
        self.assertEqual((outcome.http_status, outcome.attempts), (0, 0))
        for part in parts:
            self.assertIn(part, outcome.message)
        self.assertEqual(origin.take() + origin6.take(), [])
        return timed.took

    def gone(self, client):
        with Timed() as timed:
            outcome = client.try_abort("bucket", "key", "id")
        self.assertEqual((outcome.code, outcome.http_status), (0, 204), outcome.message)
        return timed.took

    def assertBetween(self, took, least, most):
        self.assertGreaterEqual(took, least)
        self.assertLessEqual(took, most)

    def cancelled(self, client, after=0.4):
        """Both ways to end a call, while it does what `client` does. Each within 250 ms."""
        with self.subTest(way="cancel"):
            cancellation = obsabort.Cancellation()
            timer = threading.Timer(after, cancellation.cancel)
            timer.start()
            took = self.failed(client, obsabort.Code.CANCELLED, cancellation=cancellation)
            self.assertBetween(took, after, after + CANCEL_SLACK)
            # Sticky, and at once.
            self.assertLess(self.failed(client, obsabort.Code.CANCELLED, cancellation=cancellation), 0.1)
        with self.subTest(way="shutdown"):
            threading.Timer(after, client.shutdown).start()
            took = self.failed(client, obsabort.Code.CANCELLED)
            self.assertBetween(took, after, after + CANCEL_SLACK)
            self.assertLess(self.failed(client, obsabort.Code.CANCELLED), 0.1)


class SilentDnsTest(ResolveTest):
    def setUp(self):
        super().setUp()
        dns.names["obs.test"] = SILENT

    def test_budget(self):
        for seconds in (0.2, 0.7, 1.5):
            with self.subTest(budget=seconds):
                client = self.client(timeout=seconds)
                took = self.failed(client, obsabort.Code.TIMEOUT)
                self.assertBetween(took, seconds - 0.02, seconds + SLACK)

    def test_budget_of_the_call(self):
        took = self.failed(self.client(), obsabort.Code.TIMEOUT, timeout=0.4)
        self.assertBetween(took, 0.38, 0.4 + SLACK)

    def test_connect_timeout(self):
        client = self.client(connect_timeout=0.4, max_attempts=1)
        took = self.failed(client, obsabort.Code.RESOLVE, "obs.test")
        self.assertBetween(took, 0.38, 0.4 + SLACK)

    def test_connect_timeout_is_retried(self):
        """An answer in time for the second attempt is an answer in time."""
        client = self.client(connect_timeout=0.4, max_attempts=2)
        took = self.failed(client, obsabort.Code.RESOLVE)
        self.assertBetween(took, 0.78, 0.8 + 0.1 + SLACK)

    def test_system_gives_up_first(self):
        client = self.client(max_attempts=1)
        took = self.failed(client, obsabort.Code.RESOLVE, "obs.test")
        self.assertBetween(took, PATIENCE - 0.1, PATIENCE + 1)

    def test_cancellation(self):
        self.cancelled(self.client())

    def test_free_does_not_wait_for_the_lookup(self):
        client = self.client(timeout=0.2)
        self.failed(client, obsabort.Code.TIMEOUT)
        with Timed() as timed:
            client.close()
        self.assertLess(timed.took, 0.3)

    def test_one_lookup_however_many_give_up(self):
        """No second thread while one hangs; and each caller has a deadline of its own."""
        before = threads_now()
        client = self.client(timeout=0.15)
        for _ in range(5):
            self.assertBetween(self.failed(client, obsabort.Code.TIMEOUT), 0.13, 0.15 + SLACK)
        self.assertLessEqual(threads_now(), before + 1)
        self.assertEqual(dns.asked("obs.test"), 1)

    def test_deadlines_of_those_who_share_a_lookup(self):
        client = self.client()
        results = {}

        def work(ms):
            results[ms] = self.failed(client, obsabort.Code.TIMEOUT, timeout=ms / 1000)

        threads = [threading.Thread(target=work, args=(ms,)) for ms in (300, 600, 900, 1200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(results), [300, 600, 900, 1200])
        for ms, took in results.items():
            self.assertBetween(took, ms / 1000 - 0.02, ms / 1000 + SLACK)
        self.assertEqual(dns.asked("obs.test"), 1)

    def test_nothing_outlives_the_lookup(self):
        # Those that earlier tests left behind end first.
        time.sleep(PATIENCE + 0.5)
        threads, descriptors = threads_now(), descriptors_now()
        client = self.client()
        for _ in range(3):
            cancellation = obsabort.Cancellation()
            threading.Timer(0.1, cancellation.cancel).start()
            self.failed(client, obsabort.Code.CANCELLED, cancellation=cancellation)
        deadline = time.monotonic() + PATIENCE + 2
        while threads_now() > threads or descriptors_now() > descriptors:
            now = (threads_now(), descriptors_now())
            message = f"threads and descriptors: {now}, before: {(threads, descriptors)}"
            self.assertLess(time.monotonic(), deadline, message)
            time.sleep(0.1)


class LookupTest(ResolveTest):
    def test_no_such_name(self):
        took = self.failed(self.client(max_attempts=1), obsabort.Code.RESOLVE, "obs.test")
        self.assertLess(took, 0.5)

    def test_virtual_host_is_what_is_looked_up(self):
        client = self.client(addressing=obsabort.Addressing.VIRTUAL_HOST, max_attempts=1)
        self.failed(client, obsabort.Code.RESOLVE, "bucket.obs.test")
        self.assertEqual((dns.asked("bucket.obs.test"), dns.asked("obs.test")), (1, 0))

    def test_what_to_do_about_a_name(self):
        """The endpoint's host, and what the message says for a bucket of the name `bucket`."""
        path, region = "OBS_ABORT_ADDRESSING_PATH", "is eu-101 a region? then give https://obs.eu-101."
        in_endpoint = "begins with the bucket"
        hints = (path, region, in_endpoint)
        rows = [
            ("localhost", obsabort.Addressing.AUTO, [path]),
            ("minio", obsabort.Addressing.AUTO, [path]),
            ("minio", obsabort.Addressing.PATH, []),
            ("obs.eu-101.myhuaweicloud.com", obsabort.Addressing.AUTO, [path]),
            ("eu-101", obsabort.Addressing.AUTO, [region, path]),
            ("eu-101", obsabort.Addressing.PATH, [region]),
            ("obs.eu-101", obsabort.Addressing.AUTO, [region, path]),
            ("eu-101.myhuaweicloud.com", obsabort.Addressing.AUTO, [region, path]),
            ("bucket.obs.test", obsabort.Addressing.AUTO, [in_endpoint, "give obs.test", path]),
            ("bucket.obs.test", obsabort.Addressing.PATH, [in_endpoint, "give obs.test"]),
            ("bucket.obs.test", obsabort.Addressing.CUSTOM_DOMAIN, []),
        ]
        for host, addressing, said in rows:
            with self.subTest(host=host, addressing=addressing):
                client = self.client(host, addressing=addressing, max_attempts=1)
                self.failed(client, obsabort.Code.RESOLVE, host, *said)
                message = client.try_abort("bucket", "key", "id").message
                for hint in set(hints) - set(said):
                    self.assertNotIn(hint, message)

    def test_other_failures(self):
        for answer in (NXDOMAIN, SERVFAIL, []):
            with self.subTest(answer=answer):
                dns.names["obs.test"] = answer
                client = self.client(max_attempts=1)
                self.failed(client, obsabort.Code.RESOLVE, "obs.test")

    def test_no_name_server(self):
        namespace.file("/etc/resolv.conf", "nameserver 127.0.0.77\noptions timeout:1 attempts:1\n")
        self.addCleanup(
            namespace.file,
            "/etc/resolv.conf",
            f"nameserver 127.0.0.1\noptions timeout:{PATIENCE} attempts:1\n",
        )
        took = self.failed(self.client(max_attempts=1), obsabort.Code.RESOLVE, "obs.test")
        self.assertLess(took, 2.5)

    def test_failure_is_not_remembered(self):
        client = self.client(max_attempts=1)
        self.failed(client, obsabort.Code.RESOLVE)
        dns.names["obs.test"] = ["127.0.0.1"]
        self.gone(client)

    def test_failure_is_retried(self):
        client = self.client(max_attempts=4)

        def appear():
            while dns.asked("obs.test") < 1:
                time.sleep(0.001)
            dns.names["obs.test"] = ["127.0.0.1"]

        dns.delay["obs.test"] = 0.05
        threading.Thread(target=appear).start()
        dns.names["obs.test"] = SERVFAIL
        self.gone(client)
        self.assertGreaterEqual(dns.asked("obs.test"), 1)

    def test_slow_answer(self):
        dns.names["obs.test"], dns.delay["obs.test"] = ["127.0.0.1"], 0.8
        self.assertBetween(self.gone(self.client()), 0.75, 1.3)

    def test_one_lookup_for_sixteen_threads(self):
        dns.names["obs.test"], dns.delay["obs.test"] = ["127.0.0.1"], 0.5
        client = self.client()
        outcomes, barrier = [], threading.Barrier(16)

        def work():
            barrier.wait()
            outcomes.append(client.try_abort("bucket", "key", "id").code)

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(outcomes, [0] * 16)
        self.assertEqual(dns.asked("obs.test"), 1)

    def test_no_lookup_on_a_kept_connection(self):
        dns.names["obs.test"] = ["127.0.0.1"]
        client = self.client()
        for _ in range(20):
            self.gone(client)
        self.assertEqual(dns.asked("obs.test"), 1)
        self.assertEqual(len({seen.connection for seen in origin.take()}), 1)

    def test_no_lookup_for_an_address(self):
        for host, served in (("127.0.0.1", origin), ("[::1]", origin6)):
            with self.subTest(host=host):
                self.gone(self.client(host))
                (seen,) = served.take()
                self.assertEqual(seen.headers["host"], f"{host}:{origin.port}")
        self.assertEqual(dns.queries, [])

    def test_hosts_file(self):
        namespace.hosts([("in-hosts.test", "127.0.0.1")], dns=True)
        namespace.file(
            "/etc/resolv.conf", f"nameserver 127.0.0.1\noptions timeout:{PATIENCE} attempts:1\n"
        )
        self.gone(self.client("in-hosts.test"))


class AddressTest(ResolveTest):
    """Several addresses, of which some are dead (RFC 8305)."""

    def test_dead_addresses_beside_one_that_lives(self):
        refused, no_route = "127.0.0.2", "203.0.113.9"
        rows = {
            "IPv4 dropped": [HOLE4[0], "127.0.0.1"],
            "IPv6 dropped": [HOLE6[0], "127.0.0.1"],
            "IPv4 dropped, IPv6 lives": [HOLE4[0], "::1"],
            "three dropped": [*HOLE4[:3], "127.0.0.1"],
            "both families dropped": [HOLE6[0], HOLE4[0], HOLE6[1], "127.0.0.1"],
            "refused": [refused, "127.0.0.1"],
            "no route": [no_route, "2001:db8:99::1", "127.0.0.1"],
            "all kinds": [refused, no_route, HOLE4[0], HOLE6[0], "127.0.0.1"],
            "many": [*HOLE4, "127.0.0.1", "::1"],
        }
        for name, addresses in rows.items():
            with self.subTest(name):
                dns.names["obs.test"] = addresses
                took = self.gone(self.client(max_attempts=1, connect_timeout=5))
                # One after the other begins every 250 ms at the latest.
                self.assertLess(took, 0.25 * (len(addresses) - 1) + SLACK + 0.1)

    def test_one_dead_family_costs_a_quarter_second(self):
        """The other family has its turn after 250 ms, not after the first one's timeout."""
        for addresses in ([*HOLE6[:3], "127.0.0.1"], [*HOLE4[:3], "::1"]):
            with self.subTest(addresses=addresses):
                dns.names["obs.test"] = addresses
                took = self.gone(self.client(max_attempts=1))
                self.assertLess(took, 0.25 + SLACK + 0.1)

    def test_losers_are_closed(self):
        dns.names["obs.test"] = [*HOLE6[:2], *HOLE4[:2], "127.0.0.1"]
        client = self.client(max_attempts=1)
        before = descriptors_now()
        self.gone(client)
        # One connection, kept, and the origin's end of it, which is in this process too.
        self.assertLessEqual(descriptors_now(), before + 2)

    def test_syn_dropped(self):
        dns.names["obs.test"] = HOLE4[:1]
        client = self.client(connect_timeout=0.4, max_attempts=1)
        took = self.failed(client, obsabort.Code.CONNECT, "obs.test")
        self.assertBetween(took, 0.38, 0.4 + SLACK)

    def test_syn_dropped_is_retried(self):
        dns.names["obs.test"] = HOLE4[:1]
        client = self.client(connect_timeout=0.4, max_attempts=3)
        took = self.failed(client, obsabort.Code.CONNECT)
        # Full jitter: the waits between are 0 to 100 and 0 to 200 ms.
        self.assertBetween(took, 1.15, 1.2 + 0.3 + SLACK)

    def test_syn_dropped_and_the_budget(self):
        for addresses in (HOLE4, HOLE4 + HOLE6):
            for seconds in (0.3, 1.1):
                with self.subTest(addresses=addresses, budget=seconds):
                    dns.names["obs.test"] = addresses
                    client = self.client(timeout=seconds)
                    took = self.failed(client, obsabort.Code.TIMEOUT)
                    self.assertBetween(took, seconds - 0.02, seconds + SLACK)

    def test_cancellation_while_connecting(self):
        dns.names["obs.test"] = HOLE4
        descriptors = descriptors_now()
        client = self.client()
        self.cancelled(client)
        client.close()
        self.assertLessEqual(descriptors_now(), descriptors)

    def test_full_backlog(self):
        """A process that hangs: its kernel still listens, and drops what finds no room."""
        server = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(server.close)
        address = server.getsockname()
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
            self.addCleanup(filler.close)
        time.sleep(0.1)
        client = self.client(
            endpoint=f"http://127.0.0.1:{address[1]}", connect_timeout=0.4, max_attempts=1
        )
        took = self.failed(client, obsabort.Code.CONNECT, "127.0.0.1")
        self.assertBetween(took, 0.38, 0.4 + SLACK)

    def test_refused(self):
        dns.names["obs.test"] = ["127.0.0.2", "127.0.0.3"]
        took = self.failed(self.client(max_attempts=1), obsabort.Code.CONNECT, "obs.test")
        self.assertLess(took, 0.5)

    def test_no_route(self):
        dns.names["obs.test"] = ["203.0.113.9"]
        took = self.failed(self.client(max_attempts=1), obsabort.Code.CONNECT, "obs.test")
        self.assertLess(took, 0.5)

    def test_many_threads_at_a_dead_host(self):
        """16 calls at once, each with its own budget, none delayed by another."""
        dns.names["obs.test"] = HOLE4
        client = self.client(timeout=0.6)
        took, barrier = [], threading.Barrier(16)

        def work():
            barrier.wait()
            took.append(self.failed(client, obsabort.Code.TIMEOUT))

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(took), 16)
        for seconds in took:
            self.assertBetween(seconds, 0.58, 0.6 + SLACK)


class DroppedTest(ResolveTest):
    """A peer that disappears without FIN or RST, as a host does whose power fails."""

    def client(self, **more):
        return super().client("127.0.0.1", response_timeout=0.6, **more)

    def kept(self):
        """The ports of the open connections to the origin."""
        lines = support.run(["ss", "-tnH", "state", "established", f"dport = :{origin.port}"]).stdout
        return [int(line.split()[2].rpartition(":")[2]) for line in lines.splitlines()]

    def test_a_kept_connection(self):
        client = self.client()
        self.gone(client)
        (port,) = self.kept()
        namespace.drop_from(port)
        with Timed() as timed:
            outcome = client.try_abort("bucket", "key", "id")
        self.assertEqual((outcome.code, outcome.attempts), (0, 2), outcome.message)
        self.assertGreater(timed.took, 0.6)
        self.assertLess(timed.took, 0.6 + 0.1 + 1)

    def test_every_kept_connection(self):
        client = self.client()
        barrier = threading.Barrier(16)

        def work():
            barrier.wait()
            client.try_abort("bucket", "key", "id")

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ports = self.kept()
        self.assertGreater(len(ports), 1)
        for port in ports:
            namespace.drop_from(port)
        outcome = client.try_abort("bucket", "key", "id")
        self.assertEqual((outcome.code, outcome.attempts), (0, 2), outcome.message)
        # The others were dropped with it.
        outcome = client.try_abort("bucket", "key", "id")
        self.assertEqual((outcome.code, outcome.attempts), (0, 1), outcome.message)


if __name__ == "__main__":
    unittest.main()
