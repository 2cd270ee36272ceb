"""The small programs of examples-c, which readers copy, run as they stand."""

import os
import re
import signal
import subprocess
import tempfile
import time

from tool_servers import DAY, HOUR, Listener, WithServer
from tool_terminal import ON_WINDOWS, Pty, environment, not_on_windows


def path(program):
    found = os.path.join(os.environ.get("EXAMPLES_DIR", ""), program)
    if not os.path.exists(found):
        raise AssertionError(f"EXAMPLES_DIR must hold {program}, not found: {found}")
    return found


class Examples(WithServer):
    options = ("--control",)

    def run_program(self, program, *arguments, stdin="", seconds=30, **env):
        return subprocess.run([path(program), *arguments], env=dict(self.env, **env), input=stdin, capture_output=True,
                              timeout=seconds, encoding="utf-8")

    def lines(self, count):
        keys = [f"key {number % 7}" for number in range(count)]
        return [f"{key}\t{self.s3.initiate('leftovers', key)}\n" for key in keys]


class Many(Examples):
    def many(self, text, **env):
        return self.run_program("abort_many", self.server.endpoint, "leftovers", stdin=text, **env)

    def test_all_are_gone(self):
        done = self.many("".join(self.lines(1100) + ["key 1\tunknown\n"]))
        self.assertEqual((done.returncode, done.stdout), (0, "1100 aborted, 1 gone already, 0 failed\n"), done.stderr)
        self.assertEqual(self.left(), [])

    def test_the_last_line_may_lack_its_end(self):
        done = self.many("".join(self.lines(2)).rstrip("\n"))
        self.assertEqual((done.returncode, done.stdout), (0, "2 aborted, 0 gone already, 0 failed\n"), done.stderr)

    def test_a_failure_names_its_line(self):
        lines = self.lines(4)
        lines.insert(2, "long\t" + "i" * 2000 + "\n")
        done = self.many("".join(lines))
        self.assertEqual((done.returncode, done.stdout), (1, "4 aborted, 0 gone already, 1 failed\n"))
        self.assertRegex(done.stderr, r"^line 3: invalid_argument: .*\n$")
        self.assertEqual(self.left(), [])

    def test_more_failures_than_a_report_keeps(self):
        self.server.control("fault answer=403;error=AccessDenied;method=DELETE;always")
        done = self.many("".join(self.lines(1003)))
        self.assertEqual((done.returncode, done.stdout), (1, "0 aborted, 0 gone already, 1003 failed\n"))
        self.assertEqual(len(re.findall("(?m)^line [0-9]+: access_denied: ", done.stderr)), 1000)
        self.assertTrue(done.stderr.endswith("and 3 more\n"))

    def test_a_malformed_list_aborts_nothing(self):
        good = self.lines(1)[0]
        for line in ("no tab\n", "nul\0\tID\n", "\n"):
            done = self.many(good + line)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("line 2", done.stderr)
        self.assertEqual(len(self.left()), 1)

    def test_what_the_client_or_the_verb_refuses(self):
        done = self.run_program("abort_many", "ftp://host", "leftovers", stdin=self.lines(1)[0])
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("invalid_config", done.stderr)
        done = self.run_program("abort_many", self.server.endpoint, "No_Bucket", stdin="key\tID\n")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("invalid_argument", done.stderr)
        self.assertEqual(self.run_program("abort_many").returncode, 2)


