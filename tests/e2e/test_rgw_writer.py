"""A backup that is being written survives a sweep, on a real server, Ceph RGW, and in every way that a sweep can be asked for.

A writer's first parts came three hours ago, as did the 2500 uploads around it, which go; it goes on while they do.
"""

import json
import os
import threading
import time
import unittest

import rgw_old
import s3client
import support
import sweeps
from rgw_old import HOUR, part_of
from tool_terminal import Pty

ROUNDS, OLD = 50, 2500


def setUpModule():
    rgw_old.Case.server = rgw_old.OldRgw(["backups", "lost", "dry"])


def tearDownModule():
    if rgw_old.Case.server:
        rgw_old.Case.server.stop()


class Writer:
    """A backup that began three hours ago, and goes on: an upload of 200 parts, of which 100 came then."""

    PARTS, BEFORE, AFTER = 200, 100, 10

    def __init__(self, server, bucket, key):
        self.bucket, self.key = bucket, key
        self.etags, self.refused = [], None
        other = server.old_client()
        self.upload_id = other.initiate(bucket, key)
        for _ in range(self.BEFORE):
            self._send(other)
        other.close()
        self.other = server.other_client()
        # The first part of today: before it, the upload is as idle as any other.
        self._send(self.other)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._go_on)

    def _send(self, other):
        number = len(self.etags) + 1
        self.etags.append(other.upload_part(self.bucket, self.key, self.upload_id, number, part_of(number)))

    def _go_on(self):
        try:
            # The last ones are left for what comes after the sweep.
            while len(self.etags) < self.PARTS - self.AFTER and not self.stopped.wait(0.05):
                self._send(self.other)
        except (AssertionError, OSError) as refused:
            self.refused = refused

    def finish(self):
        """The rest of the parts, and the completion. -> the object's content"""
        self.close()
        if self.refused:
            raise self.refused
        while len(self.etags) < self.PARTS:
            self._send(self.other)
        self.other.complete(self.bucket, self.key, self.upload_id, self.etags)
        content = self.other.get_object(self.bucket, self.key)
        self.other.close()
        return content

    def close(self):
        self.stopped.set()
        if self.thread.is_alive():
            self.thread.join()
        self.other.close()

    @classmethod
    def content(cls):
        return b"".join(part_of(number) for number in range(1, cls.PARTS + 1))


CLIENTS = [
    {},
    {"scheme": "OBS"},
    {"scheme": "OBS", "virtual_host": True},
    {"max_connections": 4},
    {"confirm": True},
]


def library(flags=0, keep=None, **bounds):
    def sweep(case, settings):
        answer = sweeps.sweep(case.client(**settings), "backups", flags, keep, **bounds)
        case.assert_counts(answer, aborted=OLD, kept=1, active=1)
        case.assertEqual(answer.report.complete, 1)
        return [(o.key, o.upload_id) for o in answer.outcomes]

    return sweep


def tool(*arguments):
    def sweep(case, _):
        done = case.server.obs_abort(*arguments, "--yes", "--json")
        case.assertEqual((done.returncode, done.stderr), (0, ""))
        *lines, summary = (json.loads(line) for line in done.stdout.splitlines())
        counts = {name: summary[name] for name in ("aborted", "failed", "kept", "active", "complete")}
        case.assertEqual(counts, {"aborted": OLD, "failed": 0, "kept": 1, "active": 1, "complete": True})
        return [(o["key"], o["upload_id"]) for o in lines if "upload_id" in o]

    return sweep


def tool_from_list(case, settings):
    """Of a list that names the writer's upload, too."""
    listed = case.server.obs_abort("--list", "obs://backups").stdout
    case.assertEqual(len(listed.splitlines()), OLD + 1)
    path = os.path.join(support.temp_dir(), "list")
    with open(path, "w") as file:
        file.write(listed)
    return tool("--from", path, "--stale", "1h", "--idle", "1h", "obs://backups")(case, settings)


def tool_asked(case, _):
    """Without --yes: a dry run, a question, and what was counted."""
    before = case.listed("backups")
    with Pty("--stale", "1h", "obs://backups", env=case.server.tool_environment()) as terminal:
        asked = terminal.read_until("[y/N/l]", seconds=60)
        case.assertIn(f"{OLD} uploads begun before ", asked)
        terminal.type("y\n")
        status, output = terminal.finish(seconds=60)
    case.assertEqual(status, 0, output[-2000:])
    case.assertIn(f"{OLD} aborted, 0 failed, 1 kept as active", output)
    return before - case.listed("backups")


