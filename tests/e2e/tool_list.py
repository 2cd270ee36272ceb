"""What --from takes beside lines of text: this program's own JSON; and lists of which only what is old is meant."""

import json
import os
import subprocess
import time
import unittest

import support
from tool_servers import DAY, WithListener, WithServer
from tool_terminal import Pty, not_on_windows, run, tool_path

HARD_KEYS = ["plain", "{brace", '{"type":"upload"}', 'quo"te', "back\\slash", "line\nbreak", "tab\tkey", "\u202eleft",
             "钥匙 🗝", " ", "\x7f\x01"]


def line_of(key, upload_id, result="found", bucket="leftovers", **more):
    return json.dumps({"type": "upload", "result": result, "bucket": bucket, "key": key, "upload_id": upload_id, **more},
                      ensure_ascii=bool(more.pop("ascii", False))) + "\n"


class WithLists(WithServer):
    options = ("--control",)

    def stale(self, count, prefix="old/", age=2 * DAY):
        self.server.control(f"uploads leftovers:{count}:{age}:{prefix}")

    def lines(self, result="found", **more):
        return "".join(line_of(upload.key, upload.upload_id, result, **more) for upload in self.left())

    def give(self, text, *options, bucket="leftovers", **more):
        return run("--from", "-", *options, f"obs://{bucket}", env=self.env, stdin=text, **more)

    def counts(self, done):
        summary = json.loads(done.stdout.splitlines()[-1])
        return tuple(summary[name] for name in ("aborted", "found", "missing", "failed", "kept"))


class OwnJson(WithLists):
    def test_lists_of_every_kind(self):
        for options in (("--list", "--json"), ("--stale", "0s", "--include-live", "--dry-run", "--json")):
            for key in HARD_KEYS:
                self.s3.initiate("leftovers", key)
            listed = run(*options, "obs://leftovers", env=self.env).stdout
            done = self.give(listed, "--json")
            self.assertEqual((done.returncode, self.counts(done)), (0, (len(HARD_KEYS), 0, 0, 0, 0)), done.stderr)
            self.assertEqual(self.left(), [])

    def test_the_record_of_a_list(self):
        self.stale(3)
        path = os.path.join(support.temp_dir(), "log")
        run("--list", "--log", path, "obs://leftovers", env=self.env)
        done = run("--from", path, "--json", "obs://leftovers", env=self.env)
        self.assertEqual(self.counts(done), (3, 0, 0, 0, 0), done.stderr)
        uploads = [json.loads(line) for line in done.stdout.splitlines()][:-1]
        self.assertTrue(all(DAY < upload["age_seconds"] < 3 * DAY for upload in uploads), "the time is the list's")

    def test_the_record_of_a_list_with_some_that_were_kept(self):
        """The last line of an upload counts: what was found, and was written to later on, stays."""
        path = os.path.join(support.temp_dir(), "log")
        self.stale(3000)
        self.stale(1, "late/")
        late = self.left("late/")[0]
        dry_run = ("--stale", "24h", "--dry-run", "--log", path, "obs://leftovers")
        run(*dry_run, env=self.env)
        self.server.control("clock-offset-s 1")
        for upload in (late, self.left("old/")[0]):
            self.s3.upload_part("leftovers", upload.key, upload.upload_id, 1, b"part")
        self.assertIn("2999 would be aborted, 2 kept as active", run(*dry_run, env=self.env).stderr)
        for more in (("--stale", "24h", "--idle", "0", "--dry-run"), ()):
            done = run("--from", path, "--json", *more, "obs://leftovers", env=self.env)
            summary = json.loads(done.stdout.splitlines()[-1])
            self.assertEqual((done.returncode, summary["aborted"] + summary["found"]), (0, 2999), done.stderr)
        self.assertEqual(summary["kept"], 2, "of the first record")
        self.assertEqual(len(self.left()), 2)
        with open(path, "a") as file:
            file.write(line_of(late.key, late.upload_id))
        done = run("--from", path, "--json", "obs://leftovers", env=self.env)
        self.assertEqual([upload.key for upload in self.left()], [self.left()[0].key], done.stderr)
        self.assertTrue(self.left()[0].key.startswith("old/"))

    def test_any_writer_of_json(self):
        self.stale(4)
        one, other, third, fourth = self.left()
        text = (json.dumps({"more": {"a": ["}", {"key": "x"}]}, "upload_id": one.upload_id, "key": one.key, "n": -1.5e3,
                            "bucket": "leftovers", "result": "found", "type": "upload", "t": True, "nothing": None}) + "\r\n"
                + line_of(other.key, other.upload_id).replace('":', '" : ') + "\n"
                + line_of(third.key, third.upload_id).replace("old", "\\u006Fl\\u0064").replace("/", "\\/")
                + f"{fourth.key}\t{fourth.upload_id}\n")
        done = self.give(text, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.counts(done), (4, 0, 0, 0, 0))
        self.assertEqual(self.left(), [])

    def test_a_key_that_begins_with_a_brace_in_text(self):
        upload_id = self.s3.initiate("leftovers", "{brace}")
        done = self.give(f"{{brace}}\t{upload_id}\n")
        self.assertIn("1 aborted, 0 failed", done.stderr)

    def test_other_buckets(self):
        self.stale(2)
        text = self.lines() + line_of("key", "ID", bucket="more") * 3
        done = self.give(text)
        self.assertIn("standard input: passed over, as of other buckets than obs://leftovers: 3\n", done.stderr)
        self.assertIn("2 aborted, 0 failed", done.stderr)
        self.assertNotIn("other buckets", self.give(text, "--quiet").stderr)

    def test_a_key_that_no_c_string_holds(self):
        self.s3.initiate("leftovers", "old/a\0b")
        shown = self.s3.initiate("leftovers", "old/a?b")
        listed = run("--list", "--json", "obs://leftovers", env=self.env).stdout
        self.s3.abort("leftovers", "old/a?b", shown)
        for only in ([], ["--only", "failed"]):
            done = self.give(listed, *only, "--json")
            self.assertIn("left out, as their keys can't be named: 1\n", done.stderr)
            self.assertEqual(self.counts(done), (0, 0, 0 if only else 1, 0, 0))


