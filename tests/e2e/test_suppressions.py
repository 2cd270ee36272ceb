"""The suppressions that are installed: with them, valgrind and thread sanitizer report nothing about the release library
over TLS, and all the same what a program does wrong."""

import os
import re
import unittest

import support
import tls_certs

FOUND = 66
HERE = os.path.dirname(os.path.abspath(__file__))
SUPPRESSIONS = os.path.join(HERE, "..", "..", "packaging", "suppressions")
BUCKET = "driver"
DRIVER = os.path.join("..", "sanitize", "driver.c")

library_dir = None
authority = None
certificate = None


def setUpModule():
    global library_dir, authority, certificate
    support.need(("cc", "openssl"), "gcc openssl")
    library_dir = support.temp_dir_with_library()
    authority = tls_certs.Authority(library_dir, "ca")
    certificate = authority.server("server")


def start_server(*options):
    """What driver.c expects to find."""
    arguments = []
    for name, count in ("single", 4), ("threads", 16), ("many", 20), ("rest", 20), ("stale", 30):
        arguments += ["--uploads", f"{BUCKET}:{count}:172800:{name}/:5"]
    arguments += ["--page-cap", "10", "--fault", "silence;then=stall;key=stall;always"]
    return support.ObsLocal(*arguments, *options)


def over_tls(version):
    return ("--tls-cert", certificate.certificate, "--tls-key", certificate.key, "--tls-version", version)


def environment(server=None, **more):
    env = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": library_dir, **more}
    if server:
        env.update(OBS_ACCESS_KEY_ID=server.access_key, OBS_SECRET_ACCESS_KEY=server.secret_key)
    return env


def build_static(name, source):
    """Linked with the static library, and what rustc says that it needs."""
    program = os.path.join(library_dir, name)
    release = os.path.dirname(os.path.abspath(os.environ["OBSABORT_LIB"]))
    with open(os.path.join(release, "native-static-libs")) as file:
        needs = file.read().split()
    source = os.path.join(HERE, source)
    include = ["-I", os.environ["INCLUDEDIR"]]
    library = os.path.join(release, "libobsabort.a")
    support.run(["cc", "-std=c99", "-g", "-O1", *include, source, library, *needs, "-pthread", "-o", program])
    return program


class Valgrind(unittest.TestCase):
    def setUp(self):
        support.need(("valgrind",), "valgrind")

    def valgrind(self, program, *arguments, env):
        file = os.path.join(SUPPRESSIONS, "valgrind.supp")
        # Without --errors-for-leak-kinds: what may be lost counts, too.
        command = ["valgrind", f"--suppressions={file}", "--leak-check=full", f"--error-exitcode={FOUND}"]
        done = support.run([*command, program, *arguments], 120, env, check=False)
        self.assertIn("ERROR SUMMARY: ", done.stderr, done.stdout)
        return done

    def check_over_tls(self, program):
        for version in "1.3", "1.2":
            with self.subTest(tls=version), start_server(*over_tls(version)) as server:
                endpoint = server.endpoint.replace("http:", "https:")
                done = self.valgrind(program, endpoint, BUCKET, authority.certificate, env=environment(server))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                # If nothing is suppressed any more, the file is no longer needed.
                self.assertRegex(done.stderr, r"ERROR SUMMARY: 0 errors .*suppressed: [1-9]")

    def test_shared_library_over_tls(self):
        self.check_over_tls(support.build_host(library_dir, "driver", DRIVER, "-std=c99", "-g", "-O1"))

    def test_static_library_over_tls(self):
        self.check_over_tls(build_static("driver-static", DRIVER))

    def test_what_a_program_does_wrong_is_reported(self):
        source = os.path.join("..", "sanitize", "faulty.c")
        for fault, says in ("leak", "definitely lost"), ("use_after_free", "Invalid "):
            flags = ("-std=c99", "-g", "-O1", f"-DFAULT_{fault}")
            shared = support.build_host(library_dir, f"faulty_{fault}", source, *flags)
            with self.subTest(fault=fault):
                done = self.valgrind(shared, env=environment())
                self.assertEqual(done.returncode, FOUND, done.stderr)
                self.assertRegex(done.stderr, says)


class ThreadSanitizer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Some kernels spread addresses more widely than the sanitizer of older compilers can bear. Some containers forbid
        # to turn that off.
        support.need(("setarch",), "util-linux")
        without = ["setarch", "-R"]
        cls.prefix = without if support.run([*without, "true"], check=False).returncode == 0 else []

    def sanitized(self, program, *arguments, suppressions, env):
        options = f"exitcode={FOUND}:halt_on_error=0"
        if suppressions:
            options += ":suppressions=" + os.path.join(SUPPRESSIONS, "thread-sanitizer.supp")
        return support.run([*self.prefix, program, *arguments], 120, {**env, "TSAN_OPTIONS": options}, check=False)

    def test_shared_library_over_tls(self):
        flags = ("-std=c99", "-g", "-O1", "-fsanitize=thread")
        program = support.build_host(library_dir, "driver-threads", DRIVER, *flags)
        for suppressions in True, False:
            with self.subTest(suppressions=suppressions), start_server(*over_tls("1.3")) as server:
                endpoint = server.endpoint.replace("http:", "https:")
                arguments = (endpoint, BUCKET, authority.certificate)
                done = self.sanitized(program, *arguments, suppressions=suppressions, env=environment(server))
                races = re.findall("WARNING: ThreadSanitizer", done.stderr)
                self.assertEqual((done.returncode, races == []), (0, True) if suppressions else (FOUND, False), done.stderr)

    def test_race_of_the_program_is_reported(self):
        flags = ("-std=c99", "-g", "-O1", "-fsanitize=thread")
        program = support.build_host(library_dir, "racy_host", "racy_host.c", *flags)
        with start_server() as server:
            done = self.sanitized(program, server.endpoint, BUCKET, suppressions=True, env=environment(server))
        self.assertEqual(done.returncode, FOUND, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"data race .*racy_host\.c:\d+ in count")


if __name__ == "__main__":
    unittest.main()
