"""Ceph RGW as a clean-up finds it, with uploads that are three hours old, and what suites ask of a sweep there.

They are old by a second RGW on the same store whose clock is three hours behind: the parts that come through it, too. What a
sweep claims is checked by another client.
"""

import concurrent.futures
import contextlib
import hashlib
import os
import unittest

import obsabort
import rgw
import support

HOUR = 3600
AGE = 3 * HOUR
THREADS = 8

# What Ceph keeps of each operation, in its log and in that of a placement group, takes a third of the time of tens of
# thousands, and grows with them. So does RGW's queue of parts that are garbage, an object that the memory store would copy,
# piece by piece, at each write.
LEAN = """
memstore_page_set = true
memstore_page_size = 4096
debug_rgw = 0/0
debug_osd = 0/0
debug_objclass = 0/0
osd_target_pg_log_entries_per_osd = 0
osd_min_pg_log_entries = 100
osd_max_pg_log_entries = 200
osd_pg_log_dups_tracked = 100
"""


def part_of(number):
    """Parts differ in content and in size."""
    return hashlib.sha256(str(number).encode()).digest() * (1 + number % 7)


class OldRgw(rgw.Rgw):
    def __init__(self, buckets):
        super().__init__([rgw.DOMAIN] + [f"{bucket}.{rgw.DOMAIN}" for bucket in buckets], LEAN)
        self.old_port = self.start_skewed(f"-{AGE}s")
        with contextlib.closing(self.other_client()) as other:
            for bucket in buckets:
                other.create_bucket(bucket)

    def old_client(self):
        """A client whose uploads and parts are three hours old."""
        other = self.other_client(port=self.old_port)
        other.clock_offset = -AGE
        return other

    def make_old(self, bucket, keys, parts=1, every=2):
        """An upload for each key, each second one (`every`) with `parts` parts. -> set of key and upload id"""

        def initiate(other, keys):
            return list(zip(keys, other.initiate_all(bucket, keys)))

        def put(other, uploads):
            for key, upload_id in uploads:
                for number in range(1, parts + 1):
                    other.upload_part(bucket, key, upload_id, number, part_of(number))
            return uploads

        made = self._share(initiate, keys)
        self._share(put, made[every - 1 :: every])
        assert len(set(made)) == len(keys), f"{len(set(made))} of {len(keys)} uploads could be made"
        return set(made)

    def _share(self, do, items):
        """Has do(client, some of the items) called by several threads. -> what all of them return"""

        def work(share):
            with contextlib.closing(self.old_client()) as other:
                return do(other, share)

        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            results = pool.map(work, [items[i::THREADS] for i in range(THREADS)])
            return [each for result in results for each in result]

    def tool_environment(self):
        """For obs-abort: this server, and the keys of the test user."""
        keys = {"OBS_ACCESS_KEY_ID": rgw.ACCESS_KEY, "OBS_SECRET_ACCESS_KEY": rgw.SECRET_KEY}
        return {"OBS_ENDPOINT": f"http://127.0.0.1:{self.port}", "LC_ALL": "C.UTF-8", "NO_COLOR": "1", **keys}

    def obs_abort(self, *arguments):
        """The tool in a pipe. -> what support.run() gives"""
        return support.run([os.environ["OBS_ABORT_TOOL"], *arguments], env=self.tool_environment(), check=False)


class Case(unittest.TestCase):
    server = None  # setUpModule's

    def setUp(self):
        self.other = self.server.other_client()
        self.addCleanup(self.other.close)

    def old_client(self):
        other = self.server.old_client()
        self.addCleanup(other.close)
        return other

    def client(self, *arguments, **settings):
        client = self.server.library_client(*arguments, **settings)
        self.addCleanup(client.close)
        return client

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
