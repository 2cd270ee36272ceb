"""--match, --not and --larger: what they leave out is neither shown, nor counted as found, nor aborted."""

import json
import re
import subprocess
import threading
import time

import tool_terminal
from tool_servers import DAY, HOUR, WithListener, WithServer
from tool_terminal import Pty, run

BUCKET = "obs://leftovers"
LIST = ("--list",)
# Their parts are new.
SWEEP, DRY_RUN = (("--stale", "24h", "--idle", "0", how) for how in ("--yes", "--dry-run"))


class BadChoice(WithListener):
    def refused(self, *arguments, says):
        with self.subTest(arguments):
            done = run(*arguments, env=self.env)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertIn(says, done.stderr)
            self.assertEqual(self.listener.connections(), 0)

    def test_globs(self):
        for option in ("--match", "--not"):
            self.refused(*SWEEP, option, "a[b", BUCKET, says=f"{option} a[b: a bracket is not closed")
            self.refused(*SWEEP, option, "***", BUCKET, says="more than two stars")
            self.refused(*SWEEP, option, "*.{gz,tar}", BUCKET, says="{a,b} is not known")
            self.refused(*SWEEP, option, "", BUCKET, says="unset variable")
            self.refused(*SWEEP, option, "good", option, "[z-a]", BUCKET, says="runs backwards")
            self.refused(option, "*", "obs://leftovers/key", "ID", says="go with --stale, --list and --from")

    def test_sizes(self):
        for size in ("1", "1GB", "1gb", "G", "1.5G", "-1G", "1 G", "1Gi", "1BiB", "1Gib", "1P", "16777216T", "1G "):
            self.refused(*SWEEP, "--larger", size, BUCKET, says="a unit of 1024")
        self.refused("--from", "-", "--larger", "1G", BUCKET, says="goes with --stale and --list")