# A sweep of a bucket in which no more than the old uploads and the writer's are -> the uploads that it says are gone.
FORMS = {
    "age and idle time": library(older_than_seconds=HOUR, idle_seconds=HOUR),
    "idle time alone": library(idle_seconds=HOUR),
    "begun before": library(initiated_before=int(time.time()) - HOUR, idle_seconds=HOUR),
    "measured": library(older_than_seconds=HOUR, idle_seconds=HOUR, measure=1),
    "prefix": library(prefix="backup/", older_than_seconds=HOUR, idle_seconds=HOUR),
    "a filter that keeps none": library(keep=lambda _: False, older_than_seconds=HOUR, idle_seconds=HOUR),
    "live ones included": library(sweeps.INCLUDE_LIVE, idle_seconds=HOUR),
    "obs-abort --stale, which is idle time, too": tool("--stale", "1h", "obs://backups"),
    "obs-abort --idle": tool("--stale", "2h", "--idle", "1h", "obs://backups"),
    "obs-abort --prefix": tool("--stale", "1h", "--prefix", "backup/", "obs://backups"),
    "obs-abort --match": tool("--stale", "1h", "--match", "backup/**", "obs://backups"),
    "obs-abort --include-live": tool("--stale", "0s", "--include-live", "--idle", "1h", "obs://backups"),
    "obs-abort --connections 1": tool("--stale", "1h", "--idle", "1h", "--connections", "1", "obs://backups"),
    "obs-abort --bucket-match": tool("--stale", "1h", "--bucket-match", "back?ps"),
    "obs-abort --all-buckets": tool("--stale", "1h", "--all-buckets"),
    "obs-abort --from": tool_from_list,
    "obs-abort, and yes": tool_asked,
}


class Running(rgw_old.Case):
    def writer(self, bucket, key):
        writer = Writer(self.server, bucket, key)
        self.addCleanup(writer.close)
        return writer

    def test_it_survives_every_form_of_sweep(self):
        """Each round another form, and each time that a form has its turn, another client."""
        forms = list(FORMS.items())
        for number in range(ROUNDS):
            turn, form = divmod(number, len(forms))
            name, sweep = forms[form]
            settings = CLIENTS[(form + turn) % len(CLIENTS)]
            with self.subTest(round=number, form=name, settings=settings):
                self.round(number, lambda: sweep(self, settings))

    def round(self, number, sweep):
        writer = self.writer("backups", f"backup/2026 {number}+%2F/数据")
        # Before the writer's key and behind it, in the order of the listing.
        keys = [f"backup/{'0' if i % 2 else '9'} {i % 60:02}" for i in range(OLD)]
        old = self.server.make_old("backups", keys, every=10)
        writer.thread.start()
        before = len(writer.etags)
        self.assert_same_uploads(sweep(), old)
        self.assertGreater(len(writer.etags), before, "no part came during the sweep")
        self.assert_same_uploads(self.listed("backups"), [(writer.key, writer.upload_id)])
        self.assertTrue(writer.finish() == Writer.content(), "the completed object is not what was put")
        self.assert_same_uploads(self.listed("backups"), [])

    def test_a_dry_run_does_not_name_it(self):
        writer = self.writer("dry", "backup/dry")
        old = self.server.make_old("dry", ["backup/a", "backup/z"])
        answer = sweeps.sweep(self.client(), "dry", sweeps.DRY_RUN, older_than_seconds=HOUR, idle_seconds=HOUR)
        self.assert_counts(answer, aborted=2, kept=1, active=1)
        self.assert_same_uploads([(o.key, o.upload_id) for o in answer.outcomes], old)
        self.assert_same_uploads(self.listed("dry"), old | {(writer.key, writer.upload_id)})
        for key, upload_id in old:
            self.other.abort("dry", key, upload_id)
        self.assertTrue(writer.finish() == Writer.content())

    def test_without_idle_time_it_is_lost(self):
        """What the others prove is due to the idle time alone."""
        writer = self.writer("lost", "backup")
        self.assert_counts(sweeps.sweep(self.client(), "lost", older_than_seconds=HOUR), aborted=1)
        with self.assertRaises(s3client.Refused) as refused:
            writer.finish()
        self.assertIn(b"NoSuchUpload", refused.exception.answer.body)


if __name__ == "__main__":
    unittest.main()
