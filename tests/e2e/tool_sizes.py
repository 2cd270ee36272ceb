"""What uploads weigh: --sizes, --totals, --price, what the question says of it and what a sweep freed."""

import calendar
import json
import re
import subprocess
import time

from tool_servers import DAY, HOUR, WithServer
from tool_terminal import Pty, not_on_windows, run, tool_path

BUCKET = "obs://leftovers"
SWEEP = ("--stale", "24h", "--yes", BUCKET)
MIB = 1024 * 1024


class Weighed(WithServer):
    """Three uploads of 40 MiB, two of 1 MiB, one without a part."""

    options = ("--control", "--uploads", f"leftovers:3:{4 * DAY}:db/", "--parts", f"leftovers:db/:4:{10 * MIB}:{3 * DAY}",
               "--uploads", f"leftovers:2:{2 * DAY}:web/img/", "--parts", f"leftovers:web/:1:{MIB}:{2 * DAY}",
               "--uploads", f"leftovers:1:{5 * DAY}:top")
    unreadable = "fault answer=403;error=AccessDenied;method=GET;query=uploadId;{}always"

    def setUp(self):
        super().setUp()
        self.env["NO_COLOR"] = "1"


class ManyRefused(Weighed):
    options = Weighed.options + ("--uploads", f"leftovers:1100:{5 * DAY}:a/")

    def test_the_next_ones_are_not_empty(self):
        self.server.control(self.unreadable.format(""))
        self.server.control("fault answer=403;error=AccessDenied;method=DELETE;target=/leftovers/a/;always")
        uploads, summary = self.objects(run("--idle", "0", "--sizes", "--json", *SWEEP, env=self.env))
        self.assertEqual((summary["aborted"], summary["failed"], summary["bytes"]), (6, 1100, None))
        self.assertEqual({upload["bytes"] for upload in uploads}, {None}, "of unknown size, and not empty")


