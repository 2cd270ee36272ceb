"""What a sweep may be trusted with, on a real server, Ceph RGW: a backup that is being written survives it.

The uploads are old by a second RGW on the same store whose clock is three hours behind: the parts that come through it, too. A
writer's first parts came that way, and it goes on through the other. What a sweep claims is checked by another client.

SWEEP_ROUNDS=N: how often the writer must survive (3; `make soak-rgw`: 50).
"""

import collections
import hashlib
import json
import os
import threading
import time
import unittest

import obsabort
import rgw
import s3client
import support
import sweeps

HOUR = 3600
AGE = 3 * HOUR
ROUNDS = int(os.environ.get("SWEEP_ROUNDS", "3"))
BUCKETS = ["forms", "lost", "filter", "bytes", "pages", "again", "idle", "clock", "unreadable", "swept", "bystander"]

server = None
old_port = None


def setUpModule():
    global server, old_port
    server = rgw.Rgw([rgw.DOMAIN] + [f"{bucket}.{rgw.DOMAIN}" for bucket in BUCKETS])
    old_port = server.start_skewed(f"-{AGE}s")
    other = server.other_client()
    for bucket in BUCKETS:
        other.create_bucket(bucket)
    other.close()


def tearDownModule():
    if server:
        server.stop()


def old_client():
    """A client whose uploads and parts are three hours old."""
    other = server.other_client(port=old_port)
    other.clock_offset = -AGE
    return other


def part_of(number):
    """Parts differ in content and in size."""
    return hashlib.sha256(str(number).encode()).digest() * (1 + number % 7)


def make_old(bucket, keys, parts=1):
    """An upload for each key, each second one with `parts` parts. -> set of key and upload id"""
    made, lock, todo = set(), threading.Lock(), collections.deque(enumerate(keys))

    def work():
        other = old_client()
        while True:
            with lock:
                if not todo:
                    break
                number, key = todo.popleft()
            upload_id = other.initiate(bucket, key)
            for part in range(1, parts + 1 if number % 2 else 1):
                other.upload_part(bucket, key, upload_id, part, part_of(part))
            with lock:
                made.add((key, upload_id))
        other.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(keys), f"{len(made)} of {len(keys)} uploads could be made"
    return made


class Writer:
    """A backup that began three hours ago, and goes on: an upload of 200 parts, of which 100 came then."""

    PARTS, OLD = 200, 100

    def __init__(self, bucket, key):
        self.bucket, self.key = bucket, key
        self.etags, self.refused = [], None
        other = old_client()
        self.upload_id = other.initiate(bucket, key)
        for _ in range(self.OLD):
            self._send(other)
        other.close()
        self.other = server.other_client()
        # The first part of today: before it, the upload is as idle as any other.
        self._send(self.other)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._go_on)
        self.thread.start()

    def _send(self, other):
        number = len(self.etags) + 1
        self.etags.append(other.upload_part(self.bucket, self.key, self.upload_id, number, part_of(number)))

    def _go_on(self):
        try:
            # The last ten are left for what comes after the sweeps.
            while len(self.etags) < self.PARTS - 10 and not self.stopped.wait(0.05):
                self._send(self.other)
        except (AssertionError, OSError) as refused:
            self.refused = refused

    def finish(self):
        """The rest of the parts, and the completion. -> the object's content"""
        self.stopped.set()
        self.thread.join()
        if self.refused:
            raise self.refused
        while len(self.etags) < self.PARTS:
            self._send(self.other)
        self.other.complete(self.bucket, self.key, self.upload_id, self.etags)
        return self.other.get_object(self.bucket, self.key)

    def close(self):
        self.stopped.set()
        self.thread.join()
        self.other.close()

    @classmethod
    def content(cls):
        return b"".join(part_of(number) for number in range(1, cls.PARTS + 1))


