"""No word of obs-abort is false: never "gone" of what is there, never "clean" of what was not looked at."""

import json
import re
import signal
import time

import support
import tool_terminal
from tool_servers import DAY, HOUR, Listener, Recorder, WithServer
from tool_terminal import Pty, environment, run

# What would look clean.
CLEAN = re.compile(r"\b0 (unfinished|aborted|would|failed)|nothing (known|unfinished|\d+[smhd] old)")

LIST = ("--list", "obs://leftovers")
DRY_RUN = ("--stale", "24h", "--dry-run", "obs://leftovers")
SWEEP = ("--stale", "24h", "--yes", "obs://leftovers")
QUESTION = ("--stale", "24h", "obs://leftovers")


class Restarted(WithServer):
    """With a server for each case."""

    def setUp(self):
        pass

    def start(self, *options):
        self.options = options
        super().setUp()

    def answer(self, text, *options, verb=QUESTION):
        with Pty(*options, *verb, env=dict(self.env, NO_COLOR="1")) as terminal:
            terminal.read_until("[y/N/l]")
            terminal.type(text)
            return terminal.finish()


class NotLookedAt(Restarted):
    """A listing that failed, or that was interrupted, says so instead of a count."""

    def refused(self, fault, says, status=1):
        self.start("--uploads", f"leftovers:30:{3 * DAY}", "--fault", fault)
        common = ("--max-attempts", "1", "--timeout", "300ms")
        for verb in (LIST, DRY_RUN, SWEEP):
            for quiet in ((), ("--quiet",)):
                with self.subTest(fault=fault, verb=verb, quiet=quiet):
                    done = run(*common, *quiet, *verb, env=self.env)
                    self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
                    self.assertRegex(done.stderr, rf"^obs-abort: obs://leftovers was not looked at: {says}.*\n$")
                    self.assertNotRegex(done.stderr, CLEAN)
            uploads, summary = self.objects(run(*common, "--json", *verb, env=self.env))
            self.assertEqual((uploads, summary["complete"], summary["code_name"]), ([], False, says))
        with Pty(*common, *QUESTION, env=self.env) as terminal:
            ended, output = terminal.finish()
        self.assertEqual(ended, status, output)
        self.assertIn("nothing was aborted", output)
        self.assertIn(f"obs://leftovers was not looked at: {says}", output)
        self.assertNotRegex(output, CLEAN)
        self.assertEqual(len(self.left()) if "always" not in fault else 30, 30)

    def test_at_its_first_page(self):
        self.refused("answer=403;error=AccessDenied;query=uploads;always", "access_denied")
        self.refused("answer=404;error=NoSuchBucket;query=uploads;always", "no_such_bucket")
        self.refused("answer=500;query=uploads;always", "server")
        self.refused("answer=200;body=<html>;query=uploads;always", "protocol")
        self.refused("silence;then=stall;query=uploads;always", "timeout")

    def test_nothing_that_listens(self):
        env = dict(environment(Listener()), OBS_ENDPOINT="http://127.0.0.1:%d" % support.free_port())
        for verb in (LIST, DRY_RUN, SWEEP):
            done = run("--max-attempts", "1", *verb, env=env)
            self.assertEqual(done.returncode, 3)
            self.assertIn("obs://leftovers was not looked at: connect", done.stderr)
            self.assertNotRegex(done.stderr, CLEAN)

    def test_half_way(self):
        fault = "answer=403;error=AccessDenied;query=uploads;skip=2;times=1"
        for verb, count in ((LIST, "20 unfinished"), (DRY_RUN, "20 would be aborted"), (SWEEP, "20 aborted, 0 failed")):
            self.start("--uploads", f"leftovers:30:{3 * DAY}", "--page-cap", "10", "--fault", fault)
            done = run("--max-attempts", "1", *verb, env=self.env)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{count}; the rest of obs://leftovers, if any, was not looked at (", done.stderr)

    def test_with_nothing_old_so_far(self):
        fault = "answer=403;error=AccessDenied;query=uploads;skip=2;times=1"
        self.start("--uploads", f"leftovers:30:{3 * HOUR}", "--page-cap", "10", "--fault", fault)
        done = run("--max-attempts", "1", *SWEEP, env=self.env)
        self.assertEqual(done.returncode, 1)
        self.assertIn("20 younger; the rest of obs://leftovers, if any, was not looked at (", done.stderr)
        self.assertNotIn("nothing", done.stderr)

    def test_interrupted(self):
        self.start("--uploads", f"leftovers:30:{3 * DAY}", "--page-cap", "1", "--latency-ms", "100")
        for verb in (LIST, DRY_RUN, SWEEP):
            for options in ((), ("--json",)):
                with self.subTest(verb), Pty(*options, *verb, env=dict(self.env, NO_COLOR="1")) as terminal:
                    time.sleep(0.6)
                    terminal.process.send_signal(signal.SIGINT)
                    status, output = terminal.finish()
                    self.assertEqual(status, 130)
                    if options:
                        self.assertEqual(json.loads(output.splitlines()[-1])["complete"], False)
                    else:
                        self.assertRegex(output, r"interrupted: [1-9].*; the rest of obs://leftovers, if any, was not")

    def test_interrupted_before_anything_was_looked_at(self):
        listener = Listener()
        self.addCleanup(listener.socket.close)
        for verb in (LIST, DRY_RUN, SWEEP, QUESTION):
            with self.subTest(verb), Pty(*verb, env=environment(listener)) as terminal:
                time.sleep(0.5)
                for _ in range(2):
                    terminal.process.send_signal(signal.SIGTERM)
                    time.sleep(0.1)
                status, output = terminal.finish()
                self.assertEqual(status, 143)
                self.assertIn("interrupted: obs://leftovers was not looked at", output)
                self.assertNotRegex(output, CLEAN)

    def test_a_list_that_nobody_takes(self):
        self.start("--uploads", f"leftovers:3000:{3 * DAY}")
        words = [tool_terminal.tool_path(), *LIST]
        done = support.run(["sh", "-c", '"$@" | head -n 1', "sh", *words], env=self.env)
        self.assertIn("the rest of obs://leftovers, if any, was not looked at", done.stderr)
        with open("/dev/full", "w") as full:
            for verb in (LIST, ("--json", *LIST), DRY_RUN):
                done = run(*verb, env=self.env, stdout=full)
                self.assertEqual(done.returncode, 1)
                self.assertIn("No space left on device", done.stderr)

    def test_a_summary_that_nobody_takes(self):
        """Nothing stopped the verb, which came to its end: the exit status is all that tells."""
        self.start()
        with open("/dev/full", "w") as full:
            for verb in (LIST, DRY_RUN, SWEEP, ("--from", "-", "obs://leftovers")):
                done = run("--json", *verb, env=self.env, stdin="", stdout=full)
                self.assertEqual(done.returncode, 1, verb)
                self.assertIn("No space left on device", done.stderr)

    def test_a_list_that_ends_in_trouble_is_an_empty_list_to_the_next_in_the_pipe(self):
        self.start()
        done = run("--from", "-", "obs://leftovers", env=self.env, stdin="")
        self.assertEqual(done.returncode, 0)
        self.assertIn("the list is empty: there was nothing to abort", done.stderr)
        _, summary = self.objects(run("--json", "--from", "-", "obs://leftovers", env=self.env, stdin="\n"))
        self.assertIn("the list is empty", summary["note"])


