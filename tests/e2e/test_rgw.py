"""The library against a real server, Ceph RGW: both schemes, path and virtual host.

RGW verifies every signature. What the library claims is checked by another client: that the upload
is gone from the listings, that objects and other uploads stay.
"""

import collections
import threading
import unittest

import calls
import hard_keys
import obsabort
import rgw

BUCKET, MISSING_BUCKET = "backups", "no-such-bucket"
PART = b"a part of a backup"

# nginx takes these for a way out of the root when they are the whole path, and answers 400: by
# virtual host they go to RGW directly, with the other scheme, and in no other way.
NGINX_REFUSES_AS_PATH = {"..", "../up"}

server = None


def setUpModule():
    global server
    hosts = [rgw.DOMAIN, f"{BUCKET}.{rgw.DOMAIN}", f"{MISSING_BUCKET}.{rgw.DOMAIN}"]
    server = rgw.Rgw(hosts)
    other = server.other_client("AWS", False)
    other.create_bucket(BUCKET)
    other.close()


def tearDownModule():
    if server:
        server.stop()


class Case(unittest.TestCase):
    scheme, virtual_host = "AWS", False

    def setUp(self):
        self.other = server.other_client(self.scheme, self.virtual_host)
        self.addCleanup(self.other.close)

    def client(self, **settings):
        settings.setdefault("scheme", self.scheme)
        settings.setdefault("virtual_host", self.virtual_host)
        client = server.library_client(**settings)
        self.addCleanup(client.close)
        return client

    def initiate(self, key):
        upload_id = self.other.initiate(BUCKET, key)
        self.other.upload_part(BUCKET, key, upload_id, 1, PART)
        return upload_id

    def assert_gone(self, outcome, key, upload_id, attempts=1):
        self.assertEqual(
            (outcome.code, outcome.http_status, outcome.attempts, outcome.message),
            (obsabort.Code.OK, 204, attempts, None),
            outcome,
        )
        self.assertTrue(outcome.request_id, outcome)
        self.assertEqual((outcome.key, outcome.upload_id), (key, upload_id))
        self.assertIsNone(self.other.list_parts(BUCKET, key, upload_id))

    def assert_there(self, key, upload_id):
        self.assertEqual(self.other.list_parts(BUCKET, key, upload_id), [1])

    def assert_refused(self, outcome, code, http_status, service_code):
        self.assertEqual(
            (outcome.code, outcome.http_status, outcome.service_code, outcome.attempts),
            (code, http_status, service_code, 1),
            outcome,
        )
        self.assertTrue(outcome.request_id, outcome)
        name = code.name.lower()
        self.assertTrue(outcome.message.startswith(f"{name}: "), outcome.message)
        self.assertIn(service_code, outcome.message)
        self.assertIn(outcome.request_id, outcome.message)


