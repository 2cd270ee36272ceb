"""obs-abort from outside: exit status, output for people and for scripts, terminal, interruption.

OBS_ABORT_TOOL names the program, OBS_LOCAL the obs-local program. The cases about connections,
about the terminal, about the question of --stale, about lists and files and about what must never
be said are in tool_wire.py, tool_screen.py, tool_question.py, tool_input.py and tool_truth.py; what
holds --help, manual and completions together in tool_options.py; several buckets in tool_buckets.py,
globs by themselves in tool_glob.py, keys and endpoints in tool_config.py; a choice by key and size in
tool_choice.py.
"""

import json
import os
import re
import unittest

import support
import tool_terminal
from tool_buckets import Account, OneQuestion, Prefixes, Regions, Several
from tool_choice import BadChoice, Chosen, Larger
from tool_config import (AwsFiles, Endpoint, Halves, ObsutilFile, OpenFiles, Precedence, Readers, Region,
                         WhatStaysInMemory)
from tool_glob import Matcher
from tool_idle import Idle
from tool_input import CopiedIds, CredentialsFile, ListFiles
from tool_looks import Bar, Cron, Readme, Screens
from tool_list import Listed, LongLists, OnlyFailed, OwnJson, OwnJsonRefused
from tool_options import Completions, Options
from tool_question import Interrupted, Question
from tool_records import Journal, Log, LogRefused, Metrics, QuietJson, Units
from tool_screen import Output, Signals, Terminal
from tool_servers import DAY, HOUR, WithListener, WithServer
from tool_sizes import Asked, Clocks, Flat, ManyRefused, Sizes, Totals
from tool_terminal import Pty, environment, not_on_windows, run
from tool_truth import NoneExisted, NotLookedAt, OneStatus, StillListed, UnknownAge, Words
from tool_wire import Connection, Start

# Found here by the runner, a line for each file.
__all__ = [
    "Account", "OneQuestion", "Prefixes", "Regions", "Several",
    "BadChoice", "Chosen", "Larger",
    "AwsFiles", "Endpoint", "Halves", "ObsutilFile", "OpenFiles", "Precedence", "Readers", "Region",
    "WhatStaysInMemory",
    "Matcher",
    "Idle",
    "CopiedIds", "CredentialsFile", "ListFiles",
    "Bar", "Cron", "Readme", "Screens",
    "Listed", "LongLists", "OnlyFailed", "OwnJson", "OwnJsonRefused",
    "Completions", "Options",
    "Interrupted", "Question",
    "Journal", "Log", "LogRefused", "Metrics", "QuietJson", "Units",
    "Output", "Signals", "Terminal",
    "Asked", "Clocks", "Flat", "Sizes", "Totals",
    "NoneExisted", "NotLookedAt", "OneStatus", "StillListed", "UnknownAge", "Words",
    "Connection", "Start",
]


class Help(unittest.TestCase):
    def test_help_fits_a_screen(self):
        done = run("--help", env=environment())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertLess(len(lines), 24, "the prompt takes a line, too")
        self.assertLess(max(map(len, lines)), 80)
        self.assertEqual(run("-h", env=environment()).stdout, done.stdout)

    def test_help_names_every_option_of_the_manual(self):
        manual = os.path.join(os.path.dirname(__file__), "../../tools/obs-abort/obs-abort.1")
        with open(manual) as file:
            options = set(re.findall(r"Fl \\-([a-z][a-z-]+)", file.read()))
        self.assertGreater(len(options), 20)
        shown = set(re.findall(r"--([a-z][a-z-]+)", run("--help", env=environment()).stdout))
        self.assertEqual(options, shown)

    def test_version(self):
        done = run("--version", env=environment())
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^obs-abort \d+\.\d+\.\d+\n$")