class Stale(Examples):
    options = ("--control", "--uploads", f"leftovers:25:{3 * DAY}:old/", "--uploads", f"leftovers:4:{2 * HOUR}:young/")

    def stale(self, *arguments):
        return self.run_program("abort_stale", *arguments)

    def test_exactly_the_old_ones_go(self):
        done = self.stale("-n", self.server.endpoint, "leftovers", "24")
        expected = (0, "25 would be aborted, 0 gone already, 0 failed, 4 kept\n", "")
        self.assertEqual((done.returncode, done.stdout, done.stderr), expected)
        self.assertEqual(len(self.left()), 29)
        done = self.stale(self.server.endpoint, "leftovers", "24")
        expected = (0, "25 aborted, 0 gone already, 0 failed, 4 kept\n", "")
        self.assertEqual((done.returncode, done.stdout, done.stderr), expected)
        self.assertEqual({upload.key.split("/")[0] for upload in self.left()}, {"young"})

    def test_prefix(self):
        done = self.stale(self.server.endpoint, "leftovers", "1", "young/")
        self.assertEqual((done.returncode, done.stdout), (0, "4 aborted, 0 gone already, 0 failed, 0 kept\n"))
        self.assertEqual(len(self.left("old/")), 25)

    def test_what_could_take_more_than_is_meant_is_refused(self):
        for hours in ("0", "00", "", "-1", "+1", " 1", "1h", "1.5", "h", "18446744073709551616", "5124095576030432"):
            done = self.stale(self.server.endpoint, "leftovers", hours)
            self.assertEqual((done.returncode, done.stdout), (2, ""), hours)
        done = self.stale(self.server.endpoint, "leftovers", "1", "")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(self.stale(self.server.endpoint, "leftovers").returncode, 2)
        self.assertEqual(len(self.left()), 29)

    @not_on_windows
    def test_progress_and_failures_on_a_terminal(self):
        self.s3.initiate("leftovers", "esc\x1b[2Jape")
        self.server.control(f"uploads leftovers:1:{3 * DAY}:esc\x1b[2Jape")
        self.server.control("latency-ms 300")
        for n in (7, 17, 23):
            self.server.control(f"fault answer=403;error=AccessDenied;method=DELETE;key=old/{n:06};always")
        terminal = Pty(self.server.endpoint, "leftovers", "24", env=self.env, program=path("abort_stale"))
        with terminal:
            status, output = terminal.finish()
        self.assertEqual(status, 1, output)
        self.assertRegex(output, r"\r\d+ of \d+ found so far ")
        self.assertIn("23 aborted, 0 gone already, 3 failed, 5 kept\r\n", output)
        self.assertEqual(len(re.findall(r"\n[!-~]+: access_denied: ", output)), 3, output)
        self.assertNotIn("\x1b[2J", output)

    def test_a_listing_refused(self):
        done = self.stale(self.server.endpoint, "no-such-bucket", "24")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no_such_bucket", done.stderr)

    def test_what_is_of_unknown_age(self):
        self.server.control("initiated 0001-01-01T00:00:00Z")
        done = self.stale(self.server.endpoint, "leftovers", "24")
        expected = "0 aborted, 0 gone already, 0 failed, 29 kept, 29 of them of unknown age\n"
        self.assertEqual((done.returncode, done.stdout), (0, expected))


