"""--stale without --yes: what the question counts is what goes, and a signal ends it at any time."""

import json
import os
import re
import signal
import subprocess
import termios
import time

import support
import tool_terminal
from tool_servers import DAY, WithServer
from tool_terminal import Pty


def counted_in(asked):
    return int(re.search(r"(\d+) uploads? begun before |(\d+) uploads?, those in progress", asked).group(0).split()[0])


LIVE = ("--stale", "0s", "--include-live", "obs://leftovers")


class Question(WithServer):
    """Nothing is aborted that was not counted, whatever happens while the question waits."""

    options = ("--control", "--uploads", f"leftovers:2:{2 * DAY}:old/")

    def setUp(self):
        super().setUp()
        self.env["NO_COLOR"] = "1"

    def ids(self):
        return {upload.upload_id for upload in self.left()}

    def answer(self, *sweep, meanwhile, options=()):
        """Has `meanwhile` run before the question is answered with yes. What the question counted,
        the exit status and all output."""
        with Pty(*options, *sweep, env=self.env) as terminal:
            asked = terminal.read_until("[y/N/l]")
            meanwhile()
            terminal.type("y\n")
            status, output = terminal.finish()
        return counted_in(asked), status, output

    def test_what_turns_old_enough_meanwhile_stays(self):
        begun = []

        def begin_three():
            begun.extend(self.s3.initiate("leftovers", key) for key in ("old/000000", "new/1", "zzz"))
            time.sleep(3.5)  # by the server's clock they are older than 2 s now

        counted, status, output = self.answer("--stale", "2s", *LIVE[2:], meanwhile=begin_three)
        self.assertEqual((counted, status), (2, 0), output)
        self.assertIn("2 aborted, 0 failed", output)
        self.assertEqual(self.ids(), set(begun))

    def test_what_begins_meanwhile_stays(self):
        begun = []

        def begin_three():
            begun.extend(self.s3.initiate("leftovers", key) for key in ("old/000000", "new/1", "zzz"))

        counted, status, output = self.answer(*LIVE, meanwhile=begin_three)
        self.assertEqual((counted, status), (2, 0), output)
        self.assertIn("2 aborted, 0 failed", output)
        self.assertEqual(self.ids(), set(begun))

    def test_what_the_first_listing_did_not_show_stays(self):
        """However old it is: a lagging replica, a clock that was set back."""
        for sweep in (("--stale", "24h", "obs://leftovers"), LIVE):
            self.server.control(f"uploads leftovers:2:{2 * DAY}:first/")
            before = self.ids()
            counted, status, output = self.answer(
                *sweep, meanwhile=lambda: self.server.control(f"uploads leftovers:3:{4 * DAY}:late/")
            )
            self.assertEqual((counted, status), (len(before), 0), output)
            self.assertEqual(len(self.ids() - before), 3)
            self.assertEqual(self.ids() & before, set())
            for upload in self.left():
                self.s3.abort("leftovers", upload.key, upload.upload_id)

    def test_begun_while_the_pages_were_read(self):
        self.server.control("page-cap 2")
        self.server.control("latency-ms 100")
        self.server.control(f"uploads leftovers:20:{2 * DAY}:old/")
        with Pty(*LIVE, env=self.env) as terminal:
            time.sleep(0.5)
            for key in ("aaa", "old/000002", "zzz"):
                self.s3.initiate("leftovers", key)
            asked = terminal.read_until("[y/N/l]")
            counted = counted_in(asked)
            self.assertTrue(22 <= counted <= 25, asked)
            self.server.control("latency-ms 0")
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual(status, 0, output)
        self.assertIn(f"{counted} aborted, 0 failed", output)
        self.assertEqual(len(self.left()), 25 - counted)

    def test_what_is_gone_meanwhile_counts_as_gone(self):
        upload = self.left()[0]
        counted, status, output = self.answer(
            *("--stale", "24h", "obs://leftovers"),
            meanwhile=lambda: self.s3.abort("leftovers", upload.key, upload.upload_id),
        )
        self.assertEqual((counted, status), (2, 0), output)
        self.assertIn("1 aborted, 1 gone already, 0 failed", output)
        self.assertEqual(self.left(), [])

    def test_more_than_a_page(self):
        self.server.control(f"uploads leftovers:2500:{2 * DAY}:many/:7")
        counted, status, output = self.answer("--stale", "24h", "obs://leftovers", meanwhile=lambda: None)
        self.assertEqual((counted, status), (2502, 0), output)
        self.assertIn("2502 aborted, 0 failed", output)
        self.assertEqual(self.left(), [])

    def test_a_key_that_no_c_string_holds(self):
        """It is shown as failed. Aborted is the rest, and never the key that it is shown as."""
        with_nul, shown_as = (self.s3.initiate("leftovers", key) for key in ("old/a\0b", "old/a?b"))
        self.s3.abort("leftovers", "old/a?b", shown_as)
        for options in ([], ["--json"]):
            self.server.control(f"uploads leftovers:2:{2 * DAY}:old/")
            before = self.ids()
            counted, status, output = self.answer(*LIVE, meanwhile=lambda: None, options=options)
            self.assertEqual((counted, status), (len(before) - 1, 1), output)
            self.assertIn("U+0000", output)
            self.assertIn('"failed":1' if options else f"{counted} aborted, 1 failed", output)
            self.assertNotRegex(output, r"[1-9]\d* (were )?gone already")
            self.assertEqual(self.ids(), {with_nul})
        with Pty(*LIVE, env=self.env) as terminal:  # nothing else is left, and so there is no question
            status, output = terminal.finish()
        self.assertEqual(status, 1, output)
        self.assertIn("0 aborted, 1 failed", output)

    def test_only_under_the_prefix(self):
        self.server.control(f"uploads leftovers:3:{2 * DAY}:other/")
        counted, status, output = self.answer(
            "--stale", "24h", "--prefix", "old/", "obs://leftovers", meanwhile=lambda: None
        )
        self.assertEqual((counted, status), (2, 0), output)
        self.assertEqual({upload.key.split("/")[0] for upload in self.left()}, {"other"})

    def test_json_tells_as_much_as_without_the_question(self):
        young = self.s3.initiate("leftovers", "young")
        _, status, output = self.answer(
            "--stale", "24h", "obs://leftovers", meanwhile=lambda: None, options=["--json"]
        )
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        uploads, summary = lines[:-1], lines[-1]
        self.assertEqual([upload["result"] for upload in uploads], ["aborted", "aborted"])
        for upload in uploads:
            self.assertRegex(upload["initiated"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.assertAlmostEqual(upload["age_seconds"], 2 * DAY, delta=120)
        counts = [summary[name] for name in ("total", "aborted", "missing", "failed", "kept", "found")]
        self.assertEqual((status, counts, summary["dry_run"]), (0, [3, 2, 0, 0, 1, 0], False))
        self.assertEqual(self.ids(), {young})


class Interrupted(WithServer):
    """SIGINT, SIGTERM and SIGHUP before, while and after the question waits: nothing is aborted."""

    options = ("--control", "--uploads", f"leftovers:30:{2 * DAY}:old/", "--page-cap", "10")
    sweep = ("--stale", "24h", "obs://leftovers")

    def setUp(self):
        super().setUp()
        self.env["NO_COLOR"] = "1"

    def ended(self, terminal, expected, seconds=5):
        status, output = terminal.finish(seconds)
        self.assertEqual(status, expected, output)
        self.assertEqual(len(self.left()), 30)
        return output

    def test_during_the_dry_run(self):
        self.server.control("page-cap 1")
        self.server.control("latency-ms 100")
        with Pty(*self.sweep, env=self.env) as terminal:
            time.sleep(0.8)
            terminal.type("\x03")
            output = self.ended(terminal, 130)
        self.assertIn("nothing was aborted", output)
        self.assertNotRegex(output, r"\d aborted", "none was")
        self.assertNotIn("in flight", output)
        with Pty("--json", *self.sweep, env=self.env) as terminal:
            time.sleep(0.8)
            terminal.type("\x03")
            summary = json.loads(self.ended(terminal, 130).splitlines()[-1])
        self.assertEqual(
            (summary["aborted"], summary["interrupted"], summary["dry_run"], summary["exit_status"]),
            (0, True, True, 130),
        )

    def test_a_dry_run_that_breaks_off_aborted_nothing(self):
        self.server.control("fault answer=403;error=AccessDenied;query=uploads;skip=2;times=1")
        with Pty(*self.sweep, env=self.env) as terminal:
            output = self.ended(terminal, 1)
        self.assertIn("access_denied", output)
        self.assertIn("nothing was aborted", output)
        self.assertIn("obs-abort: 20 would be aborted", output)

    def test_between_the_dry_run_and_the_question(self):
        """The terminal's output is held up, so that the question can't be written yet."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number), Pty(*self.sweep, env=self.env, output_stopped=True) as terminal:
                time.sleep(1)
                terminal.process.send_signal(number)
                time.sleep(0.3)
                terminal.flow(termios.TCOON)
                time.sleep(0.3)
                terminal.type("y\n")
                self.ended(terminal, 128 + number)

    def test_while_the_question_waits(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number), Pty("--json", *self.sweep, env=self.env) as terminal:
                terminal.read_until("[y/N/l]")
                terminal.process.send_signal(number)
                output = self.ended(terminal, 128 + number)
                self.assertIn("nothing was aborted", output)
                summary = json.loads(output.splitlines()[-1])
                self.assertEqual((summary["aborted"], summary["interrupted"]), (0, True))

    def test_as_the_answer_comes(self):
        """Both are there when the program is let go on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number), Pty(*self.sweep, env=self.env) as terminal:
                terminal.read_until("[y/N/l]")
                terminal.process.send_signal(signal.SIGSTOP)
                terminal.type("y\n")
                terminal.process.send_signal(number)
                terminal.process.send_signal(signal.SIGCONT)
                self.ended(terminal, 128 + number)

    def test_after_the_answer(self):
        """Then it is as with --yes: what is in flight finishes."""
        self.server.control("latency-ms 100")
        with Pty("--connections", "2", *self.sweep, env=self.env) as terminal:
            terminal.read_until("[y/N/l]")
            terminal.type("y\n")
            terminal.read_until("aborting")
            terminal.type("\x03")
            status, output = terminal.finish()
        self.assertEqual(status, 130, output)
        aborted, failed, left = map(int, re.search(r"(\d+) aborted, (\d+) failed, (\d+) not begun", output).groups())
        self.assertEqual((aborted + left, failed, len(self.left())), (30, 0, left))
        self.assertTrue(0 < aborted < 30, aborted)

    def test_stopped_and_continued_it_still_waits(self):
        with Pty(*self.sweep, env=self.env) as terminal:
            terminal.read_until("[y/N/l]")
            terminal.process.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            terminal.process.send_signal(signal.SIGCONT)
            time.sleep(0.3)
            self.assertIsNone(terminal.process.poll())
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual((status, self.left()), (0, []), output)

    def test_at_any_moment(self):
        self.server.control("latency-ms 50")
        for milliseconds in range(0, 400, 16):
            with self.subTest(milliseconds), Pty(*self.sweep, env=self.env) as terminal:
                time.sleep(milliseconds / 1000)
                terminal.process.send_signal(signal.SIGINT)
                status, output = terminal.finish(5)
                # -2: it came before the program had so much as a handler.
                self.assertIn(status, (130, -signal.SIGINT), output)
                self.assertEqual(len(self.left()), 30)

    def test_right_before_a_list_is_read(self):
        """strace delivers the signal at the system call before the read that waits for input."""
        support.need(["strace"], "strace")
        fifo = os.path.join(support.temp_dir(), "list")
        os.mkfifo(fifo)
        # Held open at both ends: whoever reads it waits.
        held = os.open(fifo, os.O_RDWR)
        self.addCleanup(os.close, held)
        calls = "fstat,newfstatat"
        strace = ["strace", "-qq", "-o", "/dev/null", "-P", fifo, "-e", f"trace={calls}",
                  "-e", f"inject={calls}:signal=SIGINT:when=1"]
        for name in ("-", fifo):
            with self.subTest(name), open(fifo) as stdin:
                words = [*strace, tool_terminal.tool_path(), "--from", name, "obs://leftovers"]
                tool = subprocess.Popen(words, env=self.env, stdin=stdin, stderr=subprocess.DEVNULL)
                try:
                    self.assertEqual(tool.wait(5), 130)
                finally:
                    tool.terminate()
                    tool.wait(5)