class Sizes(Weighed):
    def test_columns(self):
        done = run("--list", "--sizes", BUCKET, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        self.assertEqual([row[4:6] for row in rows if row[0].startswith("db/")], [["4", str(40 * MIB)]] * 3)
        self.assertEqual([row[4:6] for row in rows if row[0].startswith("web/")], [["1", str(MIB)]] * 2)
        self.assertEqual([row[4:] for row in rows if row[0].startswith("top")], [["0", "0", "-"]])
        for row in rows:
            self.assertRegex("\t".join(row[2:4]), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\t\dd \d+h$")
            self.assertRegex(row[6], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$|^-$")
        self.assertIn("obs-abort: 6 unfinished; 122.0 MiB (", done.stderr)
        self.assertNotIn("iB", run("--list", BUCKET, env=self.env).stderr, "not asked for, and not asked of the service")
        done = run("--from", "-", BUCKET, env=self.env, stdin=done.stdout)
        self.assertEqual((done.returncode, self.left()), (0, []), done.stderr)

    def test_json(self):
        uploads, summary = self.objects(run("--list", "--sizes", "--json", BUCKET, env=self.env))
        found = {upload["key"].split("/")[0][:3]: (upload["parts"], upload["bytes"], upload["last_part"]) for upload in uploads}
        self.assertEqual((found["db"][:2], found["web"][:2], found["top"]), ((4, 40 * MIB), (1, MIB), (0, 0, None)))
        self.assertRegex(found["db"][2], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual((summary["bytes"], summary["unmeasured"], summary["complete"]), (122 * MIB, 0, True))
        uploads, summary = self.objects(run("--list", "--json", BUCKET, env=self.env))
        self.assertEqual({(upload["parts"], upload["bytes"], upload["last_part"]) for upload in uploads}, {(None,) * 3})
        self.assertEqual((summary["bytes"], summary["unmeasured"]), (None, 6))

    def test_what_is_not_known_is_not_nothing(self):
        self.server.control(self.unreadable.format("key=db/000001;"))
        done = run("--list", "--sizes", BUCKET, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("obs-abort: 6 unfinished; 82.0 MiB and 1 of unknown size (", done.stderr)
        self.assertEqual(len(re.findall("\t-\t-\t-\n", done.stdout)), 1)
        uploads, summary = self.objects(run("--list", "--sizes", "--json", BUCKET, env=self.env))
        self.assertEqual([upload["key"] for upload in uploads if upload["bytes"] is None], ["db/000001"])
        self.assertEqual((summary["bytes"], summary["unmeasured"]), (82 * MIB, 1))
        self.server.control(self.unreadable.format(""))
        done = run("--list", "--sizes", BUCKET, env=self.env)
        self.assertIn("obs-abort: 6 unfinished; of unknown size (", done.stderr)
        self.assertIsNone(self.objects(run("--list", "--sizes", "--json", BUCKET, env=self.env))[1]["bytes"])
        done = run("--idle", "0", "--sizes", *SWEEP, env=self.env)
        self.assertEqual((done.returncode, self.left()), (0, []), done.stderr)
        self.assertIn("6 aborted, 0 failed; of unknown size freed (", done.stderr)

    def test_a_key_that_reads_like_a_line_of_the_log(self):
        for key in ('a": kept as active: b', 'c" of "d": not measured: e', "f\\"):
            self.s3.initiate("leftovers", key)
        self.server.control(self.unreadable.format(""))
        done = run("--list", "--sizes", BUCKET, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(re.findall("\t-\t-\t-\n", done.stdout)), 9, done.stdout)
        self.assertNotIn("kept", done.stderr, "nothing is")

    def test_what_a_sweep_freed(self):
        self.assertIn("6 would be aborted; 122.0 MiB (", run(*SWEEP, "--dry-run", env=self.env).stderr)
        done = run(*SWEEP, env=self.env)
        self.assertIn("6 aborted, 0 failed; 122.0 MiB freed (", done.stderr)
        self.assertEqual(self.left(), [])

    def test_nothing_is_said_to_be_freed_that_stays(self):
        self.server.control("fault answer=403;error=AccessDenied;method=DELETE;key=db/000000;always")
        self.assertIn("5 aborted, 1 failed; 82.0 MiB freed (", run(*SWEEP, env=self.env).stderr)
        self.server.control("fault answer=204;method=DELETE;always")
        done = run(*SWEEP, env=self.env)
        self.assertIn("0 aborted, 1 failed (", done.stderr)

    def test_price(self):
        done = run("--list", "--price", "10.5", BUCKET, env=self.env)
        self.assertIn("6 unfinished; 122.0 MiB, 1.25 a month (", done.stderr)
        done = run("--list", "--price", "0.001", BUCKET, env=self.env)
        self.assertIn("122.0 MiB, less than 0.01 a month (", done.stderr)
        _, summary = self.objects(run("--list", "--json", "--price", "10.5", BUCKET, env=self.env))
        self.assertAlmostEqual(summary["cost_per_month"], 10.5 * 122 / 1024, places=5)
        self.assertIn("122.0 MiB freed, 1.25 a month (", run("--price=10.5", *SWEEP, env=self.env).stderr)

    def test_the_price_of_what_is_not_known(self):
        self.server.control(self.unreadable.format(""))
        price = ("--price", "10.5")
        self.assertIn("obs-abort: 6 unfinished; of unknown size (", run("--list", *price, BUCKET, env=self.env).stderr)
        totals = run("--list", "--totals=0", *price, BUCKET, env=self.env).stdout
        self.assertEqual(totals.rstrip("\n").split("\t")[-1], "-")
        for words in ((), ("--totals",)):
            done = run("--list", *words, "--json", *price, BUCKET, env=self.env)
            self.assertEqual({json.loads(line).get("cost_per_month") for line in done.stdout.splitlines()}, {None})
        with Pty("--stale", "24h", "--idle", "0", *price, BUCKET, env=self.env) as terminal:
            asked = " ".join(terminal.read_until("[y/N/l]").split())
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertIn(" ago), of unknown size, in 3 prefixes", asked)
        self.assertEqual((status, " a month" in output), (0, False), output)

    def test_usage(self):
        for words, says in ((("--price", "0"), "--price"), (("--price", "-1"), "--price"), (("--price", "1,5"), "--price"),
                            (("--price", "1."), "--price"), (("--price", "inf"), "--price"), (("--price", ""), "--price"),
                            (("--totals=",), "--totals"), (("--totals=x",), "--totals"), (("--totals=1001",), "--totals"),
                            (("--sizes=1",), "--sizes")):
            done = run("--list", *words, BUCKET, env=self.env)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn(says, done.stderr)
        for words in (("--totals", *SWEEP), ("--sizes", "--from", "-", BUCKET), ("--price", "1", BUCKET + "/key", "ID")):
            self.assertEqual(run(*words, env=self.env).returncode, 2, words)


class Totals(Weighed):
    def totals(self, *options, verb="--list"):
        done = run(verb, *options, BUCKET, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [line.split("\t") for line in done.stdout.splitlines()]

    def test_by_the_first_slash(self):
        rows = self.totals("--totals")
        self.assertEqual([row[:4] for row in rows], [['""', "1", "0", "0"], ["db/", "3", str(120 * MIB), "0"],
                                                     ["web/", "2", str(2 * MIB), "0"]])
        for row in rows:
            self.assertRegex(row[4], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(self.totals("--totals", "--dry-run", verb="--stale=24h"), rows)

    def test_depth(self):
        self.assertEqual([row[0] for row in self.totals("--totals=2")], ['""', "db/", "web/img/"])
        self.assertEqual([row[:3] for row in self.totals("--totals=0")], [['""', "6", str(122 * MIB)]])

    def test_json(self):
        done = run("--list", "--totals", "--json", "--price", "1024", BUCKET, env=self.env)
        rows = [line for line in done.stdout.splitlines()]
        self.assertEqual(len(rows), 4)
        self.assertIn('"type":"total","bucket":"leftovers","prefix":"db/","other":false,"uploads":3,"bytes":125829120,', rows[1])
        self.assertIn('"cost_per_month":120.000000', rows[1])
        self.assertIn('"type":"summary"', rows[3])

    def test_unknown_sizes(self):
        self.server.control(self.unreadable.format("key=db/000001;"))
        self.assertEqual(self.totals("--totals")[1][:4], ["db/", "3", str(80 * MIB), "1"])
        self.server.control(self.unreadable.format(""))
        self.assertEqual(self.totals("--totals")[1][:4], ["db/", "3", "-", "3"])

    def test_of_several_buckets(self):
        self.s3.create_bucket("second")
        self.s3.initiate("second", "x/y")
        done = run("--list", "--totals", BUCKET, "obs://second", env=self.env)
        rows = [line.split("\t")[:3] for line in done.stdout.splitlines()]
        self.assertEqual([rows[1], rows[-1]], [["obs://leftovers", "db/", "3"], ["obs://second", "x/", "1"]])
        with Pty("--list", "--totals", BUCKET, "obs://second", env=self.env) as terminal:
            output = terminal.finish()[1]
        self.assertRegex(output, r"\s3  120\.0 MiB  4d 0h   obs://leftovers/db/\s")
        self.assertRegex(output, r"\s1 +0 B  \ds +obs://second/x/\s")

    def test_no_more_than_a_thousand(self):
        for n in range(1004):
            self.s3.initiate("leftovers", f"many/{n:04}/x")
        rows = self.totals("--totals=2")
        self.assertEqual(len(rows), 1001)
        self.assertEqual(rows[-1][0], "(other)")
        self.assertEqual(sum(int(row[1]) for row in rows), 1010)


class Asked(Weighed):
    sweep = ("--stale", "24h", BUCKET)

    def test_the_question_says_what_is_behind_it(self):
        with Pty(*self.sweep, "--price", "10.5", env=self.env) as terminal:
            asked = " ".join(terminal.read_until("[y/N/l]").split())
            terminal.type("n\n")
            self.assertEqual(terminal.finish()[0], 1)
        self.assertRegex(asked, r"^6 uploads begun before \d{4}-\d\d-\d\dT\d\d:\d\dZ \(24 hours ago\), 122\.0 MiB, "
                                r"1\.25 a month, in 3 prefixes of obs://leftovers oldest: \S+ \(5d 0h ago\) top\S+ "
                                r"newest: \S+ \(2d 0h ago\) web/img/\S+ Abort them\?")
        self.assertEqual(len(self.left()), 6)

    def test_what_is_not_known_is_said(self):
        self.server.control(self.unreadable.format("key=db/000001;"))
        with Pty(*self.sweep, "--idle", "0", env=self.env) as terminal:
            asked = " ".join(terminal.read_until("[y/N/l]").split())
            terminal.type("n\n")
            terminal.finish()
        self.assertIn(", 82.0 MiB and 1 of unknown size, in 3 prefixes", asked)

    def test_l_lists_and_asks_again(self):
        ids = [upload.upload_id for upload in self.left()]
        with Pty(*self.sweep, env=self.env) as terminal:
            self.assertNotIn(ids[0], terminal.read_until("[y/N/l]"))
            terminal.type("l\n")
            listed = terminal.read_until("[y/N/l]", times=2)
            self.assertTrue(all(upload_id in listed for upload_id in ids), listed)
            self.assertEqual(len(self.left()), 6)
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual((status, self.left()), (0, []), output)
        self.assertIn("6 aborted, 0 failed; 122.0 MiB freed (", output)

    def test_the_cutoff_is_a_whole_minute_and_holds(self):
        """An upload that is 24 hours and some seconds old may be younger than what the question names."""
        with Pty(*self.sweep, env=self.env) as terminal:
            asked = terminal.read_until("[y/N/l]")
            terminal.type("y\n")
            self.assertEqual(terminal.finish()[0], 0)
        cutoff = calendar.timegm(time.strptime(re.search(r"begun\s+before\s+(\S+)", asked).group(1), "%Y-%m-%dT%H:%MZ"))
        self.assertTrue(DAY <= time.time() - cutoff < DAY + 75)


class Clocks(WithServer):
    """This machine's clock is ahead of the service's, or behind it: the service's decides what is old."""

    def setUp(self):
        pass

    def test_by_two_hours(self):
        for offset in (-2 * HOUR, 2 * HOUR):
            self.options = ("--clock-offset-s", str(offset), "--control", "--uploads", f"leftovers:3:{3 * DAY}:old/",
                            "--uploads", f"leftovers:2:{23 * HOUR}:young/")
            super().setUp()
            self.s3.clock_offset = offset
            with self.subTest(offset), Pty("--stale", "24h", "--idle", "0", BUCKET,
                                                 env=dict(self.env, NO_COLOR="1")) as terminal:
                self.assertIn("3 uploads begun before ", terminal.read_until("[y/N/l]"))
                self.server.control(f"uploads leftovers:2:{23 * HOUR}:late/")
                terminal.type("y\n")
                status, output = terminal.finish()
                self.assertEqual(status, 0, output)
                self.assertIn("3 aborted, 0 failed, 4 younger", output)
                self.assertEqual({upload.key.split("/")[0] for upload in self.left()}, {"young", "late"})


@not_on_windows
class Flat(WithServer):
    """Sums and sizes need no more memory for many uploads than for few."""

    def setUp(self):
        pass

    def peak(self, count, *verb):
        """In KiB, as its process had it, the interpreter that started it aside."""
        self.options = ("--uploads", f"leftovers:{count}:{3 * DAY}:some/prefix/and/more/")
        super().setUp()
        process = subprocess.Popen([tool_path(), *verb, BUCKET], env=self.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        peak = 0
        while process.poll() is None:
            with open(f"/proc/{process.pid}/cmdline") as file:
                started = verb[0] in file.read().split("\0")
            with open(f"/proc/{process.pid}/status") as file:
                found = re.search(r"VmHWM:\s+(\d+)", file.read())
            peak = max(peak, int(found.group(1)) if found and started else 0)
            time.sleep(0.002)
        told = process.stderr.read()
        process.stderr.close()
        self.server.stop()
        self.assertIn(f"obs-abort: {count} ", told)
        self.assertGreater(peak, 1000)
        return peak

    def test_thirty_times_as_many(self):
        for verb in (("--list", "--totals=9"), ("--list", "--sizes"), ("--stale", "24h", "--yes")):
            with self.subTest(verb):
                self.assertLess(self.peak(30000, *verb) - self.peak(1000, *verb), 2048)
