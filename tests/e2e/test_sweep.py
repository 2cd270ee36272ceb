"""Sweeps on a real server, Ceph RGW: obs_abort_stale and obs_abort_many.

Old uploads are made through a second RGW on the same store whose clock is an hour behind, so that
no test waits for an upload to age. What a sweep claims is checked by another client's listing.

RGW 16, asked for encoding-type=url, percent-encodes the keys, leaves the markers plain, and sends no
EncodingType. A sweep that takes such keys as they stand gets NoSuchUpload for each, counts them as
missing, and leaves the uploads for ever: hence the spaces, percents and CJK in the keys here.
"""

import collections
import queue
import threading
import unittest

import calls
import hard_keys
import obsabort
import rgw

HOUR = 3600
BUCKETS = [
    *("big", "two-sweeps", "prefixes", "one-key", "hard-keys", "clock", "live", "many"),
    *("duplicates", "stopped", "restricted"),
]

server = None
old_port = None


def setUpModule():
    global server, old_port
    server = rgw.Rgw([rgw.DOMAIN] + [f"{bucket}.{rgw.DOMAIN}" for bucket in BUCKETS])
    old_port = server.start_skewed("-1h")
    other = server.other_client()
    for bucket in BUCKETS:
        other.create_bucket(bucket)
    other.close()


def tearDownModule():
    if server:
        server.stop()


def initiate_all(bucket, keys, old=False):
    """An upload for each key, by several threads. -> set of key and upload id"""
    todo, made = queue.SimpleQueue(), []
    for key in keys:
        todo.put(key)

    def work():
        other = server.other_client(port=old_port if old else None)
        other.clock_offset = -HOUR if old else 0
        try:
            while True:
                key = todo.get_nowait()
                made.append((key, other.initiate(bucket, key)))
        except queue.Empty:
            pass
        finally:
            other.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(keys), f"{len(made)} of {len(keys)} uploads could be initiated"
    return set(made)


class Progress:
    """Records what the progress callback is told; checks that it comes on the caller's thread."""

    def __init__(self, stop_after=None):
        self.outcomes = []
        self.done = []
        self.thread = threading.get_ident()
        self.stop_after = stop_after

    def __call__(self, progress):
        outcome, done, total_so_far = progress
        assert threading.get_ident() == self.thread, "progress on a thread that is not the caller's"
        assert done <= total_so_far, f"{done} of {total_so_far}"
        self.done.append(done)
        if outcome:
            self.outcomes.append(outcome)
        return self.stop_after is None or len(self.outcomes) < self.stop_after

    def uploads(self):
        return [(outcome.key, outcome.upload_id) for outcome in self.outcomes]


class Case(unittest.TestCase):
    def setUp(self):
        self.other = server.other_client()
        self.addCleanup(self.other.close)

    def client(self, *arguments, **settings):
        client = server.library_client(*arguments, **settings)
        self.addCleanup(client.close)
        return client

    def assert_same_uploads(self, got, expected):
        """As assertEqual, whose diff of two thousand lines would take minutes."""
        got, expected = collections.Counter(got), collections.Counter(expected)
        if got != expected:
            missing, extra = list((expected - got).elements()), list((got - expected).elements())
            self.fail(
                f"{len(missing)} uploads missing, {len(extra)} too many: "
                f"missing {sorted(missing)[:5]}, too many {sorted(extra)[:5]}"
            )

    def listed(self, bucket):
        return {upload[:2] for upload in self.other.list_uploads(bucket)}

    def assert_report(self, answer, code, **counts):
        got, report, error = answer
        self.assertEqual(got, code, (error, report))
        self.assertEqual(error is None, code == obsabort.Code.OK, error)
        expected = dict.fromkeys(("aborted", "missing", "failed", "kept"), 0)
        expected.update(counts)
        expected["total"] = sum(expected.values())
        self.assertEqual({name: getattr(report, name) for name in expected}, expected, report)
        return report


