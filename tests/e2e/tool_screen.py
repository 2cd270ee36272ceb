"""obs-abort where its output or its user has a say: full disks, pipes, terminals, Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import time
import unittest

import support
import tool_terminal
from servers import Server
from tool_servers import DAY, HOUR, Listener, WithServer
from tool_terminal import ON_WINDOWS, Pty, Tmux, environment, not_on_windows, run


class Output(WithServer):
    """What becomes of the sweep when standard output does not take its lines."""

    options = ("--uploads", f"leftovers:400:{3 * DAY}", "--latency-ms", "10")
    sweep = ("--stale", "1h", "--yes", "--connections", "2", "obs://leftovers")

    def test_a_full_disk_stops_the_sweep(self):
        with open("/dev/full", "w") as full:
            done = run(*self.sweep, env=self.env, stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output: No space left on device", done.stderr)
        self.assertIn("not begun", done.stderr)
        self.assertGreater(len(self.left()), 300)

    def test_a_reader_that_leaves_stops_the_sweep(self):
        words = [tool_terminal.tool_path(), *self.sweep]
        sweep = subprocess.Popen(words, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        sweep.stdout.readline()
        sweep.stdout.close()
        errors = sweep.stderr.read()
        sweep.stderr.close()
        self.assertEqual(sweep.wait(10), 1)
        self.assertIn("standard output: Broken pipe", errors)
        self.assertGreater(len(self.left()), 300)

    def test_a_list_whose_reader_leaves_is_no_news(self):
        words = [tool_terminal.tool_path(), "--list", "obs://leftovers"]
        done = support.run(["sh", "-c", '"$@" | head -n 1', "sh", *words], env=self.env)
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertNotIn("Broken pipe", done.stderr)

    def test_results_never_go_into_a_connection(self):
        """Descriptor 1 is free when the parent closed it, and the next socket would get its number."""
        received = []

        def serve(connection, _):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            received.append(connection.recv(65536))

        server = Server(serve)
        words = [tool_terminal.tool_path(), "obs://leftovers/key", "ID"]
        env = dict(self.env, OBS_ENDPOINT=server.url)
        done = support.run(["sh", "-c", '"$@" >&-', "sh", *words], env=env, check=False)
        server.close()
        self.assertEqual(received, [b""])
        self.assertEqual(done.returncode, 1)

    def test_a_closed_standard_output(self):
        words = [tool_terminal.tool_path(), *self.sweep]
        done = support.run(["sh", "-c", '"$@" >&-', "sh", *words], env=self.env, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output:", done.stderr)
        done = support.run(["sh", "-c", '"$@" >/dev/full', "sh", words[0], "--help"], env=self.env, check=False)
        self.assertEqual(done.returncode, 1)


class Terminal(WithServer):
    """In tmux: what a person sees."""

    options = ("--uploads", f"leftovers:120:{3 * DAY}:old/", "--uploads", f"leftovers:3:{2 * HOUR}:young/",
               "--latency-ms", "100", "--control")

    def setUp(self):
        support.need(["tmux"], "tmux")
        super().setUp()
        self.sweep = ("--stale", "24h", "--connections", "4", "obs://leftovers")

    def test_the_question_answered_yes_and_the_bar(self):
        with Tmux(*self.sweep, env=self.env) as terminal:
            screen = terminal.wait_for_question()
            if ON_WINDOWS:
                screen = screen.replace("\n", "")  # Wine counts escape sequences as columns, and breaks lines too early
            self.assertRegex(screen, r"120 uploads begun before \d{4}-\d\d-\d\dT\d\d:\d\dZ \(24 hours ago\), 0 B, in 1 prefix of\s+obs://leftovers")
            self.assertRegex(screen, r"oldest: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(3d 0h ago\)")
            self.assertRegex(screen, r"newest: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(3d 0h ago\)")
            self.assertEqual(len(self.left()), 123)
            terminal.keys("y", "Enter")
            screen = terminal.wait_for("s left")
            self.assertRegex(screen, r"aborting \[#*-+\] +\d+%  \d+ of 120, \d+(\.\d)?/s, \d+s left")
            screen = terminal.wait_for("exit=")
            self.assertIn("exit=0", screen)
            self.assertIn("120 aborted, 0 failed, 3 younger", screen)
            if not ON_WINDOWS:  # a line that Wine broke is not overwritten
                self.assertNotIn("aborting [", screen, "the bar leaves the screen")
        self.assertEqual(len(self.left()), 3)

    def test_the_question_answered_no(self):
        end = ["C-z", "Enter"] if ON_WINDOWS else ["C-d"]
        for keys in (["n", "Enter"], ["Enter"], end, ["Y", "E", "A", "Enter"]):
            with self.subTest(keys), Tmux(*self.sweep, env=self.env) as terminal:
                terminal.wait_for_question()
                terminal.keys(*keys)
                screen = terminal.wait_for("exit=")
                self.assertIn("nothing was aborted", screen)
                self.assertIn("exit=1", screen)
        with Tmux(*self.sweep, env=self.env) as terminal:
            terminal.wait_for_question()
            terminal.keys("C-c")
            self.assertIn("exit=130", terminal.wait_for("exit="))
        self.assertEqual(len(self.left()), 123)

    @not_on_windows
    def test_the_question_answered_no_with_json(self):
        with Pty("--json", *self.sweep, env=self.env) as terminal:
            terminal.read_until("[y/N/l]")
            terminal.type("n\n")
            status, output = terminal.finish()
        summary = json.loads(output.splitlines()[-1])
        self.assertEqual((status, summary["aborted"], summary["exit_status"]), (1, 0, 1))
        self.assertEqual(len(self.left()), 123)

    def test_nothing_to_ask_about(self):
        with Tmux("--stale", "4d", "obs://leftovers", env=self.env) as terminal:
            screen = terminal.wait_for("exit=")
            self.assertIn("nothing 4d old; 123 younger", screen)
            self.assertIn("exit=0", screen)

    def test_colours(self):
        for name, value, coloured in (("X", "", True), ("NO_COLOR", "", True), ("NO_COLOR", "1", False)):
            with self.subTest(**{name: value}):
                self.s3.initiate("leftovers", "fresh")
                with Tmux("--stale", "0s", "--include-live", "--yes", "--prefix", "fresh", "obs://leftovers",
                          env=dict(self.env, **{name: value})) as terminal:
                    self.assertIn("1 aborted", terminal.wait_for("exit="))
                    self.assertEqual("\x1b[32m1 aborted" in terminal.screen(colours=True), coloured)

    def test_a_dumb_terminal_gets_plain_lines(self):
        with Tmux(*self.sweep, "--yes", env=self.env, before="TERM=dumb ") as terminal:
            screen = terminal.wait_for("exit=0")
            self.assertIn("aborted old/", re.sub(r"\s+", " ", screen))
            self.assertNotIn("\x1b[", terminal.screen(colours=True))

    @not_on_windows
    def test_no_bar_before_the_question_either(self):
        """On a dumb terminal, with --quiet, beside a pipe; and none in cron's mail while --larger measures."""
        self.server.control("latency-ms 40")
        sweep = ("--stale", "24h", "--connections", "1", "--prefix", "old/00000", "obs://leftovers")
        for options, terminal, pipe in (((), "dumb", {}), (("--quiet",), "xterm", {}),
                                        ((), "xterm", {"stdout": subprocess.DEVNULL}),
                                        ((), "xterm", {"stdout": subprocess.PIPE})):
            with self.subTest(options=options, terminal=terminal, pipe=pipe):
                with Pty(*sweep, *options, env=dict(self.env, TERM=terminal, NO_COLOR="1"), **pipe) as shown:
                    shown.read_until("[y/N/l]")
                    shown.type("n\n")
                    _, output = shown.finish()
                    if shown.process.stdout:
                        shown.process.stdout.close()
                self.assertEqual("\x1b" in output, pipe.get("stdout") == subprocess.DEVNULL, output)
        done = run(*sweep, "--larger", "1K", "--yes", "--quiet", env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_width_is_known_beside_a_redirected_standard_error(self):
        with Tmux("--list", "--prefix", "young/", "obs://leftovers", env=self.env, width=40, redirect="2>/dev/null") as terminal:
            lines = terminal.wait_for("exit=0").splitlines()
        self.assertLess(max(map(len, lines)), 41, lines)

    def test_ctrl_c_once_finishes_what_is_in_flight(self):
        with Tmux(*self.sweep, "--yes", env=self.env) as terminal:
            terminal.wait_for("aborting: ")
            terminal.keys("C-c")
            terminal.wait_for("stopping: what is in flight finishes")
            screen = terminal.wait_for("exit=")
        self.assertIn("exit=130", screen)
        aborted, failed = map(int, re.search(r"interrupted: (\d+) aborted, (\d+) failed", screen).groups())
        self.assertEqual(failed, 0, "nothing in flight was cut off")
        self.assertEqual(aborted, 123 - len(self.left()), "what it says is what the server saw")
        self.assertTrue(0 < aborted < 120, aborted)

    def test_the_bar_is_drawn_beside_a_file_but_not_beside_a_pipe(self):
        path = os.path.join(support.temp_dir(), "log")
        with Tmux(*self.sweep, "--yes", "--prefix", "old/", env=self.env, redirect=f">{path}") as terminal:
            terminal.wait_for("aborting: ")
            terminal.wait_for("exit=0")
        with open(path) as file:
            self.assertEqual(len(file.read().splitlines()), 120)
        for n in range(40):
            self.s3.initiate("leftovers", f"new/{n}")
        arguments = ("--stale", "0s", "--include-live", "--yes", "--connections", "2", "obs://leftovers")
        with Pty(*arguments, env=self.env, stdout=subprocess.PIPE) as terminal:
            lines = terminal.process.stdout.read().decode().splitlines()
            terminal.process.stdout.close()
            status, output = terminal.finish()
        self.assertEqual((status, len(lines)), (0, 43))
        self.assertNotIn("\r\x1b[K", output)


class Signals(unittest.TestCase):
    """Against a server that never answers, and without a terminal's help."""

    def setUp(self):
        self.listener = Listener()
        self.addCleanup(self.listener.socket.close)
        self.env = environment(self.listener)
        self.list = os.path.join(support.temp_dir(), "list")
        with open(self.list, "w") as file:
            file.write("".join(f"key {n}\tID{n}\n" for n in range(500)))

    def test_ctrl_c_twice_stops_at_once(self):
        for arguments in (["--from", self.list, "obs://bucket"], ["--list", "obs://bucket"], ["obs://bucket/key", "ID"]):
            with self.subTest(arguments[0]), Pty(*arguments, env=self.env) as terminal:
                time.sleep(0.8)
                terminal.type("\x03")
                time.sleep(0.6)
                self.assertIsNone(terminal.process.poll(), "the first lets it finish")
                terminal.type("\x03")
                started = time.monotonic()
                status, output = terminal.finish(5)
                self.assertLess(time.monotonic() - started, 1)
                self.assertEqual(status, 130)
                self.assertIn("interrupted", output)

    def test_a_third_one_ends_it_on_the_spot(self):
        with Pty("--from", self.list, "obs://bucket", env=self.env) as terminal:
            time.sleep(0.5)
            for _ in range(3):
                terminal.process.send_signal(signal.SIGINT)
                time.sleep(0.02)
            self.assertEqual(terminal.finish(1)[0], 130)

    def test_sigterm(self):
        sweep = subprocess.Popen([tool_terminal.tool_path(), "--json", "--from", self.list, "obs://bucket"],
                                 env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        sweep.terminate()
        time.sleep(0.5)
        sweep.terminate()
        output, _ = sweep.communicate(timeout=5)
        self.assertEqual(sweep.returncode, 143)
        lines = [json.loads(line) for line in output.splitlines()]
        summary = lines[-1]
        self.assertEqual((summary["interrupted"], summary["code_name"], summary["exit_status"]), (True, "cancelled", 143))
        self.assertEqual(summary["total"], 500)
        self.assertEqual(summary["failed"], len(lines) - 1)
        self.assertEqual(summary["kept"], 500 - summary["failed"])

    def test_a_signal_that_the_parent_ignores_stays_ignored(self):
        """nohup, and background jobs of a script."""
        words = [tool_terminal.tool_path(), "--timeout", "2s", "--max-attempts", "1", "obs://bucket/key", "ID"]
        sweep = subprocess.Popen(["sh", "-c", 'trap "" INT; exec "$@"', "sh", *words], env=self.env,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        sweep.send_signal(signal.SIGINT)
        _, errors = sweep.communicate(timeout=10)
        self.assertEqual(sweep.returncode, 1)
        self.assertIn("timeout", errors)

    def test_while_a_list_is_read(self):
        with Pty("--from", "-", "obs://bucket", env=self.env) as terminal:
            terminal.type("key\tID\n")
            time.sleep(0.3)
            terminal.type("\x03")
            self.assertEqual(terminal.finish(3)[0], 130)
        self.assertEqual(self.listener.connections(), 0)