class OwnJsonRefused(WithListener):
    def refused(self, line, says, *options):
        with self.subTest(line):
            done = run("--from", "-", *options, "obs://leftovers", env=self.env, stdin=line_of("good", "ID", result=(
                "failed" if options else "found")) + line)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertIn(f"standard input, line 2: {says}", done.stderr)
            self.assertEqual(self.listener.connections(), 0)

    def test_what_is_no_object(self):
        good = line_of("key", "ID").rstrip("\n")
        for line in (good[:-1], good + "x", good + good, "{", "{}", "{]", good.replace(":", "", 1), good.replace(",", "", 1),
                     good.replace('"ID"', "ID ID"), good.replace("ID", "\\u0000"), good.replace("ID", "\\q"),
                     good.replace("ID", "\\ud800"), good.replace("ID", "\\udc00\\ud800"), good.replace("ID", "\\u12"),
                     good.replace("ID", "\x01"), good.replace('"ID"', '{"a":[}'), good.replace('"ID"', "")):
            self.refused(line + "\n", "")
            self.refused(line, "")

    def test_what_names_no_upload(self):
        for name in ("result", "bucket", "key", "upload_id"):
            one = json.loads(line_of("key", "ID"))
            del one[name]
            self.refused(json.dumps(one) + "\n", "an upload without")
            self.refused(json.dumps(dict(one, **{name: None})) + "\n", "an upload without")

    def test_a_record_of_what_was_done(self):
        """Those that are gone would be counted again."""
        for result in ("aborted", "missing", "failed"):
            self.refused(line_of("key", "ID", result), "a record of what was done: --only failed")

    def test_text_does_not_say_what_failed(self):
        self.refused("key\tID\n", "it does not say what became", "--only", "failed")

    def test_usage(self):
        for options, says in ((("--only", "failed", "--list"), "--only"), (("--only", "aborted", "--from", "-"), "--only"),
                              (("--from", "-", "--stale", "24h", "--yes", "--prefix", "x"), "--prefix"),
                              (("--from", "-", "--stale", "24h"), "--yes"), (("--from", "-", "--stale", "24h", "--list"), "--list")):
            done = run(*options, "obs://leftovers", env=self.env)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(says, done.stderr)
        done = run("--from", "-", "--stale", "24h", "--yes", "obs://leftovers/key", env=self.env)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(self.listener.connections(), 0)