class OneStatus(Restarted):
    """What the service refuses has one exit status, whichever verb meets it."""

    def test_each_refusal(self):
        for fault in ("answer=403;error=AccessDenied", "answer=403;error=SignatureDoesNotMatch", "answer=500",
                      "answer=404;error=NoSuchBucket", "answer=301", "answer=200;body=<html>",
                      "answer=503;error=SlowDown", "answer=400;error=ExpiredToken"):
            self.start("--uploads", f"leftovers:3:{3 * DAY}", "--fault", f"{fault};always")
            for verb in (LIST, DRY_RUN, SWEEP, ("obs://leftovers/key", "ID"), ("--from", "-", "obs://leftovers")):
                with self.subTest(fault=fault, verb=verb):
                    done = run("--max-attempts", "1", *verb, env=self.env, stdin="key\tID\n")
                    self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)


class UnknownAge(Restarted):
    """Uploads of which the service does not say when they were initiated."""

    def test_they_are_shown_and_kept_and_counted(self):
        for text in ("0001-01-01T00:00:00Z", "soon", ""):
            self.start("--uploads", f"leftovers:29:{3 * DAY}", "--initiated", text)
            done = run(*LIST, env=self.env)
            self.assertEqual(done.returncode, 0, done.stderr)
            rows = [line.split("\t") for line in done.stdout.splitlines()]
            self.assertEqual([row[2:] for row in rows], [["-", "-"]] * 29)
            self.assertIn("29 unfinished, 29 of them of unknown age", done.stderr)
            for verb in (SWEEP, DRY_RUN):
                for options in ((), ("--quiet",)):
                    done = run(*options, *verb, env=self.env)
                    self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
                    self.assertIn("obs-abort: nothing known to be 24h old; 29 of unknown age kept (", done.stderr)
                uploads, summary = self.objects(run("--json", *verb, env=self.env))
                self.assertEqual((uploads, summary["kept"], summary["unknown_age"]), ([], 29, 29))
            with Pty(*QUESTION, env=dict(self.env, NO_COLOR="1")) as terminal:
                status, output = terminal.finish()
            self.assertEqual(status, 0)
            self.assertIn("nothing known to be 24h old; 29 of unknown age kept", output)
            self.assertEqual(len(self.left()), 29)

    def test_if_age_does_not_matter(self):
        live = ("--stale", "0s", "--include-live", "obs://leftovers")
        self.start("--uploads", f"leftovers:3:{3 * DAY}", "--initiated", "0001-01-01T00:00:00Z")
        uploads, summary = self.objects(run("--json", "--dry-run", *live, env=self.env))
        self.assertEqual(([upload["age_seconds"] for upload in uploads], summary["unknown_age"]), ([None] * 3, 0))
        with Pty(*live, env=dict(self.env, NO_COLOR="1")) as terminal:
            asked = terminal.read_until("[y/N/l]")
            self.assertIn("  of unknown age: 3", asked)
            self.assertNotIn("oldest", asked)
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual((status, self.left()), (0, []), output)
        self.assertIn("3 aborted, 0 failed (", output)

    def test_beside_others(self):
        def initiated(seconds):
            return time.strftime("<Initiated>%Y-%m-%dT%H:%M:%SZ</Initiated>", time.gmtime(time.time() - seconds))

        class Lister(Recorder):
            def judge(self, seen):
                if seen.method == "DELETE":
                    self.uploads.pop("old")
                    return 204, b""
                if "uploadId=" in seen.target:
                    return 200, (b"<ListPartsResult><UploadId>ID</UploadId><IsTruncated>false</IsTruncated>"
                                 b"</ListPartsResult>")
                uploads = "".join(f"<Upload><Key>{key}</Key><UploadId>ID</UploadId>{rest}</Upload>"
                                  for key, rest in self.uploads.items())
                root = "ListMultipartUploadsResult"
                return 200, f"<{root}><IsTruncated>false</IsTruncated>{uploads}</{root}>".encode()

        lister = Lister(self)
        lister.uploads = {"old": initiated(3 * DAY), "unknown": "", "young": initiated(HOUR), "odd": "<Initiated/>"}
        env = environment(lister, NO_COLOR="1")
        done = run(*LIST, env=env)
        self.assertIn("4 unfinished, 2 of them of unknown age (", done.stderr)
        done = run(*DRY_RUN, env=env)
        self.assertIn("1 would be aborted, 1 younger, 2 of unknown age kept (", done.stderr)
        with Pty(*QUESTION, env=env) as terminal:
            self.assertIn("  of unknown age, and kept: 2", terminal.read_until("[y/N/l]"))
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual(status, 0)
        self.assertIn("1 aborted, 0 failed, 1 younger, 2 of unknown age kept (", output)
        done = run("--quiet", *SWEEP, env=env)
        self.assertIn("nothing known to be 24h old; 1 younger, 2 of unknown age kept (", done.stderr)


