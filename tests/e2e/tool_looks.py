"""What obs-abort's output looks like on terminals of 40, 80 and 200 columns, in a pipe, and from cron."""

import os
import re
import subprocess

import support
from tool_servers import DAY, HOUR, WithServer
from tool_terminal import Tmux, environment, not_on_windows, run, tool_path

BUCKET = "obs://leftovers"
WIDTHS = (40, 80, 200)
MIB = 1024 * 1024
SCREENS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "screens")


def settled(screen):
    """What differs from run to run, replaced by something of the same length."""
    screen = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z", lambda found: "2026-11-24T04:00:00Z"[:len(found.group()) - 1] + "Z", screen)
    screen = re.sub(r"\b[0-9A-F]{20,}\b", lambda found: "0123456789ABCDEF0123456789ABCDEF"[:len(found.group())], screen)
    screen = re.sub(r"\(\d+\.\d s\)", "(0.1 s)", screen)
    return "\n".join(line.rstrip() for line in screen.splitlines()).strip("\n") + "\n"


@not_on_windows
class Screens(WithServer):
    """As tmux shows them; kept in screens/. OBS_ABORT_SCREENS=write writes them anew, to be looked at and committed."""

    options = ("--uploads", f"leftovers:3:{4 * DAY}:db/2026/dump-", "--parts", f"leftovers:db/:4:{10 * MIB}:{3 * DAY}",
               "--uploads", f"leftovers:2:{2 * DAY}:web/images of the summer/", "--parts", f"leftovers:web/:1:{MIB}:{2 * DAY}",
               "--uploads", f"leftovers:1:{5 * DAY}:钥匙", "--uploads", f"leftovers:2:{2 * HOUR}:young/")

    def setUp(self):
        support.need(["tmux"], "tmux")
        super().setUp()
        self.env["NO_COLOR"] = "1"

    def same(self, name, width, screen):
        path = os.path.join(SCREENS, f"{name}-{width}.txt")
        if os.environ.get("OBS_ABORT_SCREENS") == "write":
            os.makedirs(SCREENS, exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(settled(screen))
        with open(path, encoding="utf-8") as file:
            self.assertEqual(settled(screen), file.read(), path)

    def shown(self, name, *words):
        for width in WIDTHS:
            with self.subTest(width), Tmux(*words, "--connections", "1", BUCKET, env=self.env, width=width, height=50) as terminal:
                terminal.wait_for("exit=0")
                self.same(name, width, terminal.screen(joined=False))

    def test_a_list(self):
        self.shown("list", "--list")

    def test_a_list_with_sizes(self):
        self.shown("sizes", "--list", "--sizes")

    def test_totals(self):
        self.shown("totals", "--list", "--totals", "--price", "10")

    def test_a_dry_run(self):
        self.shown("dry-run", "--stale", "24h", "--dry-run")

    def test_the_question_its_list_and_the_result(self):
        for width in WIDTHS:
            self.setUp()
            with self.subTest(width), Tmux("--stale", "24h", "--connections", "1", BUCKET, env=self.env, width=width,
                                           height=60) as terminal:
                terminal.wait_for_question()
                self.same("question", width, terminal.screen(joined=False))
                terminal.keys("l", "Enter")
                terminal.wait_for("[y/N/l]", times=2)
                terminal.keys("y", "Enter")
                terminal.wait_for("exit=0")
                self.same("result", width, terminal.screen(joined=False))


class Bar(WithServer):
    options = ("--uploads", f"leftovers:120:{3 * DAY}:old/", "--latency-ms", "100")

    def setUp(self):
        support.need(["tmux"], "tmux")
        super().setUp()

    def test_a_narrow_terminal_does_without_the_bar_first(self):
        looks = {
            28: r"(?m)^aborting +\d+%  \d+ of 120$",
            40: r"(?m)^aborting +\d+%  \d+ of 120(, \d+/s)?, \d+s left$",
            80: r"(?m)^aborting \[#*-+\] +\d+%  \d+ of 120, \d+(\.\d)?/s, \d+s left$",
            200: r"(?m)^aborting \[[#-]{40}\] +\d+%  \d+ of 120, \d+(\.\d)?/s, \d+s left$",
        }
        for width, look in looks.items():
            with self.subTest(width):
                self.setUp()
                with Tmux("--stale", "24h", "--connections", "4", "obs://leftovers", env=self.env, width=width) as terminal:
                    terminal.wait_for("/N")
                    terminal.keys("y", "Enter")
                    screen = terminal.wait_for("s left" if width > 28 else "%  ")
                    self.assertRegex(screen, look)
                    self.assertNotIn("aborting ", terminal.wait_for("exit=0"), "nothing of it is left on the screen")


@not_on_windows
class Cron(WithServer):
    """Without a terminal, and with next to nothing in the environment."""

    options = ("--uploads", f"leftovers:3:{3 * DAY}:old/", "--uploads", f"leftovers:1:{HOUR}:young/")

    def test_an_empty_environment(self):
        path = os.path.join(support.temp_dir(), "credentials")
        with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(f"OBS_ENDPOINT={self.server.endpoint}\nOBS_ACCESS_KEY_ID={self.server.access_key}\n"
                       f"OBS_SECRET_ACCESS_KEY={self.server.secret_key}\n")
        words = ["env", "-i", tool_path(), "--credentials", f"file:{path}", "--stale", "24h", BUCKET]
        refused = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, cwd="/")
        self.assertEqual((refused.returncode, refused.stdout), (2, ""))
        self.assertIn("--yes", refused.stderr)
        done = subprocess.run([*words, "--yes", "--quiet"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=30, cwd="/")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""), "no mail from cron")
        self.assertEqual(len(self.left()), 1)

    def test_in_a_pipe_there_are_no_columns_and_no_colours(self):
        for verb in (("--list",), ("--list", "--sizes"), ("--list", "--totals"), ("--stale", "24h", "--yes")):
            done = run(*verb, BUCKET, env=dict(self.env, TERM="xterm-256color"))
            self.assertEqual(done.returncode, 0)
            self.assertNotRegex(done.stdout + done.stderr, "\x1b|\r| {2}|KEY|UPLOADS")