class OnlyFailed(WithLists):
    """--only failed: a run is resumed."""

    def setUp(self):
        super().setUp()
        self.log = os.path.join(support.temp_dir(), "log")

    def sweep(self, *faults):
        self.server.control("clear-faults")
        for fault in faults:
            self.server.control("fault " + fault)
        return run("--log", self.log, "--stale", "24h", "--yes", "obs://leftovers", env=self.env)

    def resume(self, *options):
        self.server.control("clear-faults")
        return run("--from", self.log, "--only", "failed", "--json", *options, "obs://leftovers", env=self.env)

    def test_what_failed_is_tried_again(self):
        self.stale(5)
        denied = [upload.key for upload in self.left()][:2]
        done = self.sweep(*(f"answer=403;error=AccessDenied;method=DELETE;key={key};always" for key in denied))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(sorted(upload.key for upload in self.left()), denied)
        done = self.resume("--log", self.log)
        self.assertEqual((done.returncode, self.counts(done)), (0, (2, 0, 0, 0, 0)), done.stderr)
        self.assertEqual(self.left(), [])
        done = self.resume()  # the record was appended to, and nothing has failed since
        self.assertEqual((done.returncode, self.counts(done)), (0, (0, 0, 0, 0, 0)), done.stderr)
        self.assertIn("the list is empty", done.stdout)

    def test_the_last_line_counts(self):
        self.stale(4)
        uploads = self.left()
        results = (["failed", "aborted"], ["aborted", "failed"], ["failed", "kept", "failed"], ["failed", "failed", "kept"])
        with open(self.log, "w") as file:
            for turn in range(3):
                for upload, of_this in zip(uploads, results):
                    if turn < len(of_this):
                        file.write(line_of(upload.key, upload.upload_id, of_this[turn]))
        done = self.resume()
        self.assertEqual(self.counts(done), (2, 0, 0, 0, 0), done.stderr)
        self.assertEqual({upload.key for upload in self.left()}, {uploads[0].key, uploads[3].key})

    def test_in_many(self):
        """More than are in memory at once; every upload that failed is one that was aborted or failed before."""
        self.stale(9000)
        uploads = self.left()
        with open(self.log, "w") as file:
            for n, upload in enumerate(uploads):
                file.write(line_of(upload.key, upload.upload_id, "failed"))
            for n, upload in enumerate(uploads):
                if n % 3:
                    file.write(line_of(upload.key, upload.upload_id, "aborted" if n % 3 == 1 else "kept"))
                    if n % 6 == 1:
                        file.write(line_of(upload.key, upload.upload_id, "failed"))
        done = self.resume()
        self.assertEqual(self.counts(done), (4500, 0, 0, 0, 0), done.stderr)
        self.assertEqual({upload.key for upload in self.left()},
                         {upload.key for n, upload in enumerate(uploads) if n % 3 and n % 6 != 1})

    def test_half_a_line(self):
        self.stale(1)
        line = self.lines("failed")
        with open(self.log, "w") as file:
            file.write(line[:40] + "\n" + line + line[:30])
        done = self.resume()
        self.assertEqual(self.counts(done), (1, 0, 0, 0, 0), done.stderr)
        self.assertIn(f"{self.log}: lines passed over, as cut off: 2\n", done.stderr)