class Usage(WithListener):
    def refused(self, *arguments, says="", stdin=None):
        with self.subTest(arguments):
            done = run(*arguments, env=self.env, stdin=stdin)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(done.stdout, "")
            self.assertTrue(done.stderr.startswith("obs-abort: "), done.stderr)
            self.assertIn(says, done.stderr)
            self.assertEqual(self.listener.connections(), 0)

    def test_wrong_usage(self):
        self.refused()
        self.refused("--no-such-option", "obs://bucket", says="no-such-option")
        self.refused("-x", "obs://bucket")
        # No abbreviations: this one would be --include-live.
        self.refused("--stale", "0s", "--in", "--yes", "obs://bucket", says="no such option: --in")
        self.refused("--list", says="bucket")
        self.refused("obs://bucket/key")
        self.refused("obs://bucket", "ID")
        self.refused("obs://bucket/", "ID")
        self.refused("obs:///key", "ID")
        self.refused("bucket/key", "ID", says="obs://")
        self.refused("https://bucket/key", "ID", says="obs://")
        self.refused("obs://bucket/key", "ID", "more")
        self.refused("--list", "--prefix", "k", "obs://bucket/key", says="--prefix")
        self.refused("--stale", "1h", "--yes", "--prefix", "k", "obs://bucket/key", says="--prefix")
        self.refused("--list", "obs://bucket/", says="unset variable")
        self.refused("--list", "obs://bucket", "obs://other/", says="unset variable")
        self.refused("--list", "obs://bucket", "bucket", says="obs://")
        self.refused("obs://bucket/key", "obs://other/key", says="several buckets")
        self.refused("--from", "-", "obs://bucket", "obs://other", says="one bucket")
        self.refused("--list", "obs://bucket", "obs://other", "obs://bucket", says="twice")
        self.refused("--list", "obs://bucket/a/b", "obs://bucket/a/", says="part of another")
        self.refused("--list", "obs://bucket/a", "obs://bucket", says="part of another")
        self.refused("--stale", "0s", "--include-live", "--yes", "obs://bucket", "obs://other", says="single bucket")
        for which in (("--all-buckets",), ("--bucket-match", "a*")):
            self.refused("--stale", "0s", "--include-live", "--yes", *which, says="single bucket")
            self.refused("--list", *which, "obs://bucket", says="no other is named")
            self.refused("--from", "-", *which, says="go with --stale and --list")
            self.refused(*which, says="go with --stale and --list")
            self.refused(*which, "obs://bucket/key", "ID", says="go with --stale and --list")
            self.refused("--list", "--addressing", "custom-domain", *which, says="one bucket")
        self.refused("--list", "--all-buckets", "--bucket-match", "a", says="exclude one another")
        self.refused("--list", "--bucket-match", "[", says="--bucket-match [: a bracket is not closed")
        self.refused("--from", "-", "obs://bucket/key")
        self.refused("--stale", "1h", "--list", "obs://bucket")
        self.refused("--list", "--from", "-", "obs://bucket")
        self.refused("--endpoint")
        self.refused("--json=yes", "--list", "obs://bucket")
        self.refused("--addressing", "sideways", "--list", "obs://bucket", says="--addressing")
        self.refused("--signature", "v4", "--list", "obs://bucket", says="--signature")
        self.refused("--credentials", "postcard", "--list", "obs://bucket", says="--credentials")
        self.refused("--timeout", "0", "--list", "obs://bucket", says="--timeout")
        self.refused("--timeout", "5x", "--list", "obs://bucket")
        self.refused("--timeout", "99999999999", "--list", "obs://bucket")
        self.refused("--max-attempts", "0", "--list", "obs://bucket")
        self.refused("--connections", "-3", "--list", "obs://bucket")
        self.refused("--connections", "1025", "--list", "obs://bucket", says="1024")
        self.refused("--client-cert", "cert.pem", "--list", "obs://bucket", says="--client-key")

    def test_an_option_without_effect_is_refused(self):
        self.refused("--dry-run", "obs://bucket/key", "ID", says="--dry-run")
        self.refused("--dry-run", "--from", "-", "obs://bucket", says="--dry-run")
        self.refused("--prefix", "p", "obs://bucket/key", "ID", says="--prefix")
        self.refused("--yes", "--list", "obs://bucket", says="--yes")
        self.refused("--idle", "24h", "--from", "-", "obs://bucket", says="--idle")
        self.refused("--idle", "24h", "obs://bucket/key", "ID", says="--idle")

    def test_an_empty_value_does_not_widen_what_is_aborted(self):
        """An unset variable of a script: `--prefix "$PREFIX"`, `obs://bucket/$PREFIX`."""
        sweep = ("--stale", "1h", "--yes")
        for verb in (sweep, ("--stale", "1h", "--dry-run"), ("--list",)):
            self.refused(*verb, "--prefix", "", "obs://bucket", says="--prefix")
            self.refused(*verb, "--prefix=", "obs://bucket", says="--prefix")
            self.refused(*verb, "--prefix", "old/", "--prefix", "", "obs://bucket", says="--prefix")
            self.refused(*verb, "obs://bucket/", says="obs://BUCKET")
        self.refused("--from", "-", "obs://bucket/", says="obs://BUCKET", stdin="key\tID\n")
        self.refused("obs://bucket/", says="obs://BUCKET")
        self.refused("--from", "", "obs://bucket", says="--from")
        self.refused("--stale", "", "--yes", "obs://bucket", says="--stale")
        self.refused(*sweep, "", says="obs://")
        self.refused(*sweep, "obs://", says="obs://")
        self.refused(*sweep, "obs:///", says="obs://")
        for option in ("endpoint", "credentials", "ca-file", "client-cert", "client-key", "addressing", "signature",
                       "timeout", "connect-timeout", "max-attempts", "connections"):
            self.refused(*sweep, f"--{option}", "", "obs://bucket", says=f"--{option}")
            self.refused(*sweep, f"--{option}=", "obs://bucket", says=f"--{option}")

    def test_no_option_or_bucket_is_taken_for_a_value(self):
        """An unset variable without quotes: `--not $KEEP --json obs://bucket` would exclude nothing."""
        for option in ("--not", "--match", "--log", "--metrics", "--endpoint", "--proxy", "--bucket-match", "--larger"):
            for word in ("--yes", "--json", "-q", "-nq", "--", "--idle=24h", "obs://bucket"):
                self.refused("--stale", "1h", "--yes", option, word, "obs://other",
                             says=f"{option} wants a value, and {word} comes after it")
        self.refused("--list", "--prefix", "--list", "obs://bucket", says="--prefix=--list")
        # These are no options of the program.
        for prefix in ("--live", "-x", "-qx", "-1", "---"):
            done = run("--list", "--prefix", prefix, "--max-attempts", "1", "--timeout", "100ms", "obs://bucket", env=self.env)
            self.assertNotEqual(done.returncode, 2, done.stderr)
        done = run("--list", "--prefix=--list", "--max-attempts", "1", "--timeout", "100ms", "obs://bucket", env=self.env)
        self.assertNotEqual(done.returncode, 2, done.stderr)

    def test_what_says_what_to_abort_is_said_once(self):
        for options in (("--stale", "30d", "--stale", "7d"), ("--stale", "7d", "--idle", "7d", "--idle", "0"),
                        ("--list", "--prefix", "a/", "--prefix", "b/"), ("--from", "a", "--from", "-"),
                        ("--list", "--larger", "1G", "--larger", "1K")):
            self.refused(*options, "obs://bucket", says=f"{options[-2]} is given twice")

    def test_ages(self):
        bad = "24 0h 0s 0 -1h 1.5h h 1w 1hour 24H +1h 1h30m 0x10s 18446744073709551616s 999999999999999999d"
        for age in bad.split() + ["", " 1h", "1h ", "1h\n", "9223372036854775807m"]:
            self.refused("--stale", age, "--yes", "obs://bucket")
            self.refused(f"--stale={age}", "--yes", "obs://bucket")
        self.refused("--stale", "1h", "--include-live", "--yes", "obs://bucket", says="less than 1h")

    def test_ages_that_live_uploads_have(self):
        """3m may have been meant as three months."""
        for age, means in (("0s", "0 seconds"), ("59m", "59 minutes"), ("3m", "3 minutes"), ("1m", "1 minute"),
                           ("3599s", "3599 seconds"), ("120s", "2 minutes")):
            for how in ("--yes", "--dry-run"):
                self.refused("--stale", age, how, "obs://bucket", says="--include-live")
                self.refused("--stale", age, how, "obs://bucket", says=f"--stale {age} is {means}")
        self.refused("--stale", "3m", "--yes", "obs://bucket", says="a month is 30d")
        self.refused("--stale", "24h", "--idle", "3m", "--yes", "obs://bucket", says="--idle 3m is 3 minutes")

    def test_units_that_there_are_not(self):
        for age, hint in (("3M", "30d"), ("1mo", "30d"), ("2months", "30d"), ("1w", "7d"), ("1y", "365d"), ("24", "24h")):
            self.refused("--stale", age, "--yes", "obs://bucket", says=hint)

    def test_a_sweep_without_a_terminal_wants_yes(self):
        self.refused("--stale", "1h", "obs://bucket", says="--yes")
        self.refused("--stale", "1h", "obs://bucket", says="--yes", stdin="y\n")
        self.refused("--stale", "1h", "--json", "obs://bucket", says="--yes")

    def test_what_the_library_refuses_unsent(self):
        self.refused("--list", "obs://No_Bucket", says="bucket")
        self.refused("obs://ab/key", "ID", says="bucket")
        self.refused("obs://bucket/key", "", says="upload")
        self.refused("obs://bucket/key", "   ", says="upload")
        self.refused("obs://bucket/key", "ID\n", says="upload")
        self.refused("obs://bucket/" + "k" * 1025, "ID", says="key")

    def test_a_malformed_list_aborts_nothing(self):
        for line in ("no tab", "a\tb\tID", "a\tb\tc\tID", 'a\tb\tID\t2026\tx', '"open\tID', '"a"b\tID', '"\\q"\tID',
                     '"\\x00"\tID', '"\\xZZ"\tID', "nul\0\tID"):
            self.refused("--from", "-", "obs://bucket", says="line 2", stdin=f"good\tID\n{line}\n")