@not_on_windows
class Readme(WithServer):
    """What README shows is what comes, but for times and for what it leaves out with dots."""

    options = ("--bucket", "backups",
               "--uploads", f"backups:40:{4 * DAY}:db/", "--parts", f"backups:db/:3:{320 * MIB}:{3 * DAY}",
               "--uploads", f"backups:1:{5 * DAY}:log/", "--uploads", f"backups:10:{3 * DAY}:web/",
               "--uploads", f"backups:1:{2 * DAY}:web/last/", "--parts", f"backups:web/:1:{120 * MIB}:{2 * DAY}")

    def test_its_transcript(self):
        support.need(["tmux"], "tmux")
        with open(os.path.join(SCREENS, "../../../README.md"), encoding="utf-8") as file:
            command, shown = re.search(r"(?m)^    \$ obs-abort (.*)\n((?:    .*\n)+)", file.read()).groups()
        with Tmux(*command.split(), env=dict(self.env, NO_COLOR="1"), width=200) as terminal:
            terminal.wait_for_question()
            upload = self.s3.list_uploads("backups", "db/")[7]
            self.s3.upload_part("backups", upload.key, upload.upload_id, 4, b"still alive")
            terminal.keys("y", "Enter")
            terminal.wait_for("exit=0")
            screen = settled(terminal.screen()).replace("exit=0\n", "")
        expected = settled(re.sub("(?m)^    ", "", shown))
        self.assertRegex(screen, "^" + re.escape(expected).replace(re.escape("\n...\n"), "\n(?:.*\n)+?") + "$")
