"""tests/demo.sh can fail: whatever one of its programs gets wrong, the demo notices."""

import os
import stat
import subprocess
import unittest

import support
import tool_terminal

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")

# Stands for a program of the demo. The call whose number is in BREAK goes wrong in the way that HOW
# says; the server, which is started with --port, is not counted.
WRAPPER = """#!/bin/sh
case $1 in --port) exec {program} "$@" ;; esac
number=$(($(cat {count}) + 1))
echo $number >{count}
[ $number = "$BREAK" ] || exec {program} "$@"
case $HOW in
status) {program} "$@"; [ $? != 0 ] ;;
silent) {program} "$@" >/dev/null 2>&1 ;;
numbers) {program} "$@" >{output} 2>&1; status=$?; tr 0-9 1-90 <{output}; exit $status ;;
idle) exit 0 ;;
esac
"""


class Demo(unittest.TestCase):
    def setUp(self):
        self.directory = support.temp_dir()
        self.count = os.path.join(self.directory, "count")
        examples = os.environ["EXAMPLES_DIR"]
        programs = [os.environ["OBS_LOCAL"], tool_terminal.tool_path(), os.path.join(examples, "abort_one")]
        for program in programs:
            path = os.path.join(self.directory, os.path.basename(program))
            output = os.path.join(self.directory, "output")
            with open(path, "w") as file:
                file.write(WRAPPER.format(program=program, count=self.count, output=output))
            os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)

    def demo(self, broken, how):
        """Its exit status, how many calls it made, and its output."""
        with open(self.count, "w") as file:
            file.write("0")
        env = dict(os.environ, BREAK=str(broken), HOW=how, EXAMPLES_DIR=self.directory, **{
            name: os.path.join(self.directory, program)
            for name, program in (("OBS_LOCAL", "obs-local"), ("OBS_ABORT_TOOL", "obs-abort"))
        })
        done = subprocess.run(["sh", os.path.join(ROOT, "tests/demo.sh")], env=env, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with open(self.count) as file:
            return done.returncode, int(file.read()), done.stdout

    def test_each_call_that_goes_wrong_fails_it(self):
        status, calls, output = self.demo(0, "")
        self.assertEqual(status, 0, output)
        self.assertGreaterEqual(calls, 8)
        for how in ("status", "silent", "numbers", "idle"):
            for broken in range(1, calls + 1):
                with self.subTest(how=how, call=broken):
                    status, _, output = self.demo(broken, how)
                    self.assertEqual(status, 1, output)
