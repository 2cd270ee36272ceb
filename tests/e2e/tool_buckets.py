"""Several buckets at once: each is looked at, none stops the others, and the exit status tells of the worst."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import support
import tool_terminal
from proxy_servers import ScriptedProxy, answering
from tool_servers import DAY, HOUR, WithServer
from tool_terminal import Pty, run

FORBIDDEN = "answer=403;error=AccessDenied;query=uploads;bucket=bk-2;always"
THREE = ("obs://bk-1", "obs://bk-2", "obs://bk-3")
DRY_RUN, SWEEP, LIST = ("--stale", "24h", "--dry-run"), ("--stale", "24h", "--yes"), ("--list",)


class WithBuckets(WithServer):
    """bk-1 with 5 old uploads and 2 young ones, bk-2 with 7 old ones, bk-3 with 3 old ones."""

    options = ("--control", "--bucket", "bk-1", "--bucket", "bk-2", "--bucket", "bk-3",
               "--uploads", f"bk-1:5:{3 * DAY}:old/", "--uploads", f"bk-1:2:{2 * HOUR}:young/",
               "--uploads", f"bk-2:7:{2 * DAY}:db/", "--uploads", f"bk-3:3:{2 * DAY}:db/")

    def counts(self, *buckets):
        return [len(self.s3.list_uploads(bucket)) for bucket in buckets or ("bk-1", "bk-2", "bk-3")]

    def rows(self, output):
        """The lines of the table after its heading: counts, -1 for what is not known, and what stands last."""
        lines = output.splitlines()
        heading = [n for n, line in enumerate(lines) if line.split()[-1:] == ["bucket"] and line.startswith("  found")]
        self.assertEqual(len(heading), 1, output)
        counts = 4 if "kept" in lines[heading[0]] else 2
        size = r" +(?:[\d.]+ \w+\+?|-)" if "size" in lines[heading[0]] else ""
        pattern = rf"((?: +(?:\d+|-)){{{counts}}}){size}  (.*)"
        rows = [re.fullmatch(pattern, line.rstrip("\r")) for line in lines[heading[0] + 1:]]
        return [(tuple(-1 if cell == "-" else int(cell) for cell in row.group(1).split()), row.group(2)) for row in rows if row]

    def json_objects(self, done):
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(lines[-1]["type"], "summary")
        return ([line for line in lines if line["type"] == "upload"],
                [line for line in lines if line["type"] == "bucket"], lines[-1])


class Prefixes(WithBuckets):
    def test_a_prefix_after_the_bucket(self):
        done = run(*SWEEP, "obs://bk-1/old/00000", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("5 aborted, 0 failed", done.stderr)
        self.assertEqual(self.counts(), [2, 7, 3])
        listed = run("--list", "obs://bk-2/db/000003", env=self.env).stdout
        self.assertEqual([line.split("\t")[0] for line in listed.splitlines()], ["db/000003"])

    def test_places(self):
        done = run(*SWEEP, "obs://bk-1/young/", "obs://bk-2/db/000003", "obs://bk-2/db/000004", "obs://bk-3", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.rows(done.stderr),
                         [((2, 0, 2, 0), "obs://bk-1/young/"), ((1, 1, 0, 0), "obs://bk-2/db/000003"),
                          ((1, 1, 0, 0), "obs://bk-2/db/000004"), ((3, 3, 0, 0), "obs://bk-3"),
                          ((7, 5, 2, 0), re.search(r"4 buckets .*", done.stderr).group())])
        self.assertEqual(self.counts(), [7, 5, 0])

    def test_one_prefix_for_all(self):
        done = run(*LIST, "--prefix", "db/00000", *THREE, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([numbers[0] for numbers, _ in self.rows(done.stderr)], [0, 7, 3, 10])


class Several(WithBuckets):
    def test_each_is_swept(self):
        done = run(*SWEEP, *THREE, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.counts(), [2, 0, 0])
        self.assertEqual([row[0] for row in self.rows(done.stderr)], [(7, 5, 2, 0), (7, 7, 0, 0), (3, 3, 0, 0), (17, 15, 2, 0)])
        buckets = [line.split("\t")[1] for line in done.stdout.splitlines()]
        self.assertEqual(buckets, ["obs://bk-1"] * 5 + ["obs://bk-2"] * 7 + ["obs://bk-3"] * 3)

    def test_a_dry_run_and_a_list_change_nothing(self):
        for options, numbers in ((DRY_RUN, [(7, 5, 2, 0), (7, 7, 0, 0), (3, 3, 0, 0), (17, 15, 2, 0)]),
                                 (LIST, [(7, 0), (7, 0), (3, 0), (17, 0)])):
            done = run(*options, *THREE, env=self.env)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([row[0] for row in self.rows(done.stderr)], numbers)
            self.assertEqual(len(done.stdout.splitlines()), numbers[-1][0] - numbers[-1][-2] if options == DRY_RUN else 17)
            self.assertEqual(self.counts(), [7, 7, 3])

    def test_sizes(self):
        self.server.control(f"parts bk-1:old/:3:1048576:{3 * DAY}")
        self.server.control(f"parts bk-2:db/:2:1024:{2 * DAY}")
        self.server.control("fault answer=403;error=AccessDenied;method=GET;query=uploadId;key=db/000004;bucket=bk-2;always")
        for options, heading, rows in (
            (("--list", "--sizes"), "found failed size bucket",
             ["7 0 15.0 MiB obs://bk-1", "7 0 12.0 KiB+ obs://bk-2", "3 0 0 B obs://bk-3", "17 0 15.0 MiB+ 3 buckets"]),
            ((*SWEEP, "--idle", "24h"), "found aborted kept failed size bucket",
             ["7 5 2 0 15.0 MiB obs://bk-1", "7 6 1 0 12.0 KiB obs://bk-2: parts could not be read", "3 3 0 0 0 B obs://bk-3",
              "17 14 3 0 15.0 MiB 3 buckets, 1 of them not to the end"]),
        ):
            done = run(*options, "--max-attempts", "1", *THREE, env=self.env)
            lines = [" ".join(line.split()) for line in done.stderr.splitlines()]
            table = lines[lines.index(heading) + 1:]
            self.assertEqual([re.sub(r" \(.*", "", line) for line in table[:4]], rows, done.stderr)

    def test_lines_name_their_bucket_and_are_none_of_another(self):
        listed = run(*LIST, *THREE, env=self.env).stdout
        self.assertEqual({line.split("\t")[0] for line in listed.splitlines()}, set(THREE))
        done = run("--from", "-", "obs://bk-1", env=self.env, stdin=listed)
        self.assertEqual((done.returncode, self.counts()), (2, [7, 7, 3]), done.stderr)
        own = "".join(line.split("\t", 1)[1] + "\n" for line in listed.splitlines() if line.startswith("obs://bk-2\t"))
        done = run("--from", "-", "obs://bk-2", env=self.env, stdin=own)
        self.assertEqual((done.returncode, self.counts()), (0, [7, 0, 3]), done.stderr)

    def test_a_forbidden_one_does_not_stop_the_others(self):
        self.server.control("fault " + FORBIDDEN)
        done = run(*SWEEP, *THREE, env=self.env)
        self.assertEqual((done.returncode, self.counts("bk-1", "bk-3")), (1, [2, 0]), done.stderr)
        self.assertIn("obs-abort: obs://bk-2 was not looked at: access_denied", done.stderr)
        self.assertIn(((-1, -1, -1, -1), "obs://bk-2: access_denied"), self.rows(done.stderr))
        self.assertIn("3 buckets, 1 of them not to the end", done.stderr)
        self.server.control("clear-faults")
        self.assertEqual(self.counts(), [2, 7, 0])

    def test_failures_name_their_bucket(self):
        self.server.control("fault answer=403;error=AccessDenied;method=DELETE;bucket=bk-2;key=db/000004;always")
        done = run(*SWEEP, "--max-attempts", "1", *THREE, env=self.env)
        self.assertEqual((done.returncode, self.counts()), (1, [2, 1, 0]), done.stderr)
        self.assertIn("obs-abort: failed: obs://bk-2 db/000004 ", done.stderr)
        self.assertIn(((7, 6, 0, 1), "obs://bk-2"), self.rows(done.stderr))

    def test_json(self):
        self.server.control("fault " + FORBIDDEN)
        done = run(*SWEEP, "--json", *THREE, env=self.env)
        uploads, buckets, total = self.json_objects(done)
        self.assertEqual([(b["bucket"], b["aborted"], b["kept"], b["complete"], b["exit_status"]) for b in buckets],
                         [("bk-1", 5, 2, True, 0), ("bk-2", 0, 0, False, 1), ("bk-3", 3, 0, True, 0)])
        self.assertEqual(buckets[1]["code_name"], "access_denied")
        self.assertEqual([total[name] for name in ("bucket", "buckets", "total", "aborted", "kept", "complete", "code_name", "exit_status")],
                         [None, 3, 10, 8, 2, False, "access_denied", 1])
        self.assertEqual(len(uploads), 8)
        self.assertEqual((done.returncode, done.stderr), (1, ""))

    def test_quiet_names_only_what_is_wrong(self):
        self.server.control("fault " + FORBIDDEN)
        done = run(*SWEEP, "--quiet", *THREE, env=self.env)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual([name for _, name in self.rows(done.stderr)][0], "obs://bk-2: access_denied")
        self.assertNotIn("obs://bk-1", done.stderr)
        self.server.control("clear-faults")
        done = run(*SWEEP, "--quiet", *THREE, env=self.env)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_exit_status_if_none_could_be_reached(self):
        self.server.stop()
        done = run(*SWEEP, "--max-attempts", "1", *THREE, env=self.env)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual({numbers for numbers, _ in self.rows(done.stderr)}, {(-1, -1, -1, -1)})
        self.assertIn("3 buckets, 3 of them not to the end", done.stderr)

    def test_an_interrupt_stops_all(self):
        self.server.control("latency-ms 300")
        tool = subprocess.Popen([tool_terminal.tool_path(), *SWEEP, "--json", "--connections", "1", *THREE], env=self.env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        tool.send_signal(signal.SIGINT)
        stdout, stderr = tool.communicate(timeout=20)
        self.server.control("latency-ms 0")
        lines = [json.loads(line) for line in stdout.splitlines()]
        buckets = {line["bucket"]: line for line in lines if line["type"] == "bucket"}
        self.assertEqual(tool.returncode, 130, stderr)
        self.assertEqual([buckets[name]["complete"] for name in ("bk-1", "bk-2", "bk-3")], [False] * 3)
        self.assertEqual([buckets[name]["message"] for name in ("bk-2", "bk-3")], ["not looked at"] * 2)
        self.assertEqual((lines[-1]["interrupted"], lines[-1]["exit_status"]), (True, 130))
        self.assertEqual(self.counts("bk-2", "bk-3"), [7, 3])

    def test_an_interrupt_says_what_was_not_looked_at(self):
        self.server.control("latency-ms 300")
        tool = subprocess.Popen([tool_terminal.tool_path(), *SWEEP, "--connections", "1", *THREE], env=self.env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        tool.send_signal(signal.SIGINT)
        _, stderr = tool.communicate(timeout=20)
        names = [name for _, name in self.rows(stderr)]
        self.assertEqual(names[:3], ["obs://bk-1: interrupted", "obs://bk-2: not looked at", "obs://bk-3: not looked at"])
        self.assertEqual([row for row, _ in self.rows(stderr)][1:3], [(-1, -1, -1, -1)] * 2)

    def test_output_that_can_not_be_written_stops_all(self):
        with open("/dev/full", "w") as full:
            done = run(*SWEEP, "--connections", "1", *THREE, env=self.env, stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.counts("bk-2", "bk-3"), [7, 3])


class OneQuestion(WithBuckets):
    def setUp(self):
        super().setUp()
        self.env["NO_COLOR"] = "1"

    def answer(self, text, *options):
        with Pty(*options, "--stale", "24h", *THREE, env=self.env) as terminal:
            asked = terminal.read_until("[y/N")
            terminal.type(text)
            return asked, *terminal.finish()

    def test_yes(self):
        asked, status, output = self.answer("y\n")
        self.assertEqual((status, self.counts()), (0, [2, 0, 0]), output)
        self.assertRegex(asked, r"15 uploads begun before .* \(24 hours ago\), 0 B, in 3 buckets")
        for name, count in (("bk-1", 5), ("bk-2", 7), ("bk-3", 3)):
            self.assertRegex(asked, rf"obs://{name}: {count},")
        self.assertEqual(output.count("[y/N"), 1)
        self.assertEqual([row[0] for row in self.rows(output)], [(7, 5, 2, 0), (7, 7, 0, 0), (3, 3, 0, 0), (17, 15, 2, 0)])

    def test_no(self):
        _, status, output = self.answer("n\n")
        self.assertEqual((status, self.counts()), (1, [7, 7, 3]), output)
        self.assertIn("nothing was aborted", output)

    def test_what_comes_meanwhile_stays(self):
        with Pty("--stale", "24h", *THREE, env=self.env) as terminal:
            terminal.read_until("[y/N")
            self.server.control(f"uploads bk-2:2:{4 * DAY}:late/")
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual((status, self.counts()), (0, [2, 2, 0]), output)

    def test_a_forbidden_one_is_not_asked_about(self):
        self.server.control("fault " + FORBIDDEN)
        asked, status, output = self.answer("y\n")
        self.assertEqual((status, self.counts("bk-1", "bk-3")), (1, [2, 0]), output)
        self.assertRegex(asked, r"8 uploads begun before .* \(24 hours ago\), 0 B, in 2 buckets")
        self.assertIn("obs://bk-2 was not looked at: access_denied", asked)

    def test_nothing_to_ask_about(self):
        with Pty("--stale", "30d", *THREE, env=self.env) as terminal:
            status, output = terminal.finish()
        self.assertEqual(status, 0, output)
        self.assertNotIn("[y/N", output)

    def test_an_interrupt(self):
        for when in ("finding", "asking"):
            with self.subTest(when), Pty("--stale", "24h", *THREE, env=self.env) as terminal:
                if when == "asking":
                    terminal.read_until("[y/N")
                else:
                    self.server.control("latency-ms 400")
                    time.sleep(0.6)
                terminal.type("\x03")
                status, output = terminal.finish()
                self.server.control("latency-ms 0")
                self.assertEqual((status, self.counts()), (130, [7, 7, 3]), output)
                self.assertIn("nothing was aborted", output)


class Account(WithServer):
    """The buckets that the account's list has: bk-1 with 5 old uploads and 2 young ones, bk-2 with 7, other with 3."""

    options = ("--control", "--bucket", "bk-1", "--bucket", "bk-2", "--bucket", "other",
               "--uploads", f"bk-1:5:{3 * DAY}:old/", "--uploads", f"bk-1:2:{2 * HOUR}:young/",
               "--uploads", f"bk-2:7:{2 * DAY}:db/", "--uploads", f"other:3:{2 * DAY}:db/")
    counts, rows, json_objects = WithBuckets.counts, WithBuckets.rows, WithBuckets.json_objects

    def found(self):
        return self.counts("bk-1", "bk-2", "other")

    def test_all(self):
        done = run(*SWEEP, "--all-buckets", env=self.env)
        self.assertEqual((done.returncode, self.found()), (0, [2, 0, 0]), done.stderr)
        self.assertEqual(sorted(name for _, name in self.rows(done.stderr))[-4:],
                         ["obs://bk-1", "obs://bk-2", "obs://leftovers", "obs://other"])
        self.assertEqual(self.rows(done.stderr)[-1][0], (17, 15, 2, 0))

    def test_some(self):
        for globs, expected in ((["bk-*"], [2, 0, 3]), (["*-2", "oth?r"], [7, 0, 0]), (["[!b]*"], [7, 7, 0])):
            self.setUp()
            options = [word for glob in globs for word in ("--bucket-match", glob)]
            done = run(*SWEEP, *options, env=self.env)
            self.assertEqual((done.returncode, self.found()), (0, expected), done.stderr)

    def test_with_other_choices(self):
        done = run(*DRY_RUN, "--json", "--bucket-match", "bk-*", "--bucket-match", "none*", "--prefix", "db/", "--not", "**3",
                   env=self.env)
        _, buckets, total = self.json_objects(done)
        self.assertEqual([(b["bucket"], b["prefix"], b["found"]) for b in buckets], [("bk-1", "db/", 0), ("bk-2", "db/", 6)])
        self.assertEqual((total["found"], total["left_out"], total["buckets"], total["dry_run"]), (6, 1, 2, True))
        self.assertEqual(total["note"], "--bucket-match none* matches none of the buckets")

    def test_none_matches(self):
        for options in ((), ("--json",)):
            done = run(*SWEEP, "--bucket-match", "kb-*", *options, env=self.env)
            self.assertEqual((done.returncode, self.found()), (1, [7, 7, 3]))
            self.assertIn("no bucket of the account matches --bucket-match", done.stderr)
        total = json.loads(done.stdout)
        self.assertEqual([total[name] for name in ("type", "buckets", "complete", "code_name", "exit_status")],
                         ["summary", 0, False, "no_such_bucket", 1])

    def test_an_account_that_can_not_be_listed(self):
        for fault, says, status in (("answer=403;error=AccessDenied", "access_denied", 1), ("answer=200;body=<html>", "protocol", 1)):
            self.server.control("clear-faults")
            self.server.control(f"fault {fault};method=GET;target=/;always")
            done = run(*SWEEP, "--all-buckets", "--max-attempts", "1", env=self.env)
            self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
            self.assertIn(f"the buckets of the account could not be listed: {says}", done.stderr)
            done = run(*SWEEP, "--all-buckets", "--json", "--max-attempts", "1", env=self.env)
            total = json.loads(done.stdout)
            self.assertEqual((total["complete"], total["code_name"], total["exit_status"]), (False, says, status))
        self.server.control("clear-faults")
        self.assertEqual(self.found(), [7, 7, 3])
        self.server.stop()
        self.assertEqual(run(*SWEEP, "--all-buckets", "--max-attempts", "1", env=self.env).returncode, 3)

    def test_metrics_of_an_account_that_can_not_be_listed(self):
        self.server.control("fault answer=403;error=AccessDenied;method=GET;target=/;always")
        path = os.path.join(support.temp_dir(), "metrics.prom")
        self.assertEqual(run(*SWEEP, "--all-buckets", "--metrics", path, env=self.env).returncode, 1)
        with open(path) as file:
            text = file.read()
        self.assertRegex(text, r'(?m)^obs_abort_exit_status\{bucket="",prefix=""\} 1$')
        self.assertRegex(text, r'(?m)^obs_abort_last_success_timestamp_seconds\{.*\} 0$')

    def test_an_interrupt_while_it_is_listed_ends_at_once(self):
        self.server.control("fault silence;then=stall;method=GET;target=/;always")
        tool = subprocess.Popen([tool_terminal.tool_path(), *SWEEP, "--all-buckets"], env=self.env, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        tool.send_signal(signal.SIGINT)
        self.assertEqual(tool.wait(2), 130)

    def test_the_question_comes_once(self):
        with Pty("--stale", "24h", "--bucket-match", "bk-*", env=dict(self.env, NO_COLOR="1")) as terminal:
            asked = terminal.read_until("[y/N")
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual((status, self.found()), (0, [2, 0, 3]), output)
        self.assertRegex(asked, r"12 uploads begun before .* in 2 buckets")
        self.assertEqual(output.count("[y/N"), 1)


def relay(port, head):
    """What the server says to the request of a proxy's client."""
    method, target, rest = head.split(" ", 2)
    path = "/" + target.split("/", 3)[3]
    with socket.create_connection(("127.0.0.1", port)) as server:
        server.sendall(f"{method} {path} {rest[:-2]}Connection: close\r\n\r\n".encode("latin-1"))
        return b"".join(iter(lambda: server.recv(65536), b""))


class Regions(WithServer):
    """A service of two regions. Names of hosts lead to the right one through a proxy."""

    domain = "cloud.test"
    options = ("--control", "--domain", "obs.eu-101.cloud.test", "--bucket", "near:eu-101", "--bucket", "far:eu-102",
               "--bucket", "odd:EU 103", "--bucket", "trap-1:eu-102.evil.test", "--bucket", "trap-2:eu-102/..#", "--uploads", f"near:4:{2 * DAY}", "--uploads", f"odd:2:{2 * DAY}")

    def setUp(self):
        super().setUp()
        self.other = support.ObsLocal("--control", "--domain", "obs.eu-102.cloud.test", "--bucket", "far:eu-102", "--uploads",
                                      f"far:6:{2 * DAY}")
        self.addCleanup(self.other.stop)
        self.proxy = ScriptedProxy(self.pass_on)
        self.addCleanup(self.proxy.close)
        self.env = dict(self.env, OBS_ENDPOINT="http://obs.eu-101.cloud.test", NO_COLOR="1")
        del self.env["no_proxy"]
        self.env["http_proxy"] = self.env["https_proxy"] = self.proxy.url

    def pass_on(self, head):
        host = head.split(" ", 2)[1].split("/")[2]
        ports = {"eu-101": self.server.port, "eu-102": self.other.port}
        return relay(ports[re.search(r"obs\.(.*)\.cloud\.test$", host).group(1)], head)

    def hosts(self):
        return {re.search(r"(?i)\r\nhost: (\S+)", head).group(1) for head in self.proxy.heads}

    def left_there(self):
        return [int(self.server.control(f"upload-count {bucket}")) for bucket in ("near", "odd")] + [int(self.other.control("upload-count far"))]

    def test_each_through_its_endpoint(self):
        done = run(*SWEEP, "--bucket-match", "*ar", env=self.env)
        self.assertEqual((done.returncode, self.left_there()), (0, [0, 2, 0]), done.stderr)
        self.assertEqual(self.hosts(), {"obs.eu-101.cloud.test", "near.obs.eu-101.cloud.test", "far.obs.eu-102.cloud.test"})

    def test_a_region_that_makes_no_endpoint(self):
        done = run(*SWEEP, "--all-buckets", env=self.env)
        self.assertEqual((done.returncode, self.left_there()), (1, [0, 2, 0]), done.stderr)
        self.assertIn("obs-abort: obs://odd: skipped, as no endpoint is known for its region, EU 103", done.stderr)
        self.assertIn("6 buckets, 3 of them not to the end", done.stderr)
        self.assertEqual({re.sub(r"^\w+\.obs", "obs", host) for host in self.hosts()}, {"obs.eu-101.cloud.test", "obs.eu-102.cloud.test"},
                         "no name in the list leads to another service")
        done = run(*LIST, "--json", "--all-buckets", env=self.env)
        buckets = [json.loads(line) for line in done.stdout.splitlines() if '"bucket"' in line]
        odd = [bucket for bucket in buckets if bucket["type"] == "bucket" and bucket["bucket"] == "odd"][0]
        self.assertEqual((odd["complete"], odd["code_name"], odd["exit_status"]), (False, "invalid_config", 1))

    def test_a_region_that_is_not_reached(self):
        self.other.stop()
        self.proxy.answer = lambda head: answering("502 Bad Gateway") if "eu-102" in head else self.pass_on(head)
        done = run(*SWEEP, "--max-attempts", "1", "--bucket-match", "*ar", env=self.env)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(int(self.server.control("upload-count near")), 0)
        self.assertIn("obs://far was not looked at", done.stderr)

    def test_an_endpoint_that_names_no_region_is_that_of_all(self):
        env = dict(self.env, OBS_ENDPOINT=self.server.endpoint, no_proxy="*")
        self.server.control(f"uploads far:1:{2 * DAY}")
        done = run(*SWEEP, "--all-buckets", env=env)
        self.assertEqual((done.returncode, self.left_there()), (0, [0, 0, 6]), done.stderr)
        self.assertEqual(int(self.server.control("upload-count far")), 0)

    def test_the_endpoint_of_all_regions(self):
        """Whose hosts can't be played here: it is enough that they are asked for."""
        listing = ("<ListAllMyBucketsResult><Owner><ID>i</ID></Owner><Buckets><Bucket><Name>near</Name><CreationDate>"
                   "2020-01-01T00:00:00.000Z</CreationDate><Location>cn-north-4</Location></Bucket></Buckets>"
                   "</ListAllMyBucketsResult>").encode()
        page = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(listing) + listing
        self.proxy.answer = lambda head: answering("403 Forbidden") if head.startswith("CONNECT") else page
        for scheme in ("http://", "http://obs.cn-south-1."):
            self.proxy.heads.clear()
            endpoint = scheme + ("myhuaweicloud.com" if scheme[-1] == "." else "obs.myhuaweicloud.com")
            done = run(*LIST, "--all-buckets", "--max-attempts", "1", env=dict(self.env, OBS_ENDPOINT=endpoint))
            self.assertNotEqual(done.returncode, 0)
            near = "CONNECT near.obs.cn-north-4.myhuaweicloud.com:443" if scheme == "http://" else \
                "GET http://near.obs.cn-north-4.myhuaweicloud.com/"
            self.assertTrue(self.proxy.targets()[-1].startswith(near), self.proxy.targets())