class NoneExisted(Restarted):
    """A list with the wrong bucket or with ids that were cut: each entry counts as gone, and nothing was done."""

    def test_a_list(self):
        self.start()
        text = "".join(f"key {n}\tID{n}\n" for n in range(20))
        says = "none of the 20 uploads existed: is obs://leftovers the right bucket, and are keys and ids whole?"
        done = run("--from", "-", "obs://leftovers", env=self.env, stdin=text)
        self.assertEqual(done.returncode, 0)
        self.assertIn("0 aborted, 20 gone already, 0 failed", done.stderr)
        self.assertIn(says, done.stderr)
        done = run("--quiet", "--from", "-", "obs://leftovers", env=self.env, stdin=text)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", f"obs-abort: {says}\n"))
        _, summary = self.objects(run("--json", "--from", "-", "obs://leftovers", env=self.env, stdin=text))
        self.assertEqual((summary["missing"], summary["note"]), (20, says))

    def test_not_if_one_did(self):
        self.start()
        text = f"key 1\tID1\nkey\t{self.s3.initiate('leftovers', 'key')}\n"
        done = run("--quiet", "--from", "-", "obs://leftovers", env=self.env, stdin=text)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        _, summary = self.objects(run("--json", "--from", "-", "obs://leftovers", env=self.env,
                                      stdin=f"key\t{self.s3.initiate('leftovers', 'key')}\n"))
        self.assertIsNone(summary["note"])

    def test_one_upload(self):
        self.start()
        says = "no such upload in obs://leftovers: aborted or completed earlier, or not this key's upload id"
        done = run("--quiet", "obs://leftovers/key", "ID", env=self.env)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", f"obs-abort: {says}\n"))
        _, summary = self.objects(run("--json", "obs://leftovers/key", "ID", env=self.env))
        self.assertEqual(summary["note"], says)


