"""What a sweep may be trusted with, on a real server, Ceph RGW: parts, sizes, the filter, the account's buckets.

That a backup which is being written survives it, has a suite of its own: test_rgw_writer.py.
"""

import threading
import time
import unittest

import obsabort
import rgw
import rgw_old
import sweeps
from rgw_old import AGE, HOUR, Case, part_of

BUCKETS = ["filter", "bytes", "pages", "again", "idle", "clock", "unreadable", "swept", "bystander"]

server = None


def setUpModule():
    global server
    server = Case.server = rgw_old.OldRgw(BUCKETS)


def tearDownModule():
    if server:
        server.stop()


class Parts(Case):
    def test_it_goes_once_it_is_idle(self):
        """The same upload, when its parts are as old as the rest."""
        made = server.make_old("idle", ["idle"] * 4, parts=3)
        answer = sweeps.sweep(self.client(), "idle", older_than_seconds=HOUR, idle_seconds=2 * HOUR)
        self.assert_counts(answer, aborted=4)
        self.assert_same_uploads([(o.key, o.upload_id) for o in answer.outcomes], made)
        kept = server.make_old("idle", ["idle"] * 4, parts=3)
        answer = sweeps.sweep(self.client(), "idle", older_than_seconds=HOUR, idle_seconds=4 * HOUR)
        self.assert_counts(answer, kept=4, younger=4)
        self.assert_same_uploads(self.listed("idle"), kept)

    def test_idle_time_is_measured_by_the_servers_clock(self):
        """Written just now: to a server two hours ahead that was two hours ago."""
        other = self.old_client()
        upload_id = other.initiate("clock", "key")
        self.other.upload_part("clock", "key", upload_id, 1, b"part")
        ahead = self.client(port=server.start_skewed("+2h"))
        self.assert_counts(sweeps.sweep(self.client(), "clock", idle_seconds=HOUR), kept=1, active=1)
        self.assert_counts(sweeps.sweep(ahead, "clock", idle_seconds=3 * HOUR), kept=1, active=1)
        self.assertEqual(self.other.list_parts("clock", "key", upload_id), [1])
        self.assert_counts(sweeps.sweep(ahead, "clock", idle_seconds=HOUR), aborted=1)
        self.assert_same_uploads(self.listed("clock"), [])

    def test_the_only_young_part_is_on_the_second_page(self):
        other = self.old_client()
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
        other = self.old_client()
        upload_id = other.initiate("again", "retried")
        for number in (1, 2, 3):
            other.upload_part("again", "retried", upload_id, number, b"part")
        self.other.upload_part("again", "retried", upload_id, 1, b"part")
        answer = sweeps.sweep(self.client(), "again", idle_seconds=HOUR, prefix="retried")
        self.assert_counts(answer, kept=1, active=1)
        self.assertEqual(self.other.list_parts("again", "retried", upload_id), [1, 2, 3])

    def test_bytes_are_what_was_put(self):
        other = self.old_client()
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
        old = server.make_old("unreadable", ["a", "b", "c"])
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
        old = server.make_old("filter", [f"key {number % 60:02}+%2F/数据" for number in range(300)])
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
        bystander = server.make_old("bystander", ["old"])
        for order in (["obs://forbidden", "obs://swept"], ["obs://swept", "obs://forbidden"]):
            with self.subTest(order=order):
                server.make_old("swept", [f"key {number}" for number in range(40)])
                done = server.obs_abort("--stale", "1h", "--yes", *order)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn("forbidden", done.stderr)
                self.assertIn("access_denied", done.stdout + done.stderr)
                self.assert_same_uploads(self.listed("swept"), [])
                self.assertEqual([upload[:2] for upload in foreign.list_uploads("forbidden")], [stays])
                self.assert_same_uploads(self.listed("bystander"), bystander)
        server.make_old("swept", ["key"])
        done = server.obs_abort("--stale", "1h", "--yes", "obs://swept", "obs://bystander")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assert_same_uploads(self.listed("swept") | self.listed("bystander"), [])


if __name__ == "__main__":
    unittest.main()