class Case(unittest.TestCase):
    def setUp(self):
        self.other = server.other_client()
        self.addCleanup(self.other.close)

    def client(self, *arguments, **settings):
        client = server.library_client(*arguments, **settings)
        self.addCleanup(client.close)
        return client

    def writer(self, bucket, key):
        writer = Writer(bucket, key)
        self.addCleanup(writer.close)
        return writer

    def listed(self, bucket):
        return {upload[:2] for upload in self.other.list_uploads(bucket)}

    def assert_same_uploads(self, got, expected):
        got, expected = set(got), set(expected)
        self.assertTrue(
            got == expected,
            f"{len(expected - got)} missing: {sorted(expected - got)[:5]}, {len(got - expected)} too many: {sorted(got - expected)[:5]}",
        )

    def assert_counts(self, answer, **counts):
        self.assertEqual((answer.code, answer.error), (obsabort.Code.OK, None), answer.report)
        expected = dict.fromkeys(("aborted", "missing", "failed", "kept", "younger", "active", "unknown_age"), 0)
        expected.update(counts)
        expected["total"] = sum(expected[name] for name in ("aborted", "missing", "failed", "kept"))
        self.assertEqual({name: getattr(answer.report, name) for name in expected}, expected, answer.report)


def obs_abort(*arguments):
    """The tool, with the keys of the test user. -> what support.run() gives"""
    env = {"OBS_ACCESS_KEY_ID": rgw.ACCESS_KEY, "OBS_SECRET_ACCESS_KEY": rgw.SECRET_KEY, "LC_ALL": "C.UTF-8"}
    endpoint = f"http://127.0.0.1:{server.port}"
    return support.run([os.environ["OBS_ABORT_TOOL"], "--endpoint", endpoint, *arguments], env=env, check=False)


# Each sweeps a bucket in which no more than old uploads and a writer are, whose keys are below "backup/".
FORMS = {
    "age and idle time": lambda c: sweeps.sweep(c, "forms", older_than_seconds=HOUR, idle_seconds=HOUR),
    "idle time alone": lambda c: sweeps.sweep(c, "forms", idle_seconds=HOUR),
    "begun before": lambda c: sweeps.sweep(c, "forms", initiated_before=int(time.time()) - HOUR, idle_seconds=HOUR),
    "measured": lambda c: sweeps.sweep(c, "forms", older_than_seconds=HOUR, idle_seconds=HOUR, measure=1),
    "prefix": lambda c: sweeps.sweep(c, "forms", prefix="backup/", older_than_seconds=HOUR, idle_seconds=HOUR),
    "a filter that keeps none": lambda c: sweeps.sweep(c, "forms", keep=lambda _: False, older_than_seconds=HOUR, idle_seconds=HOUR),
    "live ones included": lambda c: sweeps.sweep(c, "forms", sweeps.INCLUDE_LIVE, idle_seconds=HOUR),
}
# By the tool.
TOOL_FORMS = {
    "obs-abort --stale, which is idle time, too": ["--stale", "1h", "obs://forms"],
    "obs-abort --idle": ["--stale", "2h", "--idle", "1h", "obs://forms"],
    "obs-abort --prefix": ["--stale", "1h", "--prefix", "backup/", "obs://forms"],
    "obs-abort --include-live": ["--stale", "0s", "--include-live", "--idle", "1h", "obs://forms"],
    "obs-abort --connections 1": ["--stale", "1h", "--idle", "1h", "--connections", "1", "obs://forms"],
    "obs-abort --bucket-match": ["--stale", "1h", "--bucket-match", "for?s"],
}
CLIENTS = [
    {},
    {"scheme": "OBS"},
    {"scheme": "OBS", "virtual_host": True},
    {"max_connections": 1},
    {"confirm": True},
]