class StillListed(Restarted):
    """The service says that uploads are gone, and its next listing shows them."""

    lies = ("answer=204;method=DELETE;always", "answer=404;error=NoSuchUpload;method=DELETE;always")

    def test_a_sweep(self):
        for lie in self.lies:
            self.start("--uploads", f"leftovers:5:{3 * DAY}", "--fault", lie)
            for quiet in ((), ("--quiet",)):
                done = run(*quiet, *SWEEP, env=self.env)
                self.assertEqual(done.returncode, 1, done.stderr)
                told = re.findall("(?m)^obs-abort: failed: backup/\\S+ \\S+: still_listed: ", done.stderr)
                self.assertEqual(len(told), 5)
                self.assertIn("0 aborted, 5 failed (", done.stderr)
                self.assertIn("the service said of 5 uploads that they are gone, and still lists them: run", done.stderr)

    def test_a_sweep_in_json(self):
        for lie in self.lies:
            self.start("--uploads", f"leftovers:5:{3 * DAY}", "--fault", lie)
            done = run("--json", *SWEEP, env=self.env)
            uploads, summary = self.objects(done)
            last = {upload["upload_id"]: (upload["result"], upload["code_name"]) for upload in uploads}
            self.assertEqual(set(last), {upload.upload_id for upload in self.left()})
            self.assertEqual(set(last.values()), {("failed", "still_listed")})
            counts = [summary[name] for name in ("exit_status", "aborted", "missing", "failed", "kept", "total")]
            self.assertEqual(counts, [1, 0, 0, 5, 0, 5])
            self.assertIn("still lists them", summary["note"])

    def test_after_the_question(self):
        """It aborts what it counted, and looks whether that is gone."""
        for lie in self.lies:
            one = lie.replace("always", "key=backup/000001;always")
            for fault, count in ((lie, 5), (one, 1)):
                self.start("--uploads", f"leftovers:5:{3 * DAY}", "--uploads", f"leftovers:2:{HOUR}:young/",
                           "--fault", fault)
                status, output = self.answer("y\n")
                self.assertEqual(status, 1, output)
                self.assertEqual(len(re.findall(r"obs-abort: failed: backup/\S+ \S+: still_listed: ", output)), count)
                self.assertIn(f"{5 - count} aborted, {count} failed, 2 younger (", output)
                self.assertIn(f"the service said of {count} uploads that they are gone", output)
                self.assertEqual(len(self.left()), count + 2)

    def test_after_the_question_in_json(self):
        self.start("--uploads", f"leftovers:5:{3 * DAY}", "--fault", self.lies[0])
        status, output = self.answer("y\n", "--json")
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        last = {line["upload_id"]: (line["result"], line["code"], line["age_seconds"] > 2 * DAY) for line in lines[:-1]}
        self.assertEqual(set(last.values()), {("failed", 40, True)})
        self.assertEqual((status, lines[-1]["failed"], lines[-1]["aborted"], lines[-1]["total"]), (1, 5, 0, 5))

    def test_the_listing_after_the_question_fails(self):
        fault = "answer=403;error=AccessDenied;query=uploads;skip=1;times=1"
        self.start("--uploads", f"leftovers:5:{3 * DAY}", "--fault", fault)
        status, output = self.answer("y\n")
        self.assertEqual((status, len(self.left())), (1, 5), output)
        self.assertIn("access_denied", output)
        self.assertIn("0 aborted, 0 failed, 5 not begun; the rest of obs://leftovers, if any, was not looked at", output)

    def test_the_listing_that_is_to_confirm_fails(self):
        fault = "answer=403;error=AccessDenied;query=uploads;skip=2;always"
        self.start("--uploads", f"leftovers:5:{3 * DAY}", "--fault", fault)
        status, output = self.answer("y\n")
        self.assertEqual(status, 1, output)
        self.assertIn("access_denied", output)
        self.assertIn("5 aborted, 0 failed", output)
        self.assertIn("no listing has confirmed that what was aborted is gone", output)

    def test_more_is_left_than_the_question_counted(self):
        """It stays, and is told."""
        self.start("--control", "--uploads", f"leftovers:5:{3 * DAY}")
        with Pty(*QUESTION, env=dict(self.env, NO_COLOR="1")) as terminal:
            terminal.read_until("[y/N/l]")
            self.server.control(f"uploads leftovers:3:{4 * DAY}:late/")
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual((status, len(self.left())), (0, 3), output)
        self.assertIn("5 aborted, 0 failed (", output)
        self.assertIn("3 more, which the question did not count, are left", output)

    def test_what_failed_at_first_is_not_failed_at_last(self):
        fault = "answer=403;error=AccessDenied;method=DELETE;times=3"
        self.start("--uploads", f"leftovers:30:{3 * DAY}", "--fault", fault)
        done = run("--max-attempts", "1", *SWEEP, env=self.env)
        self.assertEqual((done.returncode, self.left()), (0, []))
        self.assertNotIn("failed:", done.stderr)
        self.assertIn("30 aborted, 0 failed (", done.stderr)
        self.start("--uploads", f"leftovers:30:{3 * DAY}", "--fault", fault)
        done = run("--max-attempts", "1", "--quiet", *SWEEP, env=self.env)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.start("--uploads", f"leftovers:30:{3 * DAY}", "--fault", fault)
        uploads, summary = self.objects(run("--max-attempts", "1", "--json", *SWEEP, env=self.env))
        self.assertEqual(len(uploads), 33)
        last = {upload["upload_id"]: upload["result"] for upload in uploads}
        self.assertEqual((set(last.values()), summary["aborted"], summary["failed"]), ({"aborted"}, 30, 0))

    def test_what_fails_for_good_is_told_once(self):
        """The report has it, too, and --json told it when it happened."""
        self.start("--uploads", f"leftovers:5:{3 * DAY}", "--fault", "answer=403;error=AccessDenied;method=DELETE;always")
        uploads, summary = self.objects(run("--json", *SWEEP, env=self.env))
        self.assertEqual(sorted(upload["upload_id"] for upload in uploads),
                         sorted(upload.upload_id for upload in self.left()))
        self.assertEqual(({upload["code_name"] for upload in uploads}, summary["failed"]), ({"access_denied"}, 5))
        done = run(*SWEEP, env=self.env)
        self.assertEqual(len(re.findall("(?m)^obs-abort: failed: ", done.stderr)), 5)

    def test_more_failures_than_the_report_names(self):
        fault = "answer=403;error=AccessDenied;method=DELETE;always"
        self.start("--uploads", f"leftovers:1200:{3 * DAY}", "--fault", fault)
        done = run("--max-attempts", "1", *SWEEP, env=self.env)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(re.findall("(?m)^obs-abort: failed: ", done.stderr)), 1000)
        self.assertIn("0 aborted, 1200 failed", done.stderr)
        self.assertIn("only the first 1000 failures are named", done.stderr)