class Sweep(Examples):
    options = ("--control", "--uploads", f"leftovers:25:{3 * DAY}:old/", "--uploads", f"leftovers:4:{2 * HOUR}:young/")

    def sweep(self, *arguments, known=""):
        with tempfile.TemporaryDirectory() as folder:
            catalogue = os.path.join(folder, "catalogue")
            with open(catalogue, "w", encoding="utf-8", newline="") as file:
                file.write(known)
            words = [catalogue if word == "CATALOGUE" else word for word in arguments]
            return self.run_program("sweep", *words)

    def with_parts(self, key, *parts):
        """An old upload, with parts that were written just now."""
        self.server.control(f"uploads leftovers:1:{3 * DAY}:{key}")
        upload = self.left(key)[0]
        for number, size in enumerate(parts, 1):
            self.s3.upload_part("leftovers", upload.key, upload.upload_id, number, b"p" * size)
        return upload

    def test_active_and_known_uploads_are_kept(self):
        active = self.with_parts("active", 1000, 1000, 500)
        known = {upload.upload_id for upload in self.left("old/")[3:20]}
        catalogue = "".join(f"{upload_id}\n" for upload_id in sorted(known, reverse=True)) + "another id\r\n"
        done = self.sweep("-n", self.server.endpoint, "leftovers", "24", "CATALOGUE", known=catalogue)
        last = "8 would be aborted, 0 bytes, 0 failed, 22 kept: 4 younger, 1 active"
        self.assertEqual((done.returncode, done.stdout.splitlines()[-1], done.stderr), (0, last, ""))
        self.assertEqual(len(self.left()), 30)
        done = self.sweep(self.server.endpoint, "leftovers", "24", "CATALOGUE", known=catalogue)
        lines = done.stdout.splitlines()
        last = "8 aborted, 0 bytes, 0 failed, 22 kept: 4 younger, 1 active"
        self.assertEqual((done.returncode, lines[-1], done.stderr), (0, last, ""))
        self.assertEqual({line.split("/")[0] for line in lines[:-1]}, {"0 parts\t0 bytes\told"})
        kept = {upload.upload_id for upload in self.left() if not upload.key.startswith("young/")}
        self.assertEqual(kept, {active.upload_id, *known})

    def test_bytes_are_counted(self):
        self.with_parts("measured", 1000, 1000, 500)
        self.server.control(f"clock-offset-s {2 * DAY}")
        done = self.sweep(self.server.endpoint, "leftovers", "24", "CATALOGUE", "measured")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"^3 parts\t2500 bytes\tmeasured[^\n]*\n1 aborted, 2500 bytes, ")

    def test_failures(self):
        self.server.control("fault answer=403;error=AccessDenied;method=DELETE;key=old/000003;always")
        done = self.sweep(self.server.endpoint, "leftovers", "24", "CATALOGUE")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^old/000003: access_denied: [^\n]*\n$")
        self.assertIn("24 aborted, 0 bytes, 1 failed, 4 kept: 4 younger, 0 active\n", done.stdout)

    def test_no_catalogue_no_sweep(self):
        for known in ("cut off", "\n", "a\n\nb\n", "i" * 2000 + "\n", "nul\0\n"):
            done = self.sweep(self.server.endpoint, "leftovers", "24", "CATALOGUE", known=known)
            self.assertEqual((done.returncode, done.stdout), (2, ""), known)
        self.assertEqual(self.sweep(self.server.endpoint, "leftovers", "24", "no/such/file").returncode, 2)
        for words in (("0", "CATALOGUE"), ("1h", "CATALOGUE"), ("24",), ("24", "CATALOGUE", "")):
            done = self.sweep(self.server.endpoint, "leftovers", *words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
        self.assertEqual(len(self.left()), 29)


class Cancel(Examples):
    def test_an_upload_is_aborted(self):
        upload_id = self.s3.initiate("leftovers", "a key")
        done = self.run_program("abort_cancel", self.server.endpoint, "leftovers", "a key", upload_id)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "the upload is gone\n", ""))
        self.assertEqual(self.left(), [])
        done = self.run_program("abort_cancel", self.server.endpoint, "leftovers", "a key", upload_id)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no_such_upload", done.stderr)

    def test_a_signal_cancels_a_call_that_waits(self):
        listener = Listener()
        self.addCleanup(listener.socket.close)
        # Wine makes a Ctrl-C of SIGINT; of SIGTERM the program learns nothing.
        for number in (signal.SIGINT,) if ON_WINDOWS else (signal.SIGINT, signal.SIGTERM):
            words = [path("abort_cancel"), listener.endpoint, "leftovers", "key", "ID"]
            program = subprocess.Popen(words, env=environment(listener), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       encoding="utf-8")
            self.addCleanup(program.kill)
            deadline = time.monotonic() + 10
            while listener.connections() == 0 and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.2)
            self.assertIsNone(program.poll())
            program.send_signal(number)
            output, errors = program.communicate(timeout=5)
            self.assertEqual((program.returncode, output), (3, ""), errors)
            self.assertIn("cancelled", errors)

    def test_a_signal_ends_it_at_any_moment(self):
        """Nothing of it is lost, whichever thread is where."""
        silent = "silence;then=stall;method=DELETE;always"
        self.server.control(f"fault {silent}")
        upload_id = self.s3.initiate("leftovers", "key")
        for milliseconds in range(0, 100, 4):
            words = [path("abort_cancel"), self.server.endpoint, "leftovers", "key", upload_id]
            program = subprocess.Popen(words, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(program.kill)
            time.sleep(milliseconds / 1000)
            program.send_signal(signal.SIGTERM)
            # -15: it came before the program blocked the signal.
            self.assertIn(program.wait(5), (3, -signal.SIGTERM))