class Chosen(WithServer):
    """20 old uploads with four endings in two folders, 4 young ones."""

    options = ("--control", "--uploads", f"leftovers:4:{2 * HOUR}:db/young")
    keys = [f"{folder}{n}{end}" for folder in ("db/", "db/sub/") for n in range(5) for end in (".gz", ".tmp")]

    def setUp(self):
        super().setUp()
        self.env["NO_COLOR"] = "1"
        for key in self.keys:
            self.server.control(f"uploads leftovers:1:{3 * DAY}:{key}")

    def keys_left(self, old=True):
        keys = [re.sub("0{6}$", "", upload.key) for upload in self.left()]
        return sorted(key for key in keys if not old or "young" not in key)

    def chosen(self, *options, verb=DRY_RUN):
        done = run(*verb, *options, BUCKET, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        column = 0 if verb[-1] != "--yes" else 1
        return sorted(re.sub("0{6}$", "", line.split("\t")[column]) for line in done.stdout.splitlines()), done.stderr

    def test_which(self):
        for options, pattern in (
            (("--match", "**.gz*"), r".*\.gz"),
            (("--match", "db/*.gz*"), r"db/[^/]*\.gz"),
            (("--match", "db/?.gz*", "--match", "db/sub/[0-2]*"), r"db/.\.gz|db/sub/[0-2].*"),
            (("--not", "**.gz*"), r".*\.tmp"),
            (("--not", "**.gz*", "--match", "db/sub/*"), r"db/sub/.*\.tmp"),
            (("--not", "db/sub/**", "--not", "**/[!34].*"), r"db/[34]\..*"),
        ):
            expected = sorted(key for key in self.keys if re.fullmatch(pattern, key))
            self.assertTrue(expected)
            with self.subTest(options):
                self.assertEqual(self.chosen(*options)[0], expected)
                listed = self.chosen(*options, verb=LIST)[0]
                self.assertEqual([key for key in listed if "young" not in key], expected)
        self.assertEqual(len(self.left()), 24)

    def test_only_these_are_aborted(self):
        keys, said = self.chosen("--match", "db/sub/*", "--not", "**.tmp*", verb=SWEEP)
        expected = sorted(f"db/sub/{n}.gz" for n in range(5))
        self.assertEqual(keys, expected)
        self.assertEqual(self.keys_left(), sorted(set(self.keys) - set(expected)))
        self.assertIn("5 aborted, 0 failed, 4 younger, 15 left out", said)

    def test_the_question_counts_and_takes_only_these(self):
        with Pty("--stale", "24h", "--match", "db/sub/*.gz*", BUCKET, env=self.env) as terminal:
            asked = terminal.read_until("[y/N")
            self.server.control(f"uploads leftovers:1:{3 * DAY}:db/sub/9.tmp")
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual(status, 0, output)
        self.assertRegex(asked, r"(?m)^5 (?:unfinished )?uploads")
        self.assertIn("5 aborted, 0 failed", output)
        self.assertIn("16 left out", output)
        self.assertNotIn("which the question did not count", output)
        self.assertEqual(self.keys_left(), sorted({*self.keys, "db/sub/9.tmp"} - {f"db/sub/{n}.gz" for n in range(5)}))

    def test_a_list_of_uploads(self):
        listed = run("--list", BUCKET, env=self.env).stdout
        done = run("--from", "-", "--match", "db/sub/*", "--not", "**.tmp*", BUCKET, env=self.env, stdin=listed)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("5 aborted, 0 failed, 19 left out", done.stderr)
        self.assertEqual(self.keys_left(), sorted(set(self.keys) - {f"db/sub/{n}.gz" for n in range(5)}))

    def test_json(self):
        done = run(*SWEEP, "--json", "--match", "db/sub/*", BUCKET, env=self.env)
        uploads, summary = self.objects(done)
        self.assertEqual([summary[name] for name in ("aborted", "kept", "left_out", "total")], [10, 14, 10, 24])
        self.assertEqual(len(uploads), 10)

    def test_no_match_is_said(self):
        for verb in (LIST, DRY_RUN, SWEEP):
            keys, said = self.chosen("--match", "*.gz", verb=verb)
            self.assertEqual(keys, [])
            what = "uploads" if verb == LIST else "uploads that are old enough"
            self.assertIn(f"--match *.gz matches none of the {what} (* does not match a /, ** does)", said)
            self.assertIn("nothing chosen is", said)
        self.assertEqual(len(self.left()), 24)
        _, said = self.chosen("--not", "live/**", "--match", "db/*.gz*")
        self.assertIn("--not live/** matches none of the uploads that are old enough\n", said)
        self.assertNotIn("--match", said)
        _, said = self.chosen("--not", "db/young*")
        self.assertIn("--not db/young* matches none of the uploads that are old enough", said, "it matches younger ones")
        _, said = self.chosen(*(word for n in range(9) for word in ("--not", f"{n}")))
        self.assertIn("--not 2 matches none of the uploads that are old enough; nor do 6 others\n", said)
        done = run("--from", "-", "--match", "x", BUCKET, env=self.env, stdin="a\tb\n")
        self.assertIn("--match x matches none of the uploads", done.stderr)
        self.assertEqual(run(*SWEEP, "--quiet", "--match", "x", BUCKET, env=self.env).stderr, "")
        self.assertNotIn("matches none", run("--list", "--prefix", "none", "--match", "x", BUCKET, env=self.env).stderr)


class Larger(WithServer):
    """Old uploads of two parts each, of 2, 20 and 200 KiB in sum, four of each, and four without a part."""

    options = ("--control", *(word for size in (0, 2, 20, 200) for word in ("--uploads", f"leftovers:4:{3 * DAY}:{size}K/")))
    fault = "fault answer=403;error=AccessDenied;method=GET;query=uploadId;{};always"

    def setUp(self):
        super().setUp()
        self.env["NO_COLOR"] = "1"
        for size in (2, 20, 200):
            self.server.control(f"parts leftovers:{size}K/:2:{size * 512}:{3 * DAY}")

    def sizes_left(self):
        return sorted(int(upload.key.split("K/")[0]) for upload in self.left())

    def test_only_what_is_larger(self):
        for size, expected in (("20K", [200] * 4), ("20479B", [20] * 4 + [200] * 4), ("199KiB", [200] * 4),
                               ("0B", [2] * 4 + [20] * 4 + [200] * 4), ("200K", [])):
            for verb in (LIST, DRY_RUN):
                done = run(*verb, "--larger", size, BUCKET, env=self.env)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(sorted(int(line.split("K/")[0]) for line in done.stdout.splitlines()), expected, size)
        self.assertEqual(len(self.left()), 16)

    def test_only_these_are_aborted(self):
        done = run(*SWEEP, "--larger", "2k", BUCKET, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("8 aborted, 0 failed, 4 not larger than 2k, 4 without parts or of unknown size kept", done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 8)
        self.assertEqual(self.sizes_left(), [0] * 4 + [2] * 4)

    def test_none_is_larger(self):
        done = run(*SWEEP, "--larger", "1M", BUCKET, env=self.env)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("nothing chosen is 24h old; 12 not larger than 1M, 4 without parts", done.stderr)
        self.assertNotIn("freed", done.stderr)
        _, summary = self.objects(run(*SWEEP, "--json", "--larger", "1M", BUCKET, env=self.env))
        self.assertEqual((summary["bytes"], summary["complete"]), (0, True))
        self.assertEqual(len(self.left()), 16)

    def test_what_can_not_be_measured_is_kept(self):
        self.server.control(self.fault.format("key=200K/000002"))
        done = run(*SWEEP, "--larger", "20K", "--max-attempts", "1", BUCKET, env=self.env)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("3 aborted, 0 failed, 8 not larger than 20K, 5 without parts or of unknown size kept", done.stderr)
        self.assertIn("\nobs-abort: 1 kept since their parts could not be read, without which --larger can't be told: its "
                      "parts can't be listed: 403", done.stderr)
        self.server.control("clear-faults")
        self.assertEqual(self.sizes_left()[-5:], [20] * 4 + [200])

    def test_none_can_be_measured(self):
        """Without the permission nothing is ever larger, night after night."""
        self.server.control(self.fault.format("method=GET"))
        for verb in (LIST, DRY_RUN, SWEEP):
            with self.subTest(verb):
                done = run(*verb, "--larger", "1B", "--quiet", BUCKET, env=self.env)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn("16 kept since their parts could not be read", done.stderr)
                self.assertIn("the permission obs:object:ListMultipartUploadParts is needed", done.stderr)
                done = run(*verb, "--larger", "1B", "--json", BUCKET, env=self.env)
                _, summary = self.objects(done)
                self.assertEqual([summary[name] for name in ("exit_status", "complete", "kept", "unknown_size")],
                                 [1, False, 16, 16])

    def test_the_question_counts_and_takes_only_these(self):
        with Pty("--stale", "24h", "--idle", "0", "--larger", "20K", BUCKET, env=self.env) as terminal:
            asked = terminal.read_until("[y/N")
            self.server.control(f"uploads leftovers:1:{3 * DAY}:0K/late")
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual(status, 0, output)
        self.assertRegex(asked, r"(?m)^4 (?:unfinished )?uploads")
        self.assertIn("4 aborted, 0 failed", output)
        self.assertIn("8 not larger than 20K, 4 without parts", output)
        self.assertIn("1 more, which the question did not count, are left", output)
        self.assertEqual(len(self.left()), 13)

    def test_with_globs(self):
        done = run(*SWEEP, "--json", "--larger", "2K", "--not", "20K/**", BUCKET, env=self.env)
        _, summary = self.objects(done)
        self.assertEqual([summary[name] for name in ("aborted", "kept", "left_out", "smaller", "unknown_size", "total")],
                         [4, 12, 4, 4, 4, 16])
        self.assertEqual(self.sizes_left(), [0] * 4 + [2] * 4 + [20] * 4)

    def test_of_a_list(self):
        listed = "".join(line + "\n" for line in run("--list", BUCKET, env=self.env).stdout.splitlines() if "000001" not in line)
        done = run("--from", "-", *SWEEP, "--larger", "2K", BUCKET, env=self.env, stdin=listed)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("6 aborted, 0 failed, 3 not larger than 2K, 3 without parts", done.stderr)
        self.assertEqual(self.sizes_left(), [0] * 4 + [2] * 4 + [20, 200])

    def test_an_interrupt_while_it_measures_aborts_nothing(self):
        self.server.control("latency-ms 200")
        with Pty(*SWEEP, "--larger", "2K", "--connections", "1", BUCKET, env=self.env) as terminal:
            time.sleep(0.8)
            terminal.type("\x03")
            status, output = terminal.finish()
        self.server.control("latency-ms 0")
        self.assertEqual(status, 130, output)
        self.assertIn("nothing was aborted", output)
        self.assertEqual(len(self.left()), 16)

    def test_a_listing_that_breaks_off_while_it_measures_aborts_nothing(self):
        self.server.control("page-cap 10")
        self.server.control("fault answer=403;error=AccessDenied;query=uploads;skip=1;times=1")
        done = run(*SWEEP, "--larger", "2K", BUCKET, env=self.env)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn("nothing was aborted", done.stderr)
        self.assertEqual(len(self.left()), 16)

    def peak(self, *options):
        """What it takes of memory at most, in KiB, and its summary. wait4() would tell of the Python that was forked, too.
        Until its last lines are read, it is there to be looked at: the pipe holds up what it writes."""
        peak = 0
        tool = subprocess.Popen([tool_terminal.tool_path(), *SWEEP, "--json", *options, BUCKET], env=self.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        timer = threading.Timer(60, tool.kill)
        timer.start()
        for count, line in enumerate(tool.stdout):
            if count % 100 == 0:
                with open(f"/proc/{tool.pid}/status") as status:
                    found = re.search(r"VmHWM:\s+(\d+) kB", status.read())
                peak = int(found.group(1)) if found else peak
        timer.cancel()
        tool.stdout.close()
        self.assertEqual(tool.wait(10), 0)
        self.assertGreater(peak, 1000)
        return peak, json.loads(line)

    def test_many_need_little_memory(self):
        """Hashes are kept, not keys: with keys of a thousand bytes those would take 8 MB more."""
        peaks = []
        for count in (2000, 10000):
            self.server.control(f"uploads leftovers:{count}:{3 * DAY}:many/{'k' * 990}")
            self.server.control(f"uploads leftovers:{count // 10}:{3 * DAY}:small/")
            self.server.control(f"parts leftovers:many/:1:1000000:{3 * DAY}")
            peak, summary = self.peak("--larger", "900K", "--not", "*K/**")
            self.assertEqual((summary["aborted"], summary["unknown_size"]), (count, len(self.left()) - 16))
            peaks.append(peak)
        self.assertLess(peaks[1] - peaks[0], 4000, peaks)