class One(WithServer):
    def test_gone_and_gone_already(self):
        upload_id = self.s3.initiate("leftovers", "a key")
        done = run("obs://leftovers/a key", upload_id, env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^aborted: a key \S+ \(HTTP 204, request id \S+\)\n$")
        self.assertEqual(self.left(), [])
        done = run("obs://leftovers/a key", upload_id, env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^gone already: a key \S+: .*\(HTTP 404, request id \S+\)\n$")

    def test_the_key_is_taken_as_it_stands(self):
        for key in ("a%20b", "/slash//", "?uploadId=x", "-dash", '"quoted"', "钥匙 🗝", "tab\tkey\n"):
            with self.subTest(key):
                upload_id = self.s3.initiate("leftovers", key)
                done = run(f"obs://leftovers/{key}", "--", upload_id, env=self.env)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue(done.stdout.startswith("aborted: "), done.stdout)
                self.assertEqual(len(done.stdout.splitlines()), 1)
                self.assertEqual(self.left(), [])

    def test_failures(self):
        upload_id = self.s3.initiate("leftovers", "key")
        env = dict(self.env, **{tool_terminal.SECRET: "wrong"})
        done = run("obs://leftovers/key", upload_id, env=env)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"^obs-abort: failed: key \S+: access_denied: .*\n$")
        done = run("obs://no-such-bucket/key", upload_id, env=self.env)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no_such_bucket", done.stderr)
        self.assertEqual(len(self.left()), 1)

    def test_json(self):
        upload_id = self.s3.initiate("leftovers", "key")
        done = run("--json", "obs://leftovers/key", upload_id, env=self.env)
        (upload,), summary = self.objects(done)
        self.assertEqual(done.returncode, 0)
        known = {name: upload[name] for name in ("result", "bucket", "key", "upload_id", "code", "http_status", "attempts")}
        self.assertEqual(
            known,
            {"result": "aborted", "bucket": "leftovers", "key": "key", "upload_id": upload_id, "code": 0,
             "http_status": 204, "attempts": 1},
        )
        self.assertTrue(upload["request_id"])
        self.assertRegex(upload["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertGreaterEqual(summary["time"], upload["time"])
        self.assertIsNone(upload["message"])
        self.assertEqual((summary["total"], summary["aborted"], summary["code_name"]), (1, 1, "ok"))
        (upload,), summary = self.objects(run("--json", "obs://leftovers/key", upload_id, env=self.env))
        self.assertEqual((upload["result"], upload["code_name"], upload["service_code"]),
                         ("missing", "no_such_upload", "NoSuchUpload"))
        self.assertEqual((summary["missing"], summary["exit_status"]), (1, 0))

    def test_credentials_from_a_file(self):
        upload_id = self.s3.initiate("leftovers", "key")
        path = os.path.join(support.temp_dir(), "credentials")
        with open(path, "w") as file:
            file.write(f"# of the test\nOBS_ACCESS_KEY_ID={self.server.access_key}\n\n"
                       f"OTHER=thing\nOBS_SECRET_ACCESS_KEY={self.server.secret_key}\n")
        env = environment(OBS_ENDPOINT=self.server.endpoint)
        done = run("--credentials", f"file:{path}", "obs://leftovers/key", upload_id, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.left(), [])

    def test_verbose_tells_requests_but_no_secret(self):
        upload_id = self.s3.initiate("leftovers", "key")
        quiet = run("--verbose", "obs://leftovers/key", upload_id, env=self.env)
        done = run("-vvv", "obs://leftovers/key", upload_id, env=self.env)
        self.assertGreater(len(done.stderr), len(quiet.stderr))
        self.assertIn("DELETE", done.stderr)
        self.assertNotIn(self.server.secret_key, done.stderr)


HARD_KEYS = ["plain", "two words", "back\\slash", '"quoted"', 'in"side', "tab\tin", "line\nbreak", "escape\x1b[2Jseq",
             "bell\x07", "delete\x7f", "csi\u009b31m", "right\u202eleft", "marks\u061c\u200e\u200f",
             "钥匙 🗝", " ", "%09", "trailing ", "a\r", "#x"]


class List(WithServer):
    def test_columns(self):
        ids = {key: self.s3.initiate("leftovers", key) for key in ("one", "two words")}
        done = run("--list", "obs://leftovers", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        self.assertEqual({row[0]: row[1] for row in rows}, ids)
        for row in rows:
            self.assertRegex(row[2], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.assertRegex(row[3], r"^\d+s$")
        self.assertIn("2 unfinished", done.stderr)
        self.assertEqual(len(self.left()), 2)

    def test_of_options_that_do_not_say_what_to_abort_the_last_holds(self):
        """A script appends to those of its own what its user gives."""
        endpoint = self.env["OBS_ENDPOINT"]
        for options in (("--endpoint", "http://127.0.0.1:1", "--endpoint", endpoint),
                        ("--timeout", "1ms", "--timeout", "60s", "--endpoint", endpoint)):
            done = run("--list", "--max-attempts", "1", *options, "obs://leftovers", env=self.env)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_prefix(self):
        for key in ("db/1", "db/2", "web/1"):
            self.s3.initiate("leftovers", key)
        uploads, summary = self.objects(run("--list", "--json", "--prefix", "db/", "obs://leftovers", env=self.env))
        self.assertEqual(sorted(upload["key"] for upload in uploads), ["db/1", "db/2"])
        self.assertEqual((summary["found"], summary["aborted"], summary["dry_run"]), (2, 0, True))

    def test_json_carries_every_key(self):
        ids = {key: self.s3.initiate("leftovers", key) for key in HARD_KEYS}
        done = run("--list", "--json", "obs://leftovers", env=self.env)
        uploads, _ = self.objects(done)
        self.assertEqual({upload["key"]: upload["upload_id"] for upload in uploads}, ids)
        for upload in uploads:
            self.assertEqual(upload["result"], "found")
            self.assertLess(upload["age_seconds"], 60)
        self.assertIsNone(re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202e]", done.stdout), "no control characters")

    def test_its_lines_fed_back_abort_every_key(self):
        for key in HARD_KEYS:
            self.s3.initiate("leftovers", key)
        listed = run("--list", "obs://leftovers", env=self.env).stdout
        self.assertEqual(len(listed.splitlines()), len(HARD_KEYS), "one line a key, whatever is in it")
        self.assertIsNone(re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202e]", listed))
        done = run("--from", "-", "obs://leftovers", env=self.env, stdin=listed)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{len(HARD_KEYS)} aborted, 0 failed", done.stderr)
        self.assertEqual(self.left(), [])

    @not_on_windows
    def test_no_key_reaches_a_terminal_as_it_is(self):
        ids = [self.s3.initiate("leftovers", key) for key in HARD_KEYS]
        for options in (["--list"], ["--list", "--json"], ["--stale", "0s", "--include-live", "--dry-run"]):
            with Pty(*options, "obs://leftovers", env=dict(self.env, NO_COLOR="1")) as terminal:
                status, output = terminal.finish()
            self.assertEqual(status, 0)
            self.assertTrue(all(upload_id in output for upload_id in ids))
            self.assertIsNone(re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202e]", output), output)

    def test_an_empty_bucket(self):
        done = run("--list", "obs://leftovers", env=self.env)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_a_listing_refused(self):
        done = run("--list", "obs://no-such-bucket", env=self.env)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no_such_bucket", done.stderr)


class From(WithServer):
    def make(self, count):
        return "".join(f"key {n}\t{self.s3.initiate('leftovers', f'key {n}')}\n" for n in range(count))

    def test_file_and_stdin(self):
        path = os.path.join(support.temp_dir(), "list")
        with open(path, "w") as file:
            file.write(self.make(20))
        done = run("--from", path, "obs://leftovers", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 20)
        self.assertIn("20 aborted, 0 failed", done.stderr)
        self.assertEqual(self.left(), [])
        done = run("--from=-", "obs://leftovers", env=self.env, stdin=self.make(3).replace("\n", "\r\n\r\n"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.left(), [])

    def test_a_bad_entry_fails_alone(self):
        text = self.make(3) + "long\t" + "i" * 2000 + "\n"
        done = run("--from", "-", "obs://leftovers", env=self.env, stdin=text)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stdout.splitlines()), 3)
        self.assertRegex(done.stderr, "(?m)^obs-abort: failed: long i+: invalid_argument")
        self.assertIn("3 aborted, 1 failed", done.stderr)
        self.assertEqual(self.left(), [])

    def test_gone_already_counts_as_gone(self):
        text = self.make(2)
        done = run("--from", "-", "--json", "obs://leftovers", env=self.env, stdin=text + text)
        uploads, summary = self.objects(done)
        self.assertEqual(done.returncode, 0)
        self.assertEqual((len(uploads), summary["aborted"] + summary["missing"], summary["failed"]), (4, 4, 0))

    def test_an_empty_list(self):
        done = run("--from", "-", "obs://leftovers", env=self.env, stdin="")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("0 aborted", done.stderr)

    def test_quiet(self):
        done = run("--quiet", "--from", "-", "obs://leftovers", env=self.env, stdin=self.make(2))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class Stale(WithServer):
    options = ("--uploads", f"leftovers:25:{3 * DAY}:old/", "--uploads", f"leftovers:4:{2 * HOUR}:young/")

    def test_dry_run_changes_nothing(self):
        done = run("--stale", "24h", "--dry-run", "obs://leftovers", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        keys = [line.split("\t")[0] for line in done.stdout.splitlines()]
        self.assertEqual(sorted(keys), sorted(u.key for u in self.left("old/")))
        self.assertIn("25 would be aborted, 4 younger", done.stderr)
        self.assertEqual(len(self.left()), 29)

    def test_exactly_the_old_ones_go(self):
        done = run("--stale", "24h", "--yes", "obs://leftovers", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 25)
        self.assertTrue(all(line.startswith("aborted\told/") for line in done.stdout.splitlines()))
        self.assertIn("25 aborted, 0 failed, 4 younger", done.stderr)
        self.assertEqual({u.key.split("/")[0] for u in self.left()}, {"young"})
        self.assertEqual(len(self.left()), 4)
        done = run("--stale", "24h", "--yes", "obs://leftovers", env=self.env)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_units(self):
        for age, count in (("4d", 0), ("73h", 0), ("71h", 25), ("121m", 25), ("119m", 29), ("7260s", 25), ("60s", 29)):
            live = ["--include-live"] if age == "60s" else []
            done = run("--stale", age, *live, "--dry-run", "--json", "obs://leftovers", env=self.env)
            self.assertEqual(self.objects(done)[1]["found"], count, age)

    def test_json(self):
        done = run("--stale=24h", "--json", "-y", "--prefix", "old/", "obs://leftovers", env=self.env)
        uploads, summary = self.objects(done)
        self.assertEqual({upload["result"] for upload in uploads}, {"aborted"})
        self.assertEqual({upload["http_status"] for upload in uploads}, {204})
        for upload in uploads:
            self.assertAlmostEqual(upload["age_seconds"], 3 * DAY, delta=120)
        counts = [summary[name] for name in ("total", "aborted", "missing", "failed", "kept", "found")]
        self.assertEqual(counts, [25, 25, 0, 0, 0, 0])
        self.assertEqual((summary["dry_run"], summary["interrupted"]), (False, False))

    def test_clocks_that_can_not_be_right(self):
        """A gateway's Date, and times that are none: nothing is deleted, whatever the age asked for."""
        late, early, right = (f"date-offset-s={offset}" for offset in (2 * DAY, -2 * DAY, 0))
        for dates in (late, early, f"{late};{right}", f"{right};{late}", "without=Date", "header=Date:soon"):
            self.options = (*Stale.options, "--fault", f"real;{dates};query=uploads;always")
            self.setUp()
            for options in ("--yes",), ("--dry-run",), ("--yes", "--json"):
                done = run("--stale", "24h", *options, "obs://leftovers", env=self.env)
                self.assertNotEqual(done.returncode, 0, dates)
                self.assertIn("protocol", done.stderr + done.stdout)
                self.assertNotIn("old/", done.stdout)
            self.assertEqual(len(self.left()), 29, dates)
        for time in ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z", "2020-01-01T00:00:00+99:00", "2020-01-01T00:00:00"):
            self.options = (*Stale.options, "--initiated", time)
            self.setUp()
            done = run("--stale", "24h", "--yes", "obs://leftovers", env=self.env)
            self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
            self.assertEqual(len(self.left()), 29, time)

    def test_live_ones_only_when_asked_for(self):
        fresh = self.s3.initiate("leftovers", "fresh")
        done = run("--stale", "0s", "--include-live", "--dry-run", "--json", "obs://leftovers", env=self.env)
        self.assertIn(fresh, [upload["upload_id"] for upload in self.objects(done)[0]])
        done = run("--stale", "0s", "--include-live", "--yes", "obs://leftovers", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.left(), [])


class Trouble(WithServer):
    """Some uploads fail, or the listing does, half-way."""

    def setUp(self):
        pass

    three = [f"answer=403;error=AccessDenied;method=DELETE;key=backup/{n:06};always" for n in (5, 15, 25)]

    def sweep(self, *options, faults):
        words = [word for fault in faults for word in ("--fault", fault)]
        self.options = ("--uploads", f"leftovers:30:{3 * DAY}", "--page-cap", "10", *words)
        super().setUp()
        return run("--stale", "1h", "--yes", "--max-attempts", "1", *options, "obs://leftovers", env=self.env)

    def test_some_failed(self):
        done = self.sweep(faults=self.three)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stdout.splitlines()), 27)
        self.assertEqual(len(re.findall("(?m)^obs-abort: failed: .*access_denied.*AccessDenied", done.stderr)), 3)
        self.assertIn("27 aborted, 3 failed", done.stderr)
        self.assertEqual(len(self.left()), 3)

    def test_some_failed_in_json(self):
        done = self.sweep("--json", faults=self.three)
        uploads, summary = self.objects(done)
        self.assertEqual((done.returncode, summary["code_name"], summary["failed"]), (1, "partial", 3))
        last = {upload["upload_id"]: upload for upload in uploads}
        self.assertEqual(len(last), 30)
        failed = [upload for upload in last.values() if upload["result"] == "failed"]
        self.assertEqual({u.upload_id for u in self.left()}, {upload["upload_id"] for upload in failed})
        for upload in failed:
            self.assertEqual((upload["http_status"], upload["service_code"]), (403, "AccessDenied"))
            self.assertTrue(upload["message"].startswith("access_denied: "))

    def test_the_listing_breaks_off_half_way(self):
        done = self.sweep(faults=["answer=403;error=AccessDenied;query=uploads;skip=2;times=1"])
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stdout.splitlines()), 20)
        self.assertIn("access_denied", done.stderr)
        self.assertIn("20 aborted, 0 failed", done.stderr)
        self.assertEqual(len(self.left()), 10)

    def test_the_listing_is_refused(self):
        done = self.sweep(faults=["answer=403;error=AccessDenied;query=uploads;always"])
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("access_denied", done.stderr)

    def test_no_upload_could_be_sent(self):
        done = self.sweep(faults=["answer=500;method=DELETE;always"])
        self.assertEqual(done.returncode, 1, "500 is no reason to look at the configuration")
        self.assertIn("0 aborted, 30 failed", done.stderr)
