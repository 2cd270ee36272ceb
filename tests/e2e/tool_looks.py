"""What obs-abort's output looks like on terminals of 40, 80 and 200 columns, in a pipe, and from cron."""

import re

import support
from tool_servers import DAY, WithServer
from tool_terminal import Tmux

WIDTHS = (40, 80, 200)


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