class Ways:
    """The tests that hold for either scheme and either addressing."""

    def test_abort_removes_the_upload(self):
        upload_id = self.initiate("plain/key")
        outcome = self.client().try_abort(BUCKET, "plain/key", upload_id)
        self.assert_gone(outcome, "plain/key", upload_id)

    def test_plain_verb(self):
        upload_id = self.initiate("plain")
        client = self.client()
        self.assertEqual(calls.multipart(client, BUCKET, "plain", upload_id), (obsabort.Code.OK, 204, None))
        self.assertIsNone(self.other.list_parts(BUCKET, "plain", upload_id))
        code, status, error = calls.multipart(client, BUCKET, "plain", upload_id)
        self.assertEqual((code, status), (obsabort.Code.NO_SUCH_UPLOAD, 404))
        self.assertTrue(error.startswith("no_such_upload: "), error)

    def test_abort_again_is_no_such_upload(self):
        upload_id = self.initiate("twice")
        client = self.client()
        self.assert_gone(client.try_abort(BUCKET, "twice", upload_id), "twice", upload_id)
        again = client.try_abort(BUCKET, "twice", upload_id)
        self.assert_refused(again, obsabort.Code.NO_SUCH_UPLOAD, 404, "NoSuchUpload")

    def test_wrong_bucket(self):
        outcome = self.client().try_abort(MISSING_BUCKET, "key", "2~abc")
        self.assert_refused(outcome, obsabort.Code.NO_SUCH_BUCKET, 404, "NoSuchBucket")

    def test_wrong_secret(self):
        upload_id = self.initiate("secret")
        client = self.client(credentials=(rgw.ACCESS_KEY, "not-the-secret"))
        outcome = client.try_abort(BUCKET, "secret", upload_id)
        self.assert_refused(outcome, obsabort.Code.ACCESS_DENIED, 403, "SignatureDoesNotMatch")
        self.assertNotIn("not-the-secret", outcome.message)
        self.assert_there("secret", upload_id)

    def test_unknown_access_key(self):
        upload_id = self.initiate("unknown")
        client = self.client(credentials=("NOBODYSACCESSKEY", rgw.SECRET_KEY))
        outcome = client.try_abort(BUCKET, "unknown", upload_id)
        self.assert_refused(outcome, obsabort.Code.ACCESS_DENIED, 403, "InvalidAccessKeyId")
        self.assert_there("unknown", upload_id)

    def test_neither_initiator_nor_owner(self):
        upload_id = self.initiate("foreign")
        client = self.client(credentials=(rgw.OTHER_ACCESS_KEY, rgw.OTHER_SECRET_KEY))
        outcome = client.try_abort(BUCKET, "foreign", upload_id)
        self.assert_refused(outcome, obsabort.Code.ACCESS_DENIED, 403, "AccessDenied")
        self.assert_there("foreign", upload_id)

    def test_rotated_credentials(self):
        upload_id = self.initiate("rotated")
        client = self.client(credentials=(rgw.ACCESS_KEY, "not-the-secret"))
        denied = client.try_abort(BUCKET, "rotated", upload_id)
        self.assertEqual(denied.code, obsabort.Code.ACCESS_DENIED)
        client.set_credentials(rgw.ACCESS_KEY, rgw.SECRET_KEY)
        self.assert_gone(client.try_abort(BUCKET, "rotated", upload_id), "rotated", upload_id)

    def test_id_of_another_key(self):
        one, two = self.initiate("one"), self.initiate("two")
        outcome = self.client().try_abort(BUCKET, "one", two)
        self.assert_refused(outcome, obsabort.Code.NO_SUCH_UPLOAD, 404, "NoSuchUpload")
        self.assert_there("one", one)
        self.assert_there("two", two)

    def test_another_upload_of_the_same_key_stays(self):
        one, two = self.initiate("same"), self.initiate("same")
        self.assert_gone(self.client().try_abort(BUCKET, "same", one), "same", one)
        self.assert_there("same", two)

    def test_object_of_the_same_name_survives(self):
        self.other.put_object(BUCKET, "object", b"precious")
        upload_id = self.initiate("object")
        self.assert_gone(self.client().try_abort(BUCKET, "object", upload_id), "object", upload_id)
        self.assertEqual(self.other.get_object(BUCKET, "object"), b"precious")

    def test_completed_upload_survives(self):
        upload_id = self.other.initiate(BUCKET, "completed")
        etag = self.other.upload_part(BUCKET, "completed", upload_id, 1, PART)
        self.other.complete(BUCKET, "completed", upload_id, [etag])
        outcome = self.client().try_abort(BUCKET, "completed", upload_id)
        self.assert_refused(outcome, obsabort.Code.NO_SUCH_UPLOAD, 404, "NoSuchUpload")
        self.assertEqual(self.other.get_object(BUCKET, "completed"), PART)

    def test_upload_ids_that_would_delete_the_object(self):
        self.other.put_object(BUCKET, "target", b"precious")
        client = self.client()
        for upload_id in ("", " ", "\t\n", None):
            with self.subTest(upload_id=upload_id):
                outcome = client.try_abort(BUCKET, "target", upload_id)
                self.assertEqual(outcome.code, obsabort.Code.INVALID_ARGUMENT)
                self.assertEqual((outcome.http_status, outcome.attempts), (0, 0))
        # These are sent, and must reach the server as the upload id's value and nothing else.
        for upload_id in ("&", "a&uploadId=", "#", "%", "?", "+", "=", "a b", "/", "a\u00e9"):
            with self.subTest(upload_id=upload_id):
                outcome = client.try_abort(BUCKET, "target", upload_id)
                self.assertEqual(outcome.code, obsabort.Code.NO_SUCH_UPLOAD, outcome)
        self.assertEqual(self.other.get_object(BUCKET, "target"), b"precious")

    def test_hard_keys(self):
        """Each is initiated beside an object of that name, listed, aborted, and listed no more."""
        for name, key in hard_keys.HARD_KEYS.items():
            refused = self.scheme == "OBS" and self.virtual_host and key in NGINX_REFUSES_AS_PATH
            if not refused:
                with self.subTest(name):
                    self.abort_hard_key(key)

    def abort_hard_key(self, key):
        self.other.put_object(BUCKET, key, b"precious")
        upload_id = self.initiate(key)
        self.assertIn((key, upload_id), self.listed(key))
        self.assert_gone(self.client().try_abort(BUCKET, key, upload_id), key, upload_id)
        self.assertNotIn((key, upload_id), self.listed(key))
        self.assertEqual(self.other.get_object(BUCKET, key), b"precious")

    def listed(self, prefix):
        return [upload[:2] for upload in self.other.list_uploads(BUCKET, prefix)]

    def test_many_threads_one_client(self):
        keys = [f"threads/{number}" for number in range(96)]
        todo = collections.deque((key, self.initiate(key)) for key in keys)
        client, outcomes = self.client(), []

        def work():
            while True:
                try:
                    key, upload_id = todo.popleft()
                except IndexError:
                    return
                outcomes.append(client.try_abort(BUCKET, key, upload_id))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([o.message for o in outcomes if o.code != obsabort.Code.OK], [])
        self.assertEqual(sorted(o.key for o in outcomes), sorted(keys))
        self.assertEqual(self.other.list_uploads(BUCKET, "threads/"), [])


class ObsPath(Ways, Case):
    scheme, virtual_host = "OBS", False


