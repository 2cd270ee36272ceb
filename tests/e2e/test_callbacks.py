"""Callbacks and the library's threads, as a host with signal handlers sees them: a C program with default signal
dispositions, and a Mono program, whose runtime turns SIGSEGV into exceptions and stops threads by signals.

A handler of the host's must be able to run on every thread that calls back. Programs in Rust and Python have no such
handlers, so a suite in those can't see it.
"""

import os
import unittest

import support

HERE = os.path.dirname(os.path.abspath(__file__))


def setUpModule():
    global directory, environment
    support.need(("cc",), "gcc")
    directory = support.temp_dir_with_library()
    # Mono's name for it.
    os.symlink("libobsabort.so.0", os.path.join(directory, "libobsabort.so"))
    for name, flags in (("callbacks_host", []), ("callbacks_host_without_threads", ["-DNO_THREADS"])):
        support.build_host(directory, name, "callbacks_host.c", "-std=c11", "-D_DEFAULT_SOURCE", *flags)
    environment = {
        "LD_LIBRARY_PATH": directory,
        "PATH": os.environ["PATH"],
        "OBS_ACCESS_KEY_ID": support.ObsLocal.access_key,
        "OBS_SECRET_ACCESS_KEY": support.ObsLocal.secret_key,
    }


class CallbacksTest(unittest.TestCase):
    def serve(self, count=60):
        """Old uploads, and some trouble, so that there are lines of every kind."""
        return self.enterContext(
            support.ObsLocal(
                *("--page-cap", "20"),
                *("--uploads", f"backups:{count}:86400:many/", "--uploads", f"backups:{count}:86400:stale/"),
                *("--fault", "answer=500;error=InternalError;method=DELETE;skip=9;times=3"),
                *("--fault", "real;then=close;method=DELETE;skip=25;times=5"),
                *("--latency-ms", "2"),
            )
        )

    def host(self, *arguments, program="callbacks_host", within=()):
        done = support.run(
            [*within, os.path.join(directory, program), *arguments], env=environment, check=False
        )
        # Negative: the signal that ended it.
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def named(self, server):
        """The same server by a name, so that it is looked up."""
        return server.endpoint.replace("127.0.0.1", "obs.test")

    def test_a_fault_in_a_callback_reaches_the_hosts_handler(self):
        self.host("faults", self.serve().endpoint, "backups")

    def test_the_same_without_threads(self):
        self.host(
            "faults", self.serve().endpoint, "backups", program="callbacks_host_without_threads"
        )

    def test_no_thread_blocks_what_a_fault_raises(self):
        for starter in ("little", "all"):
            with self.subTest(starter_blocks=starter):
                self.host("masks", self.named(self.serve()), "backups", starter)

    def test_nor_does_the_thread_that_fetches_credentials(self):
        for starter in ("little", "all"):
            with self.subTest(starter_blocks=starter):
                self.host("ecs", "http://127.0.0.1:1", "backups", starter, within=support.without_network())

    def test_no_callback_after_the_client_is_freed(self):
        self.host("free", self.named(self.serve()), "backups")

    def test_a_managed_host_catches_exceptions_and_collects_garbage(self):
        support.need(("mono", "mcs"), "mono-mcs mono-runtime libmono-system-core4.0-cil")
        program = os.path.join(directory, "callbacks_host.exe")
        support.run(["mcs", "-warnaserror", f"-out:{program}", os.path.join(HERE, "callbacks_host.cs")])
        server = self.serve()
        # Before, it was killed, or hung at a collection until the time was up.
        done = support.run(
            ["mono", program, server.endpoint, "backups", server.access_key, server.secret_key],
            env=environment,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