class Listed(WithLists):
    """--from with --stale: what the list names, and is old enough."""

    def setUp(self):
        super().setUp()
        self.stale(3)
        self.stale(2, "other/")
        self.young = self.s3.initiate("leftovers", "old/young")
        self.named = [upload for upload in self.left() if upload.key.startswith("old/")]
        self.text = "".join(f"{upload.key}\t{upload.upload_id}\n" for upload in self.named) + "old/gone\tNO-SUCH-ID\n"

    def test_what_is_old_goes(self):
        done = self.give(self.text, "--stale", "24h", "--yes", "--json")
        self.assertEqual((done.returncode, self.counts(done)), (0, (3, 0, 0, 0, 2)), done.stderr)
        self.assertEqual(sorted(upload.key for upload in self.left()), ["old/young", "other/000000", "other/000001"])

    def test_what_is_still_written_to_stays(self):
        self.server.control("clock-offset-s 172800")
        self.s3.clock_offset = 172800
        self.s3.upload_part("leftovers", "old/young", self.young, 1, b"part")
        done = self.give(self.text, "--stale", "24h", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("3 aborted, 0 failed, 1 kept as active, 1 younger or gone already", done.stderr)
        self.assertIn(self.young, [upload.upload_id for upload in self.left()])
        done = self.give(self.text, "--stale", "24h", "--idle", "0", "--yes", "--json")
        self.assertEqual(self.counts(done), (1, 0, 0, 0, 4))

    def test_an_upload_of_the_same_key_stays(self):
        again = self.s3.initiate("leftovers", self.named[0].key)
        self.server.control("clock-offset-s 172800")  # all are old now
        self.s3.clock_offset = 172800
        done = self.give(self.text, "--stale", "24h", "--yes", "--json")
        self.assertEqual(self.counts(done), (4, 0, 0, 0, 1), done.stderr)
        self.assertIn(again, [upload.upload_id for upload in self.left()])

    def test_dry_run(self):
        done = self.give(self.text, "--stale", "24h", "--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(line.split("\t")[0] for line in done.stdout.splitlines()), [f"old/00000{n}" for n in range(3)])
        self.assertEqual(len(self.left()), 6)

    def test_only_what_all_keys_begin_with_is_listed(self):
        journal = os.path.join(support.temp_dir(), "journal")
        with support.ObsLocal("--bucket", "leftovers", "--journal", journal) as server:
            env = dict(self.env, OBS_ENDPOINT=server.endpoint)
            for keys, prefix in ((["a/é1", "a/è2"], "a/"), (["a/b", "a/bc"], "a/b"), (["x", "y"], None), ([], 0)):
                before = os.path.getsize(journal) if os.path.exists(journal) else 0
                text = "".join(f"{key}\tID\n" for key in keys)
                done = run("--from", "-", "--stale", "24h", "--yes", "obs://leftovers", env=env, stdin=text)
                self.assertEqual(done.returncode, 0, done.stderr)
                with open(journal) as file:
                    file.seek(before)
                    targets = [json.loads(line)["target"] for line in file]
                if prefix == 0:
                    self.assertEqual(targets, [])
                    self.assertIn("the list is empty", done.stderr)
                elif prefix is None:
                    self.assertTrue(targets and not any("prefix=" in target for target in targets), targets)
                else:
                    self.assertEqual({target.split("&prefix=")[1] for target in targets}, {prefix})

    def test_resumed(self):
        lines = self.lines("failed")
        done = self.give(lines, "--only", "failed", "--stale", "24h", "--yes", "--json")
        self.assertEqual(self.counts(done), (5, 0, 0, 0, 1), done.stderr)
        self.assertEqual([upload.upload_id for upload in self.left()], [self.young])

    @not_on_windows
    def test_it_asks(self):
        path = os.path.join(support.temp_dir(), "list")
        with open(path, "w") as file:
            file.write(self.text)
        for answer, left in (("n", 6), ("y", 3)):
            with Pty("--from", path, "--stale", "24h", "obs://leftovers", env=dict(self.env, NO_COLOR="1")) as terminal:
                self.assertIn("3 ", terminal.read_until("[y/N"))
                terminal.type(answer + "\n")
                status, output = terminal.finish()
            self.assertEqual((status, len(self.left())), (0 if answer == "y" else 1, left), output)


@not_on_windows
class LongLists(unittest.TestCase):
    """Memory does not depend on the length of a list, but for the hashes of --stale and --only."""

    def measured(self, server, count, *options, make):
        """The most memory that it has, in KiB, and the summary."""
        path = os.path.join(support.temp_dir(), "list")
        with open(path, "w") as file:
            for n in range(count):
                file.write(make(n))
        env = {**os.environ, "OBS_ENDPOINT": server.endpoint, "OBS_ACCESS_KEY_ID": server.access_key,
               "OBS_SECRET_ACCESS_KEY": server.secret_key, "no_proxy": "*"}
        with open(path + ".out", "w") as out:
            process = subprocess.Popen([tool_path(), "--from", path, "--json", "--quiet", *options, "obs://leftovers"],
                                       env=env, stdout=out)
            self.addCleanup(process.kill)
            peak = 0
            while process.poll() is None:  # what wait4 tells has this interpreter's memory in it, from before the exec
                peak = max(peak, self.high_water(process.pid))
                time.sleep(0.002)
        self.assertEqual(process.returncode, 0)
        self.assertGreater(peak, 1000)
        with open(path + ".out") as out:
            return peak, json.load(out)

    @staticmethod
    def high_water(pid):
        with open(f"/proc/{pid}/cmdline") as file:
            if "--from" not in file.read().split("\0"):
                return 0
        with open(f"/proc/{pid}/status") as file:
            return max((int(line.split()[1]) for line in file if line.startswith("VmHWM:")), default=0)

    def test_a_hundred_thousand(self):
        text = lambda n: f"a rather long key, as backups have them, of the year 2026/{n:06}\tID-that-is-long-as-such-ids-are-{n:06}\n"
        own = lambda n: line_of(*text(n).rstrip("\n").split("\t"))
        failed = lambda n: line_of(*text(n).rstrip("\n").split("\t"), "failed")
        with support.ObsLocal("--bucket", "leftovers") as server:
            # A table of hashes is at least three eighths full, and there are two while it grows: 32 bytes an upload.
            for make, options, total, most in ((text, (), "missing", 2048), (own, (), "missing", 2048),
                                               (failed, ("--only", "failed"), "missing", 4096),
                                               (text, ("--stale", "24h", "--yes"), "kept", 4096)):
                with self.subTest(options=options):
                    few, summary = self.measured(server, 1000, *options, make=make)
                    self.assertEqual(summary[total], 1000)
                    many, summary = self.measured(server, 100000, *options, make=make)
                    self.assertEqual(summary[total], 100000)
                    self.assertLess(many - few, most)