class ObsVirtualHost(Ways, Case):
    scheme, virtual_host = "OBS", True


class AwsPath(Ways, Case):
    scheme, virtual_host = "AWS", False


class AwsVirtualHost(Ways, Case):
    scheme, virtual_host = "AWS", True


class Defaults(Case):
    """What AUTO chooses is accepted by the server it is chosen for."""

    def abort_with_defaults(self, endpoint):
        upload_id = self.initiate("auto")
        client = obsabort.Client(
            endpoint=endpoint, credentials=(rgw.ACCESS_KEY, rgw.SECRET_KEY), proxy=""
        )
        self.addCleanup(client.close)
        self.assert_gone(client.try_abort(BUCKET, "auto", upload_id), "auto", upload_id)

    def test_address_means_path_and_aws(self):
        self.abort_with_defaults(f"http://127.0.0.1:{server.port}")

    def test_name_means_virtual_host_and_obs(self):
        self.abort_with_defaults(f"http://{rgw.DOMAIN}:{server.obs_port}/")


class RequestPayer(Case):
    def test_request_payer_is_signed(self):
        """RGW canonicalises every x-amz- header: unsigned, it would refuse the request."""
        upload_id = self.initiate("payer")
        outcome = self.client(request_payer=True).try_abort(BUCKET, "payer", upload_id)
        self.assert_gone(outcome, "payer", upload_id)


class Confirm(Case):
    def test_confirm_lists_until_gone(self):
        upload_id = self.initiate("confirm")
        outcome = self.client(confirm=True).try_abort(BUCKET, "confirm", upload_id)
        self.assert_gone(outcome, "confirm", upload_id)

    def test_confirm_on_an_unknown_upload(self):
        outcome = self.client(confirm=True).try_abort(BUCKET, "confirm", "2~unknown")
        self.assertEqual(outcome.code, obsabort.Code.NO_SUCH_UPLOAD, outcome)


class SecurityToken(Case):
    """Temporary credentials from RGW's STS. The token is part of what is signed."""

    @classmethod
    def setUpClass(cls):
        cls.port = server.start_sts()
        other = server.other_client("AWS", False, cls.port)
        cls.temporary = other.assume_role(server.create_role())
        other.close()

    def client_with(self, *credentials, virtual_host=False):
        return self.client(port=self.port, credentials=credentials, virtual_host=virtual_host)

    def test_token(self):
        for virtual_host in (False, True):
            with self.subTest(virtual_host=virtual_host):
                upload_id = self.initiate("sts")
                client = self.client_with(*self.temporary, virtual_host=virtual_host)
                self.assert_gone(client.try_abort(BUCKET, "sts", upload_id), "sts", upload_id)

    def test_token_rotated_in(self):
        upload_id = self.initiate("sts")
        client = self.client_with(rgw.ACCESS_KEY, rgw.SECRET_KEY)
        client.set_credentials(*self.temporary)
        self.assert_gone(client.try_abort(BUCKET, "sts", upload_id), "sts", upload_id)

    def test_without_its_token(self):
        upload_id = self.initiate("sts")
        outcome = self.client_with(*self.temporary[:2]).try_abort(BUCKET, "sts", upload_id)
        self.assertEqual((outcome.code, outcome.http_status), (obsabort.Code.ACCESS_DENIED, 403))
        self.assert_there("sts", upload_id)

    def test_another_token(self):
        upload_id = self.initiate("sts")
        token = self.temporary[2]
        wrong = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
        outcome = self.client_with(*self.temporary[:2], wrong).try_abort(BUCKET, "sts", upload_id)
        self.assertIn(outcome.http_status, (400, 403), outcome)
        self.assertNotEqual(outcome.code, obsabort.Code.OK)
        self.assertNotIn(wrong, outcome.message)
        self.assert_there("sts", upload_id)


class SkewedClock(Case):
    def skewed(self, offset, key):
        client = self.client(port=server.start_skewed(offset))
        upload_ids = [self.initiate(key) for _ in range(3)]
        first, second = (client.try_abort(BUCKET, key, id) for id in upload_ids[:2])
        self.assert_gone(first, key, upload_ids[0], attempts=2)
        # The correction is kept: the next call is right at once.
        self.assert_gone(second, key, upload_ids[1], attempts=1)
        self.assert_there(key, upload_ids[2])

    def test_server_ahead(self):
        self.skewed("+1h", "ahead")

    def test_server_behind(self):
        self.skewed("-1h", "behind")

    def test_one_attempt_is_enough(self):
        """The correction does not count towards max_attempts."""
        client = self.client(port=server.start_skewed("+20m"), max_attempts=1)
        upload_id = self.initiate("ahead")
        self.assert_gone(client.try_abort(BUCKET, "ahead", upload_id), "ahead", upload_id, attempts=2)

    def test_a_small_skew_needs_no_correction(self):
        client = self.client(port=server.start_skewed("+5m"))
        upload_id = self.initiate("near")
        self.assert_gone(client.try_abort(BUCKET, "near", upload_id), "near", upload_id)


if __name__ == "__main__":
    unittest.main()
