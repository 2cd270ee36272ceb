"""What obs-abort leaves behind: the record of --log, the figures of --metrics, and what the journal is told."""

import json
import os
import re
import resource
import signal
import stat
import subprocess
import time
import unittest

import support
import tool_terminal
from tool_servers import DAY, WithListener, WithServer
from tool_terminal import Pty, environment, not_on_windows, run, tool_path

SWEEP = ("--stale", "24h", "--yes", "obs://leftovers")
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"


def objects_of(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class WithFolder(WithServer):
    def setUp(self):
        super().setUp()
        self.folder = support.temp_dir()
        self.log = os.path.join(self.folder, "log.jsonl")
        self.metrics = os.path.join(self.folder, "obs-abort.prom")

    def stale(self, count, prefix="old/"):
        self.server.control(f"uploads leftovers:{count}:{2 * DAY}:{prefix}")

    def logged(self, *types):
        """The lines of the log, which must have these types; `upload` stands for any number of them."""
        lines = objects_of(self.log)
        kinds = [line["type"] for line in lines]
        squeezed = [kind for kind, before in zip(kinds, [None] + kinds) if kind != "upload" or before != "upload"]
        self.assertEqual(squeezed, list(types))
        return [line for line in lines if line["type"] == "upload"], lines[-1]

    def gone(self, upload):
        return self.server.control(f"was-aborted {upload['upload_id']}") == "true"


class Log(WithFolder):
    options = ("--control",)

    def test_a_sweep(self):
        self.stale(3)
        self.s3.initiate("leftovers", "young")
        done = run("--log", self.log, "--json", *SWEEP, env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(objects_of(self.log)[1:], [json.loads(line) for line in done.stdout.splitlines()],
                         "the lines of --json")
        begin = objects_of(self.log)[0]
        self.assertRegex(begin.pop("time"), TIME)
        self.assertRegex(begin.pop("version"), r"^\d+\.\d+\.\d+$")
        self.assertEqual(begin, {"type": "begin", "program": "obs-abort", "mode": "stale", "bucket": "leftovers",
                                 "prefix": None, "stale": "24h", "idle": None, "from": None, "dry_run": False})
        uploads, summary = self.logged("begin", "upload", "summary")
        self.assertEqual([upload["result"] for upload in uploads], ["aborted"] * 3)
        self.assertEqual((summary["aborted"], summary["kept"], summary["exit_status"]), (3, 1, 0))

    def test_it_is_appended_to(self):
        for count in (2, 1):
            self.stale(count)
            self.assertEqual(run("--log", self.log, *SWEEP, env=self.env).returncode, 0)
        uploads, summary = self.logged("begin", "upload", "summary", "begin", "upload", "summary")
        self.assertEqual((len(uploads), summary["aborted"]), (3, 1))

    def test_after_half_a_line(self):
        with open(self.log, "w") as file:
            file.write('{"type":"upl')
        self.assertEqual(run("--log", self.log, "--list", "obs://leftovers", env=self.env).returncode, 0)
        with open(self.log) as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[0], '{"type":"upl')
        self.assertEqual([json.loads(line)["type"] for line in lines[1:]], ["begin", "summary"])

    def test_every_verb(self):
        self.stale(2)
        listed = run("--log", self.log, "--list", "obs://leftovers", env=self.env)
        self.assertEqual(len(listed.stdout.splitlines()), 2)
        run("--log", self.log, "--stale", "24h", "--dry-run", "obs://leftovers", env=self.env)
        run("--log", self.log, "--from", "-", "obs://leftovers", env=self.env, stdin=listed.stdout)
        run("--log", self.log, "obs://leftovers/old/000000", "NO-SUCH-ID", env=self.env)
        uploads, _ = self.logged(*("begin", "upload", "summary") * 4)
        self.assertEqual([upload["result"] for upload in uploads],
                         ["found"] * 2 + ["would_abort"] * 2 + ["aborted"] * 2 + ["missing"])
        begun = [line for line in objects_of(self.log) if line["type"] == "begin"]
        self.assertEqual([line["mode"] for line in begun], ["list", "stale", "from", "one"])
        self.assertEqual([line["dry_run"] for line in begun], [True, True, False, False])

    def test_failures(self):
        self.stale(2)
        env = dict(self.env, **{tool_terminal.SECRET: "wrong"})
        upload = self.left()[0]
        done = run("--log", self.log, f"obs://leftovers/{upload.key}", upload.upload_id, env=env)
        self.assertEqual(done.returncode, 1)
        (failed,), summary = self.logged("begin", "upload", "summary")
        self.assertEqual((failed["result"], failed["code_name"], failed["http_status"]), ("failed", "access_denied", 403))
        self.assertEqual((summary["failed"], summary["exit_status"]), (1, 1))

    def test_each_attempt_and_what_stays_listed(self):
        self.stale(1)
        self.server.control("fault answer=204;method=DELETE;always")
        done = run("--log", self.log, *SWEEP, env=self.env)
        self.assertEqual(done.returncode, 1, done.stderr)
        uploads, summary = self.logged("begin", "upload", "summary")
        self.assertEqual(uploads[-1]["code_name"], "still_listed")
        self.assertEqual({upload["result"] for upload in uploads[:-1]}, {"aborted"})
        self.assertEqual((summary["aborted"], summary["failed"]), (0, 1))

    def test_what_could_not_start(self):
        done = run("--log", self.log, *SWEEP, env=environment(OBS_ENDPOINT=self.server.endpoint))
        self.assertEqual(done.returncode, 3)
        uploads, summary = self.logged("begin", "summary")
        self.assertEqual((summary["exit_status"], summary["complete"]), (3, False))
        self.assertIn(summary["message"], done.stderr)

    def test_what_is_kept_as_active(self):
        """Of these only the library's log tells. Its quotes are not those of JSON."""
        keys = ["plain", 'quo"te', "back\\slash", "line\nbreak", "\u202eleft", "钥匙 🗝", "it's", "\x7f", '": kept as active: "']
        ids = {key: self.s3.initiate("leftovers", key) for key in keys}
        self.server.control("clock-offset-s 172800")
        self.s3.clock_offset = 172800
        for key, upload_id in ids.items():
            self.s3.upload_part("leftovers", key, upload_id, 1, b"part")
        self.s3.initiate("leftovers", "young")
        for options in ((), ("-v",), ("-vvv",)):
            done = run("--log", self.log, *options, *SWEEP, env=self.env)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual("kept as active: its" in done.stderr, options == ("-vvv",))
            uploads, summary = self.logged("begin", "upload", "summary")
            self.assertEqual({upload["key"]: upload["upload_id"] for upload in uploads}, ids)
            for upload in uploads:
                self.assertEqual((upload["result"], upload["bucket"]), ("kept", "leftovers"))
                self.assertRegex(upload["message"], "^kept as active: its last part came ")
            self.assertEqual((summary["aborted"], summary["active"], summary["younger"]), (0, len(keys), 1))
            os.remove(self.log)

    def test_hard_keys(self):
        keys = ["two words", 'quo"te', "line\nbreak", "\u202eleft", "钥匙 🗝"]
        for key in keys:
            self.s3.initiate("leftovers", key)
        run("--log", self.log, "--list", "obs://leftovers", env=self.env)
        uploads, _ = self.logged("begin", "upload", "summary")
        self.assertEqual(sorted(upload["key"] for upload in uploads), sorted(keys))

    def test_of_several_buckets(self):
        self.server.control("bucket more")
        self.stale(1)
        self.server.control(f"uploads more:2:{2 * DAY}:old/")
        done = run("--log", self.log, *SWEEP, "obs://more", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        uploads, summary = self.logged("begin", "upload", "bucket", "upload", "bucket", "summary")
        self.assertEqual([upload["bucket"] for upload in uploads], ["leftovers", "more", "more"])
        self.assertEqual((summary["bucket"], summary["aborted"], summary["complete"]), (None, 3, True))

    @not_on_windows
    def test_of_the_question(self):
        self.stale(2)
        for answer, expected in (("n\n", []), ("y\n", ["aborted"] * 2)):
            with Pty("--log", self.log, "--stale", "24h", "obs://leftovers", env=self.env) as terminal:
                terminal.read_until("[y/N")
                self.assertEqual([line["type"] for line in objects_of(self.log)][-1], "begin")
                terminal.type(answer)
                terminal.finish()
            lines = objects_of(self.log)
            self.assertEqual(lines[-1]["type"], "summary")
            self.assertEqual([line["result"] for line in lines if line["type"] == "upload"], expected)

    @not_on_windows
    def test_a_killed_program_leaves_what_it_did(self):
        self.stale(300)
        self.server.control("latency-ms 20")
        process = subprocess.Popen([tool_path(), "--log", self.log, "--connections", "2", *SWEEP], env=self.env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 10
        while not os.path.exists(self.log) or os.path.getsize(self.log) < 10000:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        process.kill()
        process.wait()
        self.server.control("latency-ms 0")
        uploads, _ = self.logged("begin", "upload")
        self.assertGreater(len(uploads), 10)
        for upload in uploads:
            self.assertEqual((upload["result"], self.gone(upload)), ("aborted", True))
        gone = 300 - len(self.left())
        self.assertLess(gone, 300, "it was killed before the end")
        self.assertLessEqual(gone - len(uploads), 8, "only what was on its way is not in it")

    @not_on_windows
    def test_a_full_disk_ends_the_sweep(self):
        self.stale(300)
        self.server.control("latency-ms 10")  # so that few uploads end before the failure is seen
        limit = 20000
        done = subprocess.run(
            [tool_path(), "--log", self.log, "--connections", "2", *SWEEP], env=self.env, capture_output=True, text=True,
            timeout=30, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stderr.count(f"--log {self.log}: File too large; nothing more is begun"), 1, done.stderr)
        self.assertEqual(os.path.getsize(self.log), limit)
        with open(self.log) as file:
            logged = file.read().count('"aborted"')
        gone = 300 - len(self.left())
        self.assertGreater(logged, 20)
        self.assertLess(gone - logged, 8, "what was under way still ended")


    @not_on_windows
    def test_a_result_that_can_not_be_written(self):
        """The record and the figures have the exit status that the program ends with."""
        self.server.control("bucket more")
        metrics = ("--metrics", os.path.join(self.folder, "prom"))
        for options in (("--json", "-q", *SWEEP), ("--json", "-q", *SWEEP, "obs://more"), ("--list", "--totals", "obs://leftovers")):
            with self.subTest(options), open("/dev/full", "w") as full:
                self.stale(2)
                done = run("--log", self.log, *metrics, *options, env=self.env, stdout=full)
                self.assertEqual(done.returncode, 1, done.stderr)
                ends = [line for line in objects_of(self.log) if line["type"] in ("bucket", "summary")]
                self.assertEqual({line["exit_status"] for line in ends}, {1}, ends)
                with open(metrics[1]) as file:
                    figures = re.findall(r'exit_status\{bucket="(\w+)",prefix=""\} (\d+)', file.read())
                self.assertEqual({status for _, status in figures}, {"1"})
                os.remove(self.log)


class LogRefused(WithListener):
    def refused(self, path, says):
        with self.subTest(path):
            done = run("--log", path, *SWEEP, env=self.env)
            self.assertEqual((done.returncode, done.stdout), (3, ""), done.stderr)
            self.assertEqual(done.stderr, f"obs-abort: --log {path}: {says}\n")
            self.assertEqual(self.listener.connections(), 0)

    @not_on_windows
    def test_what_cannot_be_written(self):
        folder = support.temp_dir()
        self.refused(f"{folder}/no/such", "No such file or directory")
        self.refused(folder, "Is a directory")
        self.refused("/dev/full", "No space left on device")

    def test_it_takes_a_file(self):
        for option in ("--log", "--metrics"):
            done = run(option, "-", *SWEEP, env=self.env)
            self.assertEqual(self.listener.connections(), 0)
            self.assertEqual(done.returncode, 2)
            self.assertIn("take a file", done.stderr)
            self.assertFalse(os.path.exists("-"))


SAMPLE = re.compile(r'^(obs_abort_\w+)\{bucket="([^"]*)",prefix="((?:[^"\\]|\\.)*)"(?:,\w+="(\w+)")?\} ([0-9.]+)$')


class Metrics(WithFolder):
    options = ("--control",)

    def tool(self, *arguments, env=None, **options):
        return run("--metrics", self.metrics, *arguments, env=env or self.env, **options)

    def samples(self):
        """{(name, value of its own label): value} of each bucket and prefix; the file as promtool wants it."""
        support.need(("promtool",), "prometheus")
        with open(self.metrics, encoding="utf-8") as file:
            text = file.read()
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))
        found = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, bucket, prefix, label, value = SAMPLE.match(line).groups()
                found.setdefault((bucket, prefix), {})[name.replace("obs_abort_", ""), label] = float(value)
        return found

    def only(self):
        (samples,) = self.samples().values()
        return samples

    def test_a_sweep(self):
        self.stale(3)
        self.s3.initiate("leftovers", "young")
        before = int(time.time())
        self.assertEqual(self.tool(*SWEEP).returncode, 0)
        self.assertEqual(list(self.samples()), [("leftovers", "")])
        samples = self.only()
        for name in ("last_run_timestamp_seconds", "last_success_timestamp_seconds"):
            self.assertTrue(before <= samples.pop((name, None)) <= time.time(), name)
        self.assertLess(samples.pop(("duration_seconds", None)), 10)
        uploads = {label: value for (name, label), value in samples.items() if name == "uploads"}
        self.assertEqual(uploads, {"aborted": 3, "found": 0, "missing": 0, "failed": 0, "kept": 1})
        kept = {label: value for (name, label), value in samples.items() if name == "kept_uploads"}
        self.assertEqual(kept, {"active": 0, "younger": 1, "unknown_age": 0, "other": 0})
        self.assertEqual((samples["complete", None], samples["exit_status", None]), (1, 0))
        self.assertEqual(samples["throttled_responses", None], 0)

    def test_bytes(self):
        upload_id = self.s3.initiate("leftovers", "key")
        for number, size in (1, 1000), (2, 234):
            self.s3.upload_part("leftovers", "key", upload_id, number, b"x" * size)
        self.server.control("clock-offset-s 172800")
        self.tool("--stale", "24h", "--dry-run", "obs://leftovers")
        self.assertEqual((self.only()["found_bytes", None], self.only()["freed_bytes", None]), (1234, 0))
        self.tool(*SWEEP)
        self.assertEqual((self.only()["found_bytes", None], self.only()["freed_bytes", None]), (0, 1234))

    def test_a_list(self):
        self.stale(2)
        self.tool("--list", "obs://leftovers")
        self.assertEqual((self.only()["uploads", "found"], self.only()["uploads", "aborted"]), (2, 0))

    def test_failures_keep_the_last_success(self):
        self.stale(1)
        self.tool(*SWEEP)
        success = self.only()["last_success_timestamp_seconds", None]
        self.stale(1)
        time.sleep(1.1)
        denied = dict(self.env, **{tool_terminal.SECRET: "wrong"})
        nowhere = dict(self.env, OBS_ENDPOINT=None)
        nowhere.pop("OBS_ENDPOINT")
        for env, options, status in ((denied, SWEEP, 1), (nowhere, SWEEP, 3),
                                     (self.env, ("--from", "/no/such/file", "obs://leftovers"), 3),
                                     (self.env, ("--dry-run", "--list", "obs://leftovers"), 2),
                                     (self.env, ("--stale", "24h", "obs://leftovers"), 2)):
            with self.subTest(status=status, options=options):
                done = self.tool(*options, env=env)
                self.assertEqual(done.returncode, status, done.stderr)
                samples = self.only()
                self.assertEqual((samples["exit_status", None], samples["complete", None]), (status, 0))
                self.assertEqual(samples["last_success_timestamp_seconds", None], success)
                self.assertGreater(samples["last_run_timestamp_seconds", None], success)
                self.assertEqual(samples["uploads", "aborted"], 0)

    def test_no_success_yet(self):
        self.tool(*SWEEP, env=dict(self.env, **{tool_terminal.SECRET: "wrong"}))
        self.assertEqual(self.only()["last_success_timestamp_seconds", None], 0)

    def test_labels(self):
        for prefix in ('quo"te', "back\\slash", "line\nbreak", "钥匙 🗝", "\\\"\n"):
            with self.subTest(prefix):
                self.tool("--list", "--prefix", prefix, "obs://leftovers")
                [(bucket, shown)] = self.samples()
                self.assertEqual((bucket, re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), shown)),
                                 ("leftovers", prefix))
                before = self.only()["last_success_timestamp_seconds", None]
                self.tool("--list", "--prefix", prefix, "obs://leftovers", env=dict(self.env, OBS_ACCESS_KEY_ID="x"))
                self.assertEqual(self.only()["last_success_timestamp_seconds", None], before)

    def test_the_success_of_another_bucket_is_not_taken(self):
        self.tool("--list", "obs://leftovers")
        self.tool("--list", "obs://no-such-bucket")
        self.assertEqual(list(self.samples()), [("no-such-bucket", "")])
        self.assertEqual(self.only()["last_success_timestamp_seconds", None], 0)

    def test_several_buckets(self):
        self.server.control("bucket more")
        self.stale(1)
        self.server.control(f"uploads more:2:{2 * DAY}:old/")
        done = self.tool(*SWEEP, "obs://more", "obs://no-such-bucket")
        samples = self.samples()
        self.assertEqual({bucket: values["uploads", "aborted"] for (bucket, _), values in samples.items()},
                         {"leftovers": 1, "more": 2, "no-such-bucket": 0}, done.stderr)
        statuses = {bucket: values["exit_status", None] for (bucket, _), values in samples.items()}
        self.assertEqual(statuses, {"leftovers": 0, "more": 0, "no-such-bucket": 1})

    def test_a_run_that_does_not_come_to_its_buckets(self):
        """It has failed for all buckets that the file knows of. None of them loses its last success."""
        self.server.control("bucket more")
        every = ("--list", "--all-buckets")
        self.assertEqual(self.tool(*every).returncode, 0)
        success = self.samples()["more", ""]["last_success_timestamp_seconds", None]
        time.sleep(1.1)
        denied = dict(self.env, **{tool_terminal.SECRET: "wrong"})
        for arguments, env, status in ((every, denied, 1), (every, environment(), 3), (("--stale", "7", *every), None, 2)):
            with self.subTest(arguments, status=status):
                done = self.tool(*arguments, env=env)
                self.assertEqual(done.returncode, status, done.stderr)
                samples = self.samples()
                self.assertEqual(sorted(samples), [("", ""), ("leftovers", ""), ("more", "")])
                for (bucket, _), values in samples.items():
                    self.assertEqual((values["exit_status", None], values["complete", None]), (status, 0), bucket)
                    self.assertEqual(values["last_success_timestamp_seconds", None], success if bucket else 0)
        self.tool(*every)
        self.assertEqual(sorted(self.samples()), [("leftovers", ""), ("more", "")])

    @not_on_windows
    def test_it_is_replaced_as_a_whole(self):
        with open(self.metrics, "w") as file:
            file.write("before\n")
        os.chmod(self.metrics, 0o600)
        with open(self.metrics) as before:
            subprocess.run([tool_path(), "--metrics", self.metrics, "--list", "obs://leftovers"], env=self.env,
                           capture_output=True, check=True, preexec_fn=lambda: os.umask(0o077))
            self.assertEqual(before.read(), "before\n", "who has it open reads on in the file of before")
        self.assertEqual(stat.S_IMODE(os.stat(self.metrics).st_mode), 0o644)
        self.assertEqual(os.listdir(self.folder), ["obs-abort.prom"])

    @not_on_windows
    def test_a_folder_that_cannot_be_written_is_found_first(self):
        self.stale(1)
        self.metrics = os.path.join(self.folder, "no", "such.prom")
        done = self.tool(*SWEEP)
        self.assertEqual(done.returncode, 3)
        self.assertIn(f"--metrics {self.metrics}: No such file or directory", done.stderr)
        self.assertEqual(len(self.left()), 1)

    def refused(self, *options, says):
        done = self.tool(*options, *SWEEP)
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertEqual(done.stderr, f"obs-abort: --metrics {self.metrics}: {says}\n")
        self.assertEqual(len(self.left()), 1)

    @not_on_windows
    def test_nothing_but_a_file_is_replaced(self):
        """A rename would take the place of /dev/null, too, if root asks for it."""
        self.stale(1)
        fifo, link = os.path.join(self.folder, "fifo"), os.path.join(self.folder, "link")
        os.mkfifo(fifo)
        os.symlink("/dev/null", link)
        for path in (self.folder, self.folder + "/", fifo, link):
            with self.subTest(path):
                self.metrics = path
                before = os.lstat(path)
                self.refused(says="not a regular file, in whose place figures could be put")
                done = self.tool("--stale", "7", "obs://leftovers")  # not so if the usage is wrong, either
                self.assertEqual((done.returncode, os.lstat(path).st_ino), (2, before.st_ino), done.stderr)
                self.assertEqual(sorted(os.listdir(self.folder)), ["fifo", "link"])

    def test_the_log_is_not_replaced(self):
        self.stale(1)
        self.log = os.path.join(self.folder, ".", "obs-abort.prom")
        for _ in range(2):
            self.refused("--log", self.log, says="it is the file of --log")
        self.tool("--log", self.log, "--no-such-option")
        self.logged(*("begin", "summary") * 2)

    @not_on_windows
    def test_a_disk_that_is_full_in_the_end(self):
        self.stale(1)
        done = subprocess.run([tool_path(), "--metrics", self.metrics, *SWEEP], env=self.env, capture_output=True,
                              text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"--metrics {self.metrics}: File too large", done.stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_help_writes_none(self):
        self.tool("--help")
        self.assertEqual(os.listdir(self.folder), [])


class QuietJson(WithFolder):
    """--json --quiet: the summary alone."""

    options = ("--control",)

    def test_success(self):
        for options, name in ((("--list", "obs://leftovers"), "found"), (SWEEP, "aborted")):
            self.stale(2)
            found = len(self.left())
            done = run("--json", "-q", *options, env=self.env)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            uploads, summary = self.objects(done)
            self.assertEqual((uploads, summary[name]), ([], found))

    def test_failures_go_to_standard_error(self):
        self.stale(3)
        self.server.control("fault answer=403;error=AccessDenied;method=DELETE;always")
        done = run("--json", "-q", *SWEEP, env=self.env)
        uploads, summary = self.objects(done)
        self.assertEqual((done.returncode, uploads, summary["failed"]), (1, [], 3))
        self.assertEqual(len(re.findall("^obs-abort: failed: old/.*access_denied", done.stderr, re.M)), 3)

    def test_in_a_list(self):
        self.stale(2)
        lines = run("--list", "obs://leftovers", env=self.env).stdout
        done = run("--json", "-q", "--from", "-", "obs://leftovers", env=self.env, stdin=lines + "x\t" + "i" * 2000 + "\n")
        uploads, summary = self.objects(done)
        self.assertEqual((uploads, summary["aborted"], summary["failed"]), ([], 2, 1))
        self.assertIn("obs-abort: failed: x ", done.stderr)


@not_on_windows
class Journal(WithFolder):
    """Started by systemd: the lines of standard error have priorities."""

    options = ("--control",)

    def told(self, *arguments, named=None, env=None):
        """Standard error, which is a file; JOURNAL_STREAM names it unless said."""
        path = os.path.join(self.folder, "stderr")
        with open(path, "w") as file:
            status = os.fstat(file.fileno())
            stream = named or f"{status.st_dev}:{status.st_ino}"
            subprocess.run([tool_path(), *arguments], env=dict(env or self.env, JOURNAL_STREAM=stream), stderr=file,
                           stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=30)
        with open(path) as file:
            return file.read().splitlines()

    def test_priorities(self):
        self.stale(2)
        self.assertRegex(self.told("--list", "obs://leftovers")[-1], "^<6>obs-abort: 2 unfinished")
        self.assertRegex(self.told("obs://leftovers/key", "NONE", "-q")[-1], "^<4>obs-abort: no such upload")
        self.server.control("fault answer=403;error=AccessDenied;method=DELETE;always")
        lines = self.told(*SWEEP)
        self.assertEqual([line[:21] for line in lines[:2]], ["<3>obs-abort: failed:"] * 2)
        self.assertRegex(lines[-1], "^<4>obs-abort: 0 aborted, 2 failed")
        self.assertRegex(self.told("--nonsense")[0], "^<3>obs-abort: no such option")
        log = {line.split(": ")[0] for line in self.told("-vvv", *SWEEP) if "obs-abort: " not in line[:14]}
        self.assertEqual(log, {"<3>error", "<7>debug"})
        self.server.control("clear-faults")
        log = {line.split(": ")[0] for line in self.told("-vvv", *SWEEP) if "obs-abort: " not in line[:14]}
        self.assertEqual(log, {"<6>info", "<7>debug"})

    def test_each_line_has_one(self):
        self.stale(2)
        for arguments in (SWEEP, ("-vvv", "--list", "obs://leftovers"), ("--list", "obs://no-such-bucket")):
            lines = self.told(*arguments)
            self.assertTrue(lines)
            self.assertEqual([line for line in lines if not re.match("<[3467]>", line)], [])

    def test_none_elsewhere(self):
        """A program that systemd started redirects the output of this one, and its environment tells of the journal."""
        for named in ("1:1", "", "x", "0:0"):
            self.assertNotIn("<", self.told("--list", "obs://no-such-bucket", named=named or " ")[0])
        self.assertNotIn("<", run("--list", "obs://no-such-bucket", env=self.env).stderr)


TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/obs-abort")


@not_on_windows
class Units(WithFolder):
    """The units as they are installed. No systemd runs here: the service's command is run as systemd would."""

    options = ("--control",)

    def setUp(self):
        super().setUp()
        self.prefix = os.path.join(self.folder, "usr")
        support.run(["make", "-C", TOOL, "install", f"PREFIX={self.prefix}", "DESTDIR="])
        self.units = os.path.join(self.prefix, "lib/systemd/system")
        self.service = os.path.join(self.units, "obs-abort@.service")

    def command(self, **settings):
        """The words of the service's command for the bucket leftovers: ${X} is one word, $X any number."""
        with open(self.service) as file:
            lines = dict(line.split("=", 1) for line in file.read().splitlines() if re.match(r"(ExecStart|Environment)=", line))
        env = dict([lines["Environment"].split("=", 1)], CREDENTIALS_DIRECTORY=self.folder, LOGS_DIRECTORY=self.folder,
                   **settings)
        words = []
        for word in lines["ExecStart"].replace("%i", "leftovers").split():
            if re.fullmatch(r"\$\w+", word):
                words += env.get(word[1:], "").split()
            else:
                words.append(re.sub(r"\$\{(\w+)\}", lambda found: env[found[1]], word))
        return words

    def keys(self):
        with open(os.path.join(self.folder, "keys"), "w") as file:
            file.write(f"OBS_ACCESS_KEY_ID={self.server.access_key}\nOBS_SECRET_ACCESS_KEY={self.server.secret_key}\n")
        os.chmod(file.name, 0o400)
        return environment(OBS_ENDPOINT=self.server.endpoint, LD_LIBRARY_PATH=support.temp_dir_with_library())

    def test_systemd_takes_them(self):
        support.need(("systemd-analyze",), "systemd")
        done = support.run(["systemd-analyze", "verify", "--man=no", self.service, os.path.join(self.units, "obs-abort@.timer")])
        self.assertEqual(done.stdout + done.stderr, "")
        support.run(["systemd-analyze", "security", "--offline=yes", "--threshold=15", self.service])

    def test_the_service(self):
        env = self.keys()
        self.server.control(f"uploads leftovers:2:{8 * DAY}:old/")
        self.server.control(f"uploads leftovers:1:{6 * DAY}:young/")
        self.log = os.path.join(self.folder, "leftovers.jsonl")
        done = support.run(self.command(), env=env)
        self.assertEqual((done.stdout, done.stderr), ("", ""))
        uploads, summary = self.logged("begin", "upload", "summary")
        self.assertEqual([upload["result"] for upload in uploads], ["aborted"] * 2)
        self.assertEqual(summary["kept"], 1)
        support.run(self.command(STALE="5d", OPTIONS=f"--metrics {self.metrics} --max-attempts 2"), env=env)
        self.assertEqual(self.left(), [])
        self.assertTrue(os.path.exists(self.metrics))

    def test_no_system_call_that_it_makes_is_forbidden(self):
        support.need(("strace", "systemd-analyze"), "strace systemd")
        trace = os.path.join(self.folder, "trace")
        env = self.keys()
        env["OBS_ENDPOINT"] = env["OBS_ENDPOINT"].replace("127.0.0.1", "localhost")
        self.server.control(f"uploads leftovers:50:{8 * DAY}:old/")
        support.run(["strace", "-f", "-qq", "-o", trace,
                     *self.command(OPTIONS=f"--metrics {self.metrics} --addressing path")], env=env)
        self.assertEqual(self.left(), [])
        with open(trace) as file:
            made = set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)", file.read(), re.M))
        self.assertIn("unlink", made)
        # The first call is the one that starts the program.
        self.assertEqual(made - self.calls("@system-service") - {"execve"}, set())
        self.assertEqual(made & self.calls("@privileged", "@resources"), set())

    @staticmethod
    def calls(*sets):
        """The system calls of sets, and of the sets in these."""
        found, left = set(), list(sets)
        while left:
            text = support.run(["systemd-analyze", "syscall-filter", left.pop()]).stdout
            words = {line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("#")}
            left += [word for word in words if word.startswith("@") and word not in found]
            found |= words
        return found