class Stale(Case):
    def test_exactly_the_old_ones_go(self):
        """2500 uploads over 60 keys, some young: dry run, sweep, and a second sweep."""
        keys = [f"backup {number:02}+%2F/数据" for number in range(60)]
        objects = keys[:3] + ["an object of its own"]
        for key in objects:
            self.other.put_object("big", key, key.encode())
        old = initiate_all("big", keys * 38, old=True)
        young = initiate_all("big", keys * 3 + keys[:40])
        self.assertEqual(len(old | young), 2500)
        client = self.client("OBS", True)

        progress = Progress()
        answer = calls.stale(client, "big", HOUR // 2, dry_run=True, progress=progress)
        self.assert_report(answer, obsabort.Code.OK, aborted=len(old), kept=len(young))
        self.assert_same_uploads(progress.uploads(), old)
        told = {(o.code, o.http_status, o.attempts) for o in progress.outcomes}
        self.assertEqual(told, {(0, 0, 0)})
        self.assert_same_uploads(self.listed("big"), old | young)

        progress = Progress()
        answer = calls.stale(client, "big", HOUR // 2, progress=progress)
        self.assert_report(answer, obsabort.Code.OK, aborted=len(old), kept=len(young))
        self.assert_same_uploads(progress.uploads(), old)
        self.assertEqual({(o.code, o.http_status) for o in progress.outcomes}, {(0, 204)})
        self.assertTrue(progress.done == sorted(progress.done), "done went backwards")
        self.assert_same_uploads(self.listed("big"), young)
        for key in objects:
            self.assertEqual(self.other.get_object("big", key), key.encode())

        answer = calls.stale(client, "big", HOUR // 2)
        self.assert_report(answer, obsabort.Code.OK, kept=len(young))
        self.assert_same_uploads(self.listed("big"), young)

    def test_two_sweeps_at_once(self):
        initiate_all("two-sweeps", [f"key {number}" for number in range(60)] * 42, old=True)
        clients = [self.client("AWS"), self.client("OBS", True)]
        answers = []

        def sweep(client):
            answers.append(calls.stale(client, "two-sweeps", HOUR // 2))

        threads = [threading.Thread(target=sweep, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([code for code, _, _ in answers], [obsabort.Code.OK] * 2, answers)
        self.assertEqual([report.failed for _, report, _ in answers], [0, 0])
        self.assertGreaterEqual(sum(report.aborted for _, report, _ in answers), 2520)
        self.assert_same_uploads(self.listed("two-sweeps"), set())

    def test_prefix(self):
        within = initiate_all("prefixes", ["a b/1", "a b/2", "a b/3/4"], old=True)
        beside = initiate_all("prefixes", ["a b", "a", "a+b/1", "A b/1", "b/a b/1"], old=True)
        answer = calls.stale(self.client(), "prefixes", HOUR // 2, prefix="a b/")
        self.assert_report(answer, obsabort.Code.OK, aborted=len(within))
        self.assert_same_uploads(self.listed("prefixes"), beside)

    def test_more_uploads_of_one_key_than_a_page_holds(self):
        initiate_all("one-key", ["the key"] * 1500, old=True)
        answer = calls.stale(self.client(), "one-key", HOUR // 2)
        self.assert_report(answer, obsabort.Code.OK, aborted=1500)
        self.assert_same_uploads(self.listed("one-key"), set())

    def test_hard_keys(self):
        """A key decoded wrongly would count as missing and leave its upload for ever."""
        made = initiate_all("hard-keys", list(hard_keys.HARD_KEYS.values()), old=True)
        progress = Progress()
        answer = calls.stale(self.client(), "hard-keys", HOUR // 2, progress=progress)
        self.assert_same_uploads(self.listed("hard-keys"), set())
        self.assert_report(answer, obsabort.Code.OK, aborted=len(made))
        self.assert_same_uploads(progress.uploads(), made)

    def test_age_is_measured_by_the_servers_clock(self):
        """Made just now: to a server two hours ahead they are two hours old."""
        ahead = server.start_skewed("+2h")
        made = initiate_all("clock", ["a", "b"])
        self.assert_report(calls.stale(self.client(), "clock", HOUR), obsabort.Code.OK, kept=2)
        self.assert_same_uploads(self.listed("clock"), made)
        answer = calls.stale(self.client(port=ahead), "clock", HOUR)
        self.assert_report(answer, obsabort.Code.OK, aborted=2)
        self.assert_same_uploads(self.listed("clock"), set())

    def test_age_zero_takes_live_uploads_only_when_told_to(self):
        made = initiate_all("live", ["running backup"])
        client = self.client()
        code, report, error = calls.stale_by_c(client, "live", 0)
        self.assertEqual(code, obsabort.Code.INVALID_ARGUMENT)
        self.assertTrue(error.startswith("invalid_argument: "), error)
        answer = calls.stale(client, "live", 0, dry_run=True)
        self.assert_report(answer, obsabort.Code.OK, aborted=1)
        self.assert_same_uploads(self.listed("live"), made)
        answer = calls.stale(client, "live", 0, include_live=True)
        self.assert_report(answer, obsabort.Code.OK, aborted=1)
        self.assert_same_uploads(self.listed("live"), set())

    def test_progress_stops_the_sweep(self):
        made = initiate_all("stopped", [f"key {number}" for number in range(1200)], old=True)
        client = self.client(max_connections=4)
        progress = Progress(stop_after=10)
        code, report, error = calls.stale_by_c(client, "stopped", HOUR // 2, progress)
        self.assertEqual(code, obsabort.Code.CANCELLED, error)
        gone = len(made) - len(self.listed("stopped"))
        self.assertEqual((report.aborted, report.failed, report.missing), (gone, 0, 0))
        self.assertEqual(report.total, report.aborted + report.kept)
        self.assertGreaterEqual(gone, 10)
        self.assertLess(gone, 100)

    def test_listing_refused(self):
        client = self.client()
        code, report, error = calls.stale(client, "no-such-bucket", HOUR)
        self.assertEqual(code, obsabort.Code.NO_SUCH_BUCKET, error)
        self.assertTrue(error.startswith("no_such_bucket: "), error)
        self.assertEqual(report.total, 0)
        foreign = self.client(credentials=(rgw.OTHER_ACCESS_KEY, rgw.OTHER_SECRET_KEY))
        made = initiate_all("restricted", ["a"], old=True)
        code, report, error = calls.stale(foreign, "restricted", HOUR // 2)
        self.assertEqual(code, obsabort.Code.ACCESS_DENIED, error)
        self.assertEqual(report.total, 0)
        self.assert_same_uploads(self.listed("restricted"), made)


class Many(Case):
    def test_all_go_and_the_rest_stays(self):
        uploads = initiate_all("many", [f"key {number}" for number in range(40)] * 5)
        stay = initiate_all("many", ["key 1", "key 2"])
        progress = Progress()
        answer = calls.many(self.client(), "many", sorted(uploads), progress=progress)
        self.assert_report(answer, obsabort.Code.OK, aborted=200)
        self.assert_same_uploads(progress.uploads(), uploads)
        self.assertEqual(progress.done[-1], 200)
        self.assert_same_uploads(self.listed("many"), stay)

    def test_duplicates_and_bad_entries(self):
        uploads = sorted(initiate_all("duplicates", ["a", "b", "c"]))
        client = self.client(max_connections=1)
        bad = [("", uploads[0][1]), ("a", ""), (None, "x"), ("a", None), ("k" * 1025, "x")]
        entries = uploads + bad + uploads + [("a", "2~unknown")]
        encoded = [[None if text is None else text.encode() for text in entry] for entry in entries]
        array = (calls.Upload * len(entries))(*(calls.Upload(*entry) for entry in encoded))
        answer = calls.many_of_array(client, "duplicates", array)
        report = self.assert_report(
            answer, obsabort.Code.PARTIAL, aborted=3, missing=4, failed=len(bad)
        )
        told = collections.Counter((f.code, f.http_status, f.attempts) for f in report.failures)
        self.assertEqual(told, {(obsabort.Code.INVALID_ARGUMENT, 0, 0): len(bad)})
        self.assert_same_uploads(self.listed("duplicates"), set())

    def test_none_at_all(self):
        self.assert_report(calls.many(self.client(), "many", []), obsabort.Code.OK)

    def test_what_was_gone_already_is_no_failure(self):
        uploads = [("a", "2~unknown"), ("b", "2~unknown")]
        self.assert_report(calls.many(self.client(), "many", uploads), obsabort.Code.OK, missing=2)


if __name__ == "__main__":
    unittest.main()