class Running(Case):
    OLD, FIRST = 2500, 1150  # FIRST: more than a page of the listing

    def test_it_survives_every_form_of_sweep(self):
        for number in range(ROUNDS):
            with self.subTest(round=number):
                self.round(number)

    def round(self, number):
        """One writer through all forms, while 2500 old uploads go. Each form gets the larger part of them in its turn."""
        key = f"backup/2026 {number}+%2F/数据"
        writer = self.writer("forms", key)
        forms = [*FORMS, *TOOL_FORMS]
        forms = forms[number % len(forms) :] + forms[: number % len(forms)]
        rest = self.OLD - self.FIRST
        shares = [self.FIRST] + [rest // (len(forms) - 1)] * (len(forms) - 2)
        shares.append(self.OLD - sum(shares))
        for turn, (form, share) in enumerate(zip(forms, shares)):
            with self.subTest(form=form):
                self.sweep_by(form, CLIENTS[(number + turn) % len(CLIENTS)], writer, share)
        content = writer.finish()
        self.assertTrue(content == Writer.content(), "the completed object is not what was put")
        self.assert_same_uploads(self.listed("forms"), [])

    def sweep_by(self, form, settings, writer, share):
        # Before the writer's key and behind it, in the order of the listing.
        old = make_old("forms", [f"backup/{'0' if i % 2 else '9'} {i % 60:02}" for i in range(share)])
        if form in FORMS:
            answer = FORMS[form](self.client(**settings))
            self.assert_counts(answer, aborted=share, kept=1, active=1)
            self.assert_same_uploads([(o.key, o.upload_id) for o in answer.outcomes], old)
            self.assertEqual(answer.report.complete, 1)
        else:
            done = obs_abort(*TOOL_FORMS[form], "--yes", "--json")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            *lines, summary = (json.loads(line) for line in done.stdout.splitlines())
            self.assert_same_uploads([(o["key"], o["upload_id"]) for o in lines if "upload_id" in o], old)
            counts = {name: summary[name] for name in ("aborted", "failed", "kept", "active", "complete")}
            self.assertEqual(counts, {"aborted": share, "failed": 0, "kept": 1, "active": 1, "complete": True})
        self.assert_same_uploads(self.listed("forms"), [(writer.key, writer.upload_id)])
        self.assertIsNone(writer.refused)

    def test_a_dry_run_does_not_name_it(self):
        writer = self.writer("forms", "backup/dry")
        old = make_old("forms", ["backup/a", "backup/z"])
        answer = sweeps.sweep(self.client(), "forms", sweeps.DRY_RUN, older_than_seconds=HOUR, idle_seconds=HOUR)
        self.assert_counts(answer, aborted=2, kept=1, active=1)
        self.assert_same_uploads([(o.key, o.upload_id) for o in answer.outcomes], old)
        self.assert_same_uploads(self.listed("forms"), old | {(writer.key, writer.upload_id)})
        for key, upload_id in old:
            self.other.abort("forms", key, upload_id)
        self.assertTrue(writer.finish() == Writer.content())

    def test_without_idle_time_it_is_lost(self):
        """What the others prove is due to the idle time alone."""
        writer = self.writer("lost", "backup")
        self.assert_counts(sweeps.sweep(self.client(), "lost", older_than_seconds=HOUR), aborted=1)
        with self.assertRaises(s3client.Refused) as refused:
            writer.finish()
        self.assertIn(b"NoSuchUpload", refused.exception.answer.body)

    def test_it_goes_once_it_is_idle(self):
        """The same upload, when its parts are as old as the rest."""
        made = make_old("idle", ["idle"] * 4, parts=3)
        answer = sweeps.sweep(self.client(), "idle", older_than_seconds=HOUR, idle_seconds=2 * HOUR)
        self.assert_counts(answer, aborted=4)
        self.assert_same_uploads([(o.key, o.upload_id) for o in answer.outcomes], made)
        kept = make_old("idle", ["idle"] * 4, parts=3)
        answer = sweeps.sweep(self.client(), "idle", older_than_seconds=HOUR, idle_seconds=4 * HOUR)
        self.assert_counts(answer, kept=4, younger=4)
        self.assert_same_uploads(self.listed("idle"), kept)


class Parts(Case):
    def test_idle_time_is_measured_by_the_servers_clock(self):
        """Written just now: to a server two hours ahead that was two hours ago."""
        other = old_client()
        self.addCleanup(other.close)
        upload_id = other.initiate("clock", "key")
        self.other.upload_part("clock", "key", upload_id, 1, b"part")
        ahead = self.client(port=server.start_skewed("+2h"))
        self.assert_counts(sweeps.sweep(self.client(), "clock", idle_seconds=HOUR), kept=1, active=1)
        self.assert_counts(sweeps.sweep(ahead, "clock", idle_seconds=3 * HOUR), kept=1, active=1)
        self.assertEqual(self.other.list_parts("clock", "key", upload_id), [1])
        self.assert_counts(sweeps.sweep(ahead, "clock", idle_seconds=HOUR), aborted=1)
        self.assert_same_uploads(self.listed("clock"), [])

    def test_the_only_young_part_is_on_the_second_page(self):
        other = old_client()
        self.addCleanup(other.close)
        upload_id = other.initiate("pages", "1200 parts")
        for number in range(1, 1201):
            # RGW lists a page of 1000 parts by number: 1..1000, then the rest.
            client = self.other if number == 1100 else other
            client.upload_part("pages", "1200 parts", upload_id, number, b"part")
        self.assert_counts(sweeps.sweep(self.client(), "pages", idle_seconds=HOUR), kept=1, active=1)
        self.assert_same_uploads(self.listed("pages"), [("1200 parts", upload_id)])
        # As old as the rest, it goes, and all of its parts were counted.
        other.upload_part("pages", "1200 parts", upload_id, 1100, b"part")
        answer = sweeps.sweep(self.client(), "pages", idle_seconds=HOUR)
        self.assert_counts(answer, aborted=1)
        self.assertEqual([(o.parts, o.bytes) for o in answer.outcomes], [(1200, 4800)])

    def test_a_part_that_is_sent_again_counts_by_its_last_time(self):
        other = old_client()
        self.addCleanup(other.close)
        upload_id = other.initiate("again", "retried")
        for number in (1, 2, 3):
            other.upload_part("again", "retried", upload_id, number, b"part")
        self.other.upload_part("again", "retried", upload_id, 1, b"part")
        answer = sweeps.sweep(self.client(), "again", idle_seconds=HOUR, prefix="retried")
        self.assert_counts(answer, kept=1, active=1)
        self.assertEqual(self.other.list_parts("again", "retried", upload_id), [1, 2, 3])

    def test_bytes_are_what_was_put(self):
        other = old_client()
        self.addCleanup(other.close)
        put, began = {}, time.time() - AGE
        for count in (0, 1, 2, 7, 30):
            upload_id = other.initiate("bytes", f"{count} parts")
            sizes = [len(part_of(number)) * 100 for number in range(1, count + 1)]
            for number in range(1, count + 1):
                other.upload_part("bytes", f"{count} parts", upload_id, number, part_of(number) * 100)
            put[f"{count} parts", upload_id] = (count, sum(sizes))
        # A part that is sent again replaces the one before.
        key, upload_id = next(upload for upload in put if upload[0] == "7 parts")
        other.upload_part("bytes", key, upload_id, 7, b"shorter")
        put[key, upload_id] = (7, put[key, upload_id][1] - len(part_of(7)) * 100 + len(b"shorter"))
        ended = time.time() - AGE

        for flags, bounds in ((sweeps.DRY_RUN, {"measure": 1}), (sweeps.DRY_RUN, {"idle_seconds": HOUR}), (0, {"measure": 1})):
            with self.subTest(flags=flags, **bounds):
                answer = sweeps.sweep(self.client(), "bytes", flags, older_than_seconds=HOUR, **bounds)
                self.assert_counts(answer, aborted=len(put))
                self.assertEqual({(o.key, o.upload_id): (o.parts, o.bytes) for o in answer.outcomes}, put)
                self.assertEqual(answer.report.bytes, sum(size for _, size in put.values()))
                for outcome in answer.outcomes:
                    if outcome.parts == 0:
                        self.assertEqual(outcome.last_part, -1)
                    else:
                        self.assertTrue(began - 2 <= outcome.last_part <= ended + 2, (outcome, began, ended))
        self.assert_same_uploads(self.listed("bytes"), [])

    def test_what_can_not_be_read_is_kept(self):
        """Someone who may list uploads and abort them, and may not list parts."""
        self.other.put_policy("unreadable", rgw.policy(
            Principal={"AWS": ["arn:aws:iam:::user/other"]},
            Action=["s3:ListBucketMultipartUploads", "s3:AbortMultipartUpload"],
            Resource=["arn:aws:s3:::unreadable", "arn:aws:s3:::unreadable/*"],
        ))
        old = make_old("unreadable", ["a", "b", "c"])
        client = self.client(credentials=(rgw.OTHER_ACCESS_KEY, rgw.OTHER_SECRET_KEY))
        answer = sweeps.sweep(client, "unreadable", older_than_seconds=HOUR, idle_seconds=HOUR)
        self.assert_counts(answer, kept=3, active=3)
        self.assertEqual(answer.report.complete, 0)
        self.assert_same_uploads(self.listed("unreadable"), old)
        # Their sizes alone are not worth keeping them.
        answer = sweeps.sweep(client, "unreadable", older_than_seconds=HOUR, measure=1)
        self.assert_counts(answer, aborted=3)
        self.assertEqual(answer.report.complete, 1)
        self.assertEqual([(o.parts, o.bytes, o.last_part) for o in answer.outcomes], [(0, 0, -1)] * 3)
        self.assert_same_uploads(self.listed("unreadable"), [])


class Filter(Case):
    def test_it_keeps_what_it_says(self):
        old = make_old("filter", [f"key {number % 60:02}+%2F/数据" for number in range(300)])
        young = {("young", self.other.initiate("filter", "young")) for _ in range(3)}
        catalogue = set(sorted(old)[::8])
        asked, threads = [], set()

        def keep(candidate):
            asked.append(candidate)
            threads.add(threading.get_ident())
            return (candidate.key, candidate.upload_id) in catalogue

        for flags in (sweeps.DRY_RUN, 0):
            with self.subTest(flags=flags):
                asked.clear()
                answer = sweeps.sweep(self.client(), "filter", flags, keep, older_than_seconds=HOUR, idle_seconds=HOUR)
                kept = len(catalogue) + len(young)
                self.assert_counts(answer, aborted=len(old) - len(catalogue), kept=kept, younger=len(young))
                self.assert_same_uploads([(o.key, o.upload_id) for o in answer.outcomes], old - catalogue)
                self.assert_same_uploads({(o.key, o.upload_id) for o in asked}, old)
                self.assertEqual({(o.parts, o.bytes, o.last_part, o.attempts) for o in asked}, {(0, 0, -1, 0)})
        self.assertEqual(threads, {threading.get_ident()})
        self.assert_same_uploads(self.listed("filter"), catalogue | young)


class Buckets(Case):
    def test_they_are_what_radosgw_has(self):
        foreign = server.other_client(keys=(rgw.OTHER_ACCESS_KEY, rgw.OTHER_SECRET_KEY))
        self.addCleanup(foreign.close)
        foreign.create_bucket("of-the-other")
        for user, keys in (("test", (rgw.ACCESS_KEY, rgw.SECRET_KEY)), ("other", (rgw.OTHER_ACCESS_KEY, rgw.OTHER_SECRET_KEY))):
            expected = sorted(server.buckets_of(user))
            self.assertIn("bystander" if user == "test" else "of-the-other", expected)
            for way in (("AWS", False), ("OBS", False), ("OBS", True)):
                with self.subTest(user=user, way=way):
                    code, found, error = sweeps.buckets(self.client(*way, credentials=keys))
                    self.assertEqual((code, error), (obsabort.Code.OK, None))
                    self.assertEqual(sorted(name for name, _ in found), expected)

    def test_wrong_secret(self):
        code, found, error = sweeps.buckets(self.client(credentials=(rgw.ACCESS_KEY, "not-the-secret")))
        self.assertEqual((code, found), (obsabort.Code.ACCESS_DENIED, []), error)
        self.assertIn("SignatureDoesNotMatch", error)

    def test_one_that_is_forbidden_does_not_stop_the_other(self):
        foreign = server.other_client(keys=(rgw.OTHER_ACCESS_KEY, rgw.OTHER_SECRET_KEY))
        self.addCleanup(foreign.close)
        foreign.create_bucket("forbidden")
        stays = ("theirs", foreign.initiate("forbidden", "theirs"))
        bystander = make_old("bystander", ["old"])
        for order in (["obs://forbidden", "obs://swept"], ["obs://swept", "obs://forbidden"]):
            with self.subTest(order=order):
                make_old("swept", [f"key {number}" for number in range(40)])
                done = obs_abort("--stale", "1h", "--yes", *order)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn("forbidden", done.stderr)
                self.assertIn("access_denied", done.stdout + done.stderr)
                self.assert_same_uploads(self.listed("swept"), [])
                self.assertEqual([upload[:2] for upload in foreign.list_uploads("forbidden")], [stays])
                self.assert_same_uploads(self.listed("bystander"), bystander)
        make_old("swept", ["key"])
        done = obs_abort("--stale", "1h", "--yes", "obs://swept", "obs://bystander")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assert_same_uploads(self.listed("swept") | self.listed("bystander"), [])


if __name__ == "__main__":
    unittest.main()