class Words(Restarted):
    """Counts, ages and answers as a person takes them."""

    def test_nothing_old_and_some_younger(self):
        self.start("--uploads", f"leftovers:5:{HOUR}")
        for verb in (SWEEP, DRY_RUN):
            done = run(*verb, env=self.env)
            self.assertEqual(done.returncode, 0)
            self.assertIn("obs-abort: nothing 24h old; 5 younger (", done.stderr)
            self.assertEqual(run("--quiet", *verb, env=self.env).stderr, "")
        self.start()
        self.assertIn("obs-abort: nothing 24h old (", run(*SWEEP, env=self.env).stderr)
        self.assertIn("obs-abort: nothing unfinished (", run(*LIST, env=self.env).stderr)
        live = ("--stale", "0s", "--include-live", "--yes", "obs://leftovers")
        self.assertIn("obs-abort: nothing unfinished (", run(*live, env=self.env).stderr)

    def test_what_counts_as_yes(self):
        yes, no = ["Yes", "YES", "yes", "y", "Y", "yes ", "yEs\t"], ["ye", "yes!", "y n", "yess", "no", "ja", " ", "1"]
        for text in yes + no + ["y\x04\x04"]:
            with self.subTest(text):
                self.start("--uploads", f"leftovers:2:{3 * DAY}")
                self.assertEqual(self.answer(text + "\n")[0], 0 if text in yes else 1)
                self.assertEqual(len(self.left()), 0 if text in yes else 2)

    def test_what_was_typed_ahead_is_no_answer(self):
        self.start("--uploads", f"leftovers:5:{3 * DAY}", "--page-cap", "1", "--latency-ms", "100")
        with Pty(*QUESTION, env=self.env) as terminal:
            terminal.type("y\nyes\n")
            terminal.read_until("[y/N/l]")
            time.sleep(0.3)
            self.assertIsNone(terminal.process.poll(), "it still asks")
            terminal.type("n\n")
            status, output = terminal.finish()
        self.assertEqual((status, len(self.left())), (1, 5), output)

    def test_no_part_of_a_whole_that_is_not_known(self):
        self.start("--uploads", f"leftovers:60:{3 * DAY}", "--page-cap", "10", "--latency-ms", "100")
        with Pty("--connections", "2", *SWEEP, env=self.env) as terminal:
            status, output = terminal.finish()
        self.assertEqual(status, 0)
        self.assertRegex(output, r"aborting: \d+ of \d+\+")
        self.assertNotRegex(output, r"%|\bleft\b|\[#|of \d+,")

    def test_times_are_utc_wherever_it_runs(self):
        self.start("--uploads", f"leftovers:2:{3 * DAY}")
        rows = {tuple(line.split("\t", 2)[2] for line in run(*LIST, env=dict(self.env, TZ=zone)).stdout.splitlines())
                for zone in ("UTC", "Asia/Shanghai", "UTC+12", "America/New_York")}
        self.assertEqual(len(rows), 1, rows)
        self.assertRegex(rows.pop()[0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\t3d 0h$")

    def test_the_terminal_obeys_no_text_of_the_service(self):
        for mark in ("\u061c", "\u200f", "\u202e", "\u009b2J", "\u2066"):
            body = f"<Error><Code>Odd</Code><Message>a{mark}b</Message></Error>"
            self.start("--uploads", f"leftovers:1:{3 * DAY}", "--fault", f"answer=400;body={body};always")
            for verb in (("obs://leftovers/key", "ID"), LIST, ("-vvv", *SWEEP), ("--json", *LIST)):
                done = run("--max-attempts", "1", *verb, env=self.env)
                self.assertNotIn(mark[0], done.stderr + done.stdout)

    def test_the_terminal_obeys_no_text_of_names_and_keys(self):
        """What the library hands over as it is, and what it never saw."""
        self.start()
        for mark in ("\u061c", "\u200f", "\u202e", "\u009b2J", "\u2066"):
            self.s3.initiate("leftovers", f"a{mark}b")
            for verb in (("--from", f"no{mark}list", "obs://leftovers"), (f"--x{mark}x",), LIST, ("--json", *LIST),
                         ("--credentials", f"file:no{mark}file", *LIST)):
                with self.subTest(mark=ascii(mark), verb=verb):
                    done = run(*verb, env=self.env)
                    self.assertRegex(done.stderr + done.stdout, r"a\\|no\\|x\\", "shown in another way")
                    self.assertNotIn(mark[0], done.stderr + done.stdout)

    def test_throttling_is_told(self):
        options = ("--uploads", f"leftovers:60:{3 * DAY}", "--fault", "answer=503;error=SlowDown;method=DELETE;times=20")
        self.start(*options)
        done = run(*SWEEP, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("60 aborted, 0 failed; throttled 20 times (", done.stderr)
        self.start(*options)
        self.assertEqual(self.objects(run("--json", *SWEEP, env=self.env))[1]["throttled"], 20)
        self.start(*options)
        self.assertIn("60 aborted, 0 failed; throttled 20 times (", self.answer("y\n")[1])
        self.start()
        self.assertEqual(self.objects(run("--json", *SWEEP, env=self.env))[1]["throttled"], 0)

    def test_throttling_shows_in_the_progress_line(self):
        self.start("--uploads", f"leftovers:200:{3 * DAY}", "--latency-ms", "20", "--rate", "40")
        with Pty(*SWEEP, env=self.env) as terminal:
            terminal.read_until(", throttled")
            status, output = terminal.finish()
        self.assertEqual(status, 0, output)
        self.assertRegex(output, r"aborting: \d+ of \d+\+(, \d+(\.\d)?/s)?, throttled")
        self.assertNotIn("warning: ", output)
