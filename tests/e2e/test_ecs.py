"""Credentials of an ECS: its metadata service, played on its real address in a network namespace.

Needs root (the namespace) and: apt-get install iproute2 mount
"""

import contextlib
import json
import logging
import os
import re
import resource
import threading
import time
import unittest

import calls
import ecs_netns
import obsabort
from ecs_metadata import ADDRESS, KEY_PATH, TOKEN_PATH, Metadata
from proxy_call import DECIDES, in_process
from proxy_origin import ACCESS_KEY, SECRET_KEY, Origin
from proxy_servers import ScriptedProxy, answering


def setUpModule():
    global namespace, origin
    for name in DECIDES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    namespace = ecs_netns.Namespace()
    namespace.hosts([])
    namespace.address(ADDRESS)
    origin = Origin()


def tearDownModule():
    origin.close()


class EcsTest(unittest.TestCase):
    def setUp(self):
        origin.take()
        self.log = []
        self.metadata = None

    def tearDown(self):
        """Whatever else a test looks at: no secret in any message or log line."""
        for text in self.log:
            for pattern in ("hidden", re.escape(SECRET_KEY)):
                self.assertIsNone(re.search(pattern, text), text)

    def serve(self):
        # A subtest that failed may have left its own, and there is one port 80.
        if self.metadata:
            self.metadata.close()
        self.metadata = Metadata()
        self.addCleanup(self.metadata.close)
        origin.keys = self.metadata.keys
        return self.metadata

    def client(self, source=obsabort.CredentialSource.ECS, **more):
        client = obsabort.Client(
            endpoint=f"http://127.0.0.1:{origin.port}",
            credentials=source,
            log=lambda level, message: self.log.append(message),
            log_level=logging.DEBUG,
            **{"timeout": 15, **more},
        )
        self.addCleanup(client.close)
        return client

    def abort(self, client):
        outcome = client.try_abort("bucket", "key", "id")
        if outcome.message:
            self.log.append(outcome.message)
        return outcome

    def gone(self, client, count=1):
        """-> the access keys the origin saw"""
        for _ in range(count):
            outcome = self.abort(client)
            self.assertEqual((outcome.code, outcome.http_status), (0, 204), outcome.message)
        seen = origin.take()
        self.assertEqual(len(seen), count)
        self.assertTrue(all(s.verified for s in seen), seen)
        return [s.access_key for s in seen]

    def together(self, client, count):
        """One abort of each of `count` threads at once. -> outcomes with seconds"""
        results, barrier = [], threading.Barrier(count)

        def work():
            barrier.wait()
            begin = time.monotonic()
            outcome = client.try_abort("bucket", "key", "id")
            results.append((outcome, time.monotonic() - begin))

        threads = [threading.Thread(target=work) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def none_left(self, client, within=6):
        begin = time.monotonic()
        outcome = self.abort(client)
        took = time.monotonic() - begin
        self.assertEqual(outcome.code, obsabort.Code.NO_CREDENTIALS, outcome.message)
        self.assertEqual((outcome.http_status, outcome.attempts), (0, 0))
        self.assertLess(took, within)
        self.assertEqual(origin.take(), [])
        return outcome.message


class FetchTest(EcsTest):
    def test_version_2(self):
        metadata = self.serve()
        keys = self.gone(self.client(), count=3)
        self.assertEqual(metadata.asked(), ["PUT", "GET"], "fetched once, then kept")
        put, get = metadata.fetches
        self.assertEqual((put.path, get.path), (TOKEN_PATH, KEY_PATH))
        self.assertEqual(put.headers["x-metadata-token-ttl-seconds"], "21600")
        self.assertIn(get.headers["x-metadata-token"], metadata.tokens)
        for fetch in (put, get):
            self.assertEqual(fetch.headers["host"], ADDRESS)
            self.assertNotIn("authorization", fetch.headers)
        self.assertEqual(keys, list(metadata.keys) * 3)

    def test_security_token_is_sent_and_signed(self):
        self.serve()
        for signature, prefix in (
            (obsabort.Signature.AWS_V2, "x-amz-"),
            (obsabort.Signature.OBS, "x-obs-"),
        ):
            client = self.client(signature=signature)
            self.assertEqual(self.abort(client).code, 0)
            (seen,) = origin.take()
            self.assertTrue(seen.verified)
            self.assertTrue(seen.headers[prefix + "security-token"].startswith("ecs-hidden-token"))

    def test_version_1(self):
        for status in (404, 405):
            with self.subTest(token_status=status):
                metadata = self.serve()
                metadata.version, metadata.token_status = 1, status
                self.gone(self.client(), count=2)
                self.assertEqual(metadata.asked(), ["PUT", "GET"])
                self.assertNotIn("x-metadata-token", metadata.fetches[1].headers)
                metadata.close()

    def test_token_refused_is_not_version_1(self):
        """403: the agency's instance has metadata switched off. Falling back would ask in vain."""
        metadata = self.serve()
        metadata.version, metadata.token_status = 1, 403
        message = self.none_left(self.client())
        self.assertIn("403", message)

    def test_nothing_listens(self):
        self.assertIn("(is this an ECS?)", self.none_left(self.client()))
        told = [line for line in self.log if "(is this an ECS?)" in line]
        self.assertEqual(len(told), 2, f"in the outcome, and once in the log: {told}")

    def test_a_metadata_token_that_cannot_be_sent_back(self):
        for token in ("", " \n", "a b", "a\tb", "a\x01b", "\u00e9"):
            with self.subTest(token=token):
                metadata = self.serve()
                metadata.new_token = lambda token=token: token
                self.assertIn("its token can't be sent back", self.none_left(self.client()))
                self.assertEqual(metadata.asked(), ["PUT"])

    def test_a_key_that_repeats_them_is_logged_without_them(self):
        metadata = self.serve()
        client = self.client()
        self.gone(client)
        ((secret, token),) = metadata.keys.values()
        for text in (secret, token):
            client.try_abort("bucket", f"echo/{text}", "id")
        # tearDown looks for the secrets themselves.
        self.assertGreaterEqual(len([line for line in self.log if "echo/[secret]" in line]), 2, self.log)

    def test_nothing_is_fetched_before_it_is_needed(self):
        metadata = self.serve()
        self.client()
        outcome = self.client().try_abort("bucket", "", "id")
        self.assertEqual(outcome.code, obsabort.Code.INVALID_ARGUMENT)
        time.sleep(0.1)
        self.assertEqual(metadata.asked(), [])

    def test_first_fetch_is_shared(self):
        """16 threads, nothing to go on with yet: one asks, all wait for it."""
        metadata = self.serve()
        metadata.delay = 0.4
        client = self.client()
        outcomes = self.together(client, 16)
        self.assertEqual([o.code for o, _ in outcomes], [0] * 16)
        self.assertEqual(metadata.asked(), ["PUT", "GET"])


class RenewalTest(EcsTest):
    def until_renewed(self, client, metadata, seconds):
        """Aborts until keys were asked for again; those that live for seconds are due at once."""
        deadline = time.monotonic() + seconds
        before = metadata.asked().count("GET")
        while metadata.asked().count("GET") == before:
            self.assertLess(time.monotonic(), deadline, "never renewed")
            self.gone(client)
            time.sleep(0.05)

    def test_renewed_ahead_of_expiry(self):
        metadata = self.serve()
        metadata.lifetime = 8
        client = self.client()
        (first,) = self.gone(client)
        metadata.lifetime = 86400
        # Ahead: the first ones, whose end is given in whole seconds, still live then.
        self.until_renewed(client, metadata, seconds=6.5)
        time.sleep(0.3)
        (second,) = self.gone(client)
        self.assertNotEqual(first, second)
        # The new ones live long: they are kept.
        asked = len(metadata.asked())
        self.assertEqual(self.gone(client, count=20), [second] * 20)
        self.assertEqual(len(metadata.asked()), asked)

    def test_slow_renewal_delays_one_caller_at_most(self):
        metadata = self.serve()
        metadata.lifetime = 8
        client = self.client()
        self.gone(client)
        metadata.lifetime, metadata.delay = 86400, 0.9
        metadata.most_busy = 0
        slow, deadline = [], time.monotonic() + 20
        while metadata.most_busy == 0 or metadata.busy:
            self.assertLess(time.monotonic(), deadline, "never renewed")
            results = self.together(client, 8)
            self.assertEqual([o.code for o, _ in results], [0] * 8)
            slow += [took for _, took in results if took > 0.4]
        self.assertLessEqual(len(slow), 1, f"callers that waited: {slow}")
        self.assertEqual(metadata.most_busy, 1, "renewals at once")
        self.assertEqual(metadata.asked().count("GET"), 2)

    def test_old_ones_serve_while_renewal_fails(self):
        for failure in ("status", "body", "absent"):
            with self.subTest(failure=failure):
                metadata = self.serve()
                metadata.lifetime = 6
                client = self.client()
                (first,) = self.gone(client)
                asked = metadata.asked().count("PUT")
                if failure == "status":
                    metadata.status = 500
                elif failure == "body":
                    metadata.body = '{"credential": {"access": "hidden'
                else:
                    metadata.close()
                begin = time.monotonic()
                while time.monotonic() - begin < 4.5:
                    self.assertEqual(self.gone(client), [first])
                    time.sleep(0.02)
                if failure != "absent":
                    self.assertGreater(metadata.asked().count("PUT"), asked, "never tried")
                    metadata.close()

    def test_failed_renewal_is_not_repeated_by_every_call(self):
        """An out-of-order service is not hammered, nor every abort slowed by asking it."""
        metadata = self.serve()
        metadata.lifetime = 12
        client = self.client()
        self.gone(client)
        metadata.status = 500
        time.sleep(6.5)
        asked = metadata.asked().count("PUT")
        for _ in range(20):
            self.gone(client)
            time.sleep(0.05)
        self.assertEqual(metadata.asked().count("PUT") - asked, 1)

    def test_slow_renewal_does_not_cost_a_call_its_budget(self):
        """Keys that are still good are at hand: a call with little time goes on with them."""
        metadata = self.serve()
        metadata.lifetime = 6
        client = self.client(timeout=1)
        (first,) = self.gone(client)
        metadata.delay = 20
        begin = time.monotonic()
        while time.monotonic() - begin < 4.5:
            self.assertEqual(self.gone(client), [first])
            time.sleep(0.05)
        self.assertGreater(metadata.asked().count("PUT"), 1, "never tried")

    def sharing(self, client, **first_call):
        """A first call that starts the fetch, and ends before it; a second, which shares it."""
        first, second, cancellation = [], [], obsabort.Cancellation()
        first_call["cancellation"] = cancellation
        threads = [
            threading.Thread(
                target=lambda: first.append(client.try_abort("b-1", "k", "id", **first_call))
            ),
            threading.Thread(target=lambda: second.append(client.try_abort("b-2", "k", "id"))),
        ]
        for thread in threads:
            thread.start()
            time.sleep(0.1)
        timer = threading.Timer(0.2, cancellation.cancel)
        timer.start()
        for thread in [*threads, timer]:
            thread.join()
        return first[0], second[0]

    def test_fetcher_with_a_short_budget_fails_alone(self):
        """Its time was up: that says nothing of the service, and nothing to those who share."""
        metadata = self.serve()
        metadata.delay = 1
        first, second = self.sharing(self.client(), timeout=0.3)
        codes = (obsabort.Code.TIMEOUT, obsabort.Code.NO_CREDENTIALS, obsabort.Code.CANCELLED)
        self.assertIn(first.code, codes, first.message)
        self.assertEqual(second.code, 0, second.message)

    def test_cancelled_fetcher_fails_alone(self):
        """Nor does an earlier failure count again."""
        metadata = self.serve()
        metadata.status = 500
        client = self.client()
        self.none_left(client)
        metadata.status, metadata.delay = None, 1
        first, second = self.sharing(client)
        self.assertEqual(first.code, obsabort.Code.CANCELLED, first.message)
        self.assertEqual(second.code, 0, second.message)

    def test_expired_while_the_service_fails(self):
        metadata = self.serve()
        metadata.lifetime = 3
        client = self.client()
        (first,) = self.gone(client)
        metadata.status = 503
        self.assertEqual(self.gone(client), [first])
        time.sleep(4)
        message = self.none_left(client)
        self.assertIn("503", message)
        # And it recovers by itself.
        metadata.status, metadata.lifetime = None, 86400
        deadline = time.monotonic() + 15
        while self.abort(client).code == obsabort.Code.NO_CREDENTIALS:
            self.assertLess(time.monotonic(), deadline, "never asked again")
            time.sleep(0.2)
        (seen,) = origin.take()
        self.assertNotEqual(seen.access_key, first)

    def test_given_out_expired(self):
        """Keys that are over when they come are none."""
        metadata = self.serve()
        metadata.lifetime = -60
        self.assertIn("expired", self.none_left(self.client()).lower())


class RefusalTest(EcsTest):
    """Keys that the storage service refuses before their end: an agency was changed, or a token revoked."""

    def setUp(self):
        super().setUp()
        self.addCleanup(setattr, origin, "refusal", origin.refusal)
        origin.refusal = (403, "InvalidAccessKeyId")

    def test_fetched_anew(self):
        for refusal in (
            (403, "InvalidAccessKeyId"),
            (403, "InvalidSecurityToken"),
            (403, "InvalidSecurity"),
            (400, "ExpiredToken"),
            (400, "InvalidToken"),
            (400, "TokenRefreshRequired"),
            (401, "InvalidAccessKeyId"),
        ):
            with self.subTest(refusal=refusal):
                origin.refusal = refusal
                metadata = self.serve()
                # Beyond max_attempts, as the correction of the clock.
                client = self.client(max_attempts=1)
                (first,) = self.gone(client)
                del metadata.keys[first]
                outcome = self.abort(client)
                self.assertEqual((outcome.code, outcome.attempts), (0, 2), outcome.message)
                refused, accepted = origin.take()
                self.assertEqual((refused.access_key, refused.verified), (first, False))
                self.assertTrue(accepted.verified)
                self.assertEqual(metadata.asked(), ["PUT", "GET"] * 2)
                # The new ones are kept.
                self.assertEqual(self.gone(client, count=3), [accepted.access_key] * 3)
                self.assertEqual(metadata.asked(), ["PUT", "GET"] * 2)

    def test_other_refusals_say_nothing_of_the_keys(self):
        metadata = self.serve()
        client = self.client()
        self.gone(client)
        origin.keys = {}
        for refusal in ((403, "AccessDenied"), (403, "SignatureDoesNotMatch"), (400, "InvalidArgument")):
            with self.subTest(refusal=refusal):
                origin.refusal = refusal
                outcome = self.abort(client)
                self.assertEqual((outcome.http_status, outcome.attempts), (refusal[0], 1))
        origin.take()
        self.assertEqual(metadata.asked(), ["PUT", "GET"])

    def test_once_per_call(self):
        metadata = self.serve()
        client = self.client()
        self.gone(client)
        # It takes longer than the shortest time between two fetches, which would hide another one.
        origin.keys, metadata.delay = {}, 1.2
        outcome = self.abort(client)
        self.assertEqual((outcome.code, outcome.attempts), (obsabort.Code.ACCESS_DENIED, 2))
        self.assertIn("InvalidAccessKeyId", outcome.message)
        self.assertIn("fetched anew", outcome.message)
        self.assertEqual(metadata.asked(), ["PUT", "GET"] * 2)
        self.assertEqual(len(origin.take()), 2)

    def test_the_same_ones_again(self):
        metadata = self.serve()
        metadata.repeat = True
        client = self.client()
        self.gone(client)
        origin.keys = {}
        outcome = self.abort(client)
        self.assertEqual(outcome.code, obsabort.Code.ACCESS_DENIED, outcome.message)
        self.assertIn("fetched anew", outcome.message)
        self.assertEqual(metadata.asked(), ["PUT", "GET"] * 2)
        origin.take()

    def test_no_others_to_be_had(self):
        """The refusal is what is told: a request was sent."""
        metadata = self.serve()
        client = self.client()
        self.gone(client)
        origin.keys, metadata.status = {}, 503
        for number in range(2):
            outcome = self.abort(client)
            self.assertEqual((outcome.code, outcome.http_status), (obsabort.Code.ACCESS_DENIED, 403))
            self.assertEqual(outcome.attempts, 1)
            self.assertRegex(outcome.message, "InvalidAccessKeyId.*503")
        self.assertEqual(metadata.asked(), ["PUT", "GET"] * 2, "not asked by every call")
        origin.take()

    def test_silent_service_takes_no_longer_than_the_budget(self):
        metadata = self.serve()
        client = self.client(timeout=0.5)
        self.gone(client)
        origin.keys, metadata.delay = {}, 20
        begin = time.monotonic()
        outcome = self.abort(client)
        self.assertEqual(outcome.code, obsabort.Code.TIMEOUT, outcome.message)
        self.assertIn("InvalidAccessKeyId", outcome.message)
        self.assertLess(time.monotonic() - begin, 0.9)
        origin.take()

    def test_workers_that_are_refused_together_share_a_fetch(self):
        metadata = self.serve()
        client = self.client(max_connections=32)
        (first,) = self.gone(client)
        del metadata.keys[first]
        metadata.delay = 0.2
        code, report, error = calls.many(client, "bucket", [(f"key{n}", "id") for n in range(200)])
        self.assertEqual((code, report.aborted), (0, 200), error)
        self.assertEqual(metadata.asked(), ["PUT", "GET"] * 2)
        origin.take()

    def test_a_refusal_that_comes_late_finds_the_new_keys(self):
        """Its request was signed before others had them fetched: no reason to fetch again, nor to fail."""
        metadata = self.serve()
        client = self.client()
        (first,) = self.gone(client)
        del metadata.keys[first]
        judge = origin.judge
        self.addCleanup(setattr, origin, "judge", judge)

        def judged(seen):
            verdict = judge(seen)
            if "/late" in seen.target and seen.access_key == first:
                time.sleep(0.5)
            return verdict

        origin.judge = judged
        late = []
        thread = threading.Thread(target=lambda: late.append(client.abort("bucket", "late", "id")))
        thread.start()
        time.sleep(0.1)
        self.assertEqual(self.abort(client).code, 0)
        thread.join()
        self.assertEqual((late[0].code, late[0].attempts), (0, 2), late[0].message)
        self.assertEqual(metadata.asked(), ["PUT", "GET"] * 2)
        origin.take()

    def test_a_batch_that_is_refused_throughout_does_not_ask_for_each_upload(self):
        metadata = self.serve()
        client = self.client(max_connections=4)
        self.gone(client)
        origin.keys = {}
        code, report, error = calls.many(client, "bucket", [(f"key{n}", "id") for n in range(100)])
        self.assertEqual((code, report.failed), (obsabort.Code.PARTIAL, 100), error)
        self.assertLess(metadata.asked().count("GET"), 10)
        origin.take()

    def test_keys_that_were_set_are_not_fetched_anew(self):
        metadata = self.serve()
        client = self.client()
        client.set_credentials(ACCESS_KEY, SECRET_KEY)
        outcome = self.abort(client)
        self.assertEqual((outcome.code, outcome.attempts), (obsabort.Code.ACCESS_DENIED, 1), outcome.message)
        self.assertEqual(metadata.asked(), [])
        origin.take()


class FailureTest(EcsTest):
    def test_nobody_listens(self):
        message = self.none_left(self.client(), within=4)
        self.assertRegex(message.lower(), "ecs|metadata")
        self.assertIn(ADDRESS, message)

    def test_no_descriptor_for_a_connection(self):
        self.serve()
        client = self.client()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.ExitStack() as held:
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 8, hard))
            held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            with contextlib.suppress(OSError):
                while True:
                    held.enter_context(open("/dev/null"))
            message = self.none_left(client)
        self.assertIn("no file descriptor left", message)
        self.gone(client)

    def test_packets_are_dropped(self):
        """As on a machine that is no ECS, where 169.254.169.254 leads nowhere."""
        namespace.ip("addr", "del", ADDRESS + "/32", "dev", "lo")
        self.addCleanup(namespace.address, ADDRESS)
        with self.subTest("no route"):
            self.none_left(self.client(), within=4)
        namespace.black_hole()
        namespace.ip("route", "add", ADDRESS + "/32", "dev", "hole0")
        self.addCleanup(namespace.ip, "link", "del", "hole0")
        namespace.silent(ADDRESS)
        with self.subTest("silence"):
            message = self.none_left(self.client(), within=6)
            self.assertIn(ADDRESS, message)
            self.assertNotIn("hop limit", message, "no container, but no ECS")
        with self.subTest("silence, and a short budget"):
            begin = time.monotonic()
            outcome = self.abort(self.client(timeout=0.5))
            self.assertIn(
                outcome.code, (obsabort.Code.TIMEOUT, obsabort.Code.NO_CREDENTIALS), outcome.message
            )
            self.assertLess(time.monotonic() - begin, 0.75)
        with self.subTest("silence, and cancelled"):
            cancellation = obsabort.Cancellation()
            threading.Timer(0.3, cancellation.cancel).start()
            begin = time.monotonic()
            outcome = self.client().try_abort("bucket", "key", "id", cancellation=cancellation)
            self.assertEqual(outcome.code, obsabort.Code.CANCELLED, outcome.message)
            self.assertLess(time.monotonic() - begin, 0.7)

    def test_never_answers(self):
        metadata = self.serve()
        metadata.delay = 20
        message = self.none_left(self.client(), within=6)
        self.assertIn("it does not respond (is this an ECS?)", message)
        self.assertNotIn("hop limit", message, "the token came")
        metadata.token_delay = 20
        message = self.none_left(self.client(), within=6)
        self.assertRegex(message, r"it does not respond \(is this an ECS\?\); nor .*hop limit")

    def test_token_does_not_arrive(self):
        """With a hop limit of 1, the response to the PUT does not reach a container; that to a GET does."""
        metadata = self.serve()
        metadata.token_delay = 20
        with self.subTest("version 1 serves"):
            metadata.token_optional = True
            self.gone(self.client())
            self.assertEqual(metadata.asked(), ["PUT", "GET"])
            self.assertNotIn("x-metadata-token", metadata.fetches[1].headers)
        with self.subTest("version 1 is switched off"):
            metadata.token_optional = False
            message = self.none_left(self.client(), within=6)
            self.assertRegex(message, "401.*hop limit")
        with self.subTest("the budget of the call"):
            begin = time.monotonic()
            outcome = self.abort(self.client(timeout=0.5))
            self.assertEqual(outcome.code, obsabort.Code.TIMEOUT, outcome.message)
            self.assertLess(time.monotonic() - begin, 0.9)
            # The fetch goes on, and must not reach the next test's service.
            while metadata.asked() != ["PUT", "GET"] * 3:
                self.assertLess(time.monotonic() - begin, 10)
                time.sleep(0.05)

    def test_malformed(self):
        metadata = self.serve()
        good = json.loads(metadata.new_keys())["credential"]
        bodies = {
            "empty": "",
            "html": "<html>hidden</html>",
            "cut": json.dumps({"credential": good})[:-20],
            "list": "[]",
            "null": "null",
            "no credential": '{"hidden": 1}',
            "numbers": json.dumps({"credential": {**good, "secret": 5}}),
            "line end": json.dumps({"credential": {**good, "secret": "hidden\r\nX: y"}}),
            "empty access": json.dumps({"credential": {**good, "access": ""}}),
            "empty secret": json.dumps({"credential": {**good, "secret": ""}}),
            "huge": '{"credential": "' + "hidden" * 500_000 + '"}',
        }
        for missing in ("access", "secret"):
            kept = {name: value for name, value in good.items() if name != missing}
            bodies["no " + missing] = json.dumps({"credential": kept})
        for name, body in bodies.items():
            with self.subTest(body=name):
                metadata.body = body
                message = self.none_left(self.client())
                self.assertRegex(message.lower(), "ecs|metadata")

    def test_deeply_nested(self):
        """A reader that recurses would end the process with its stack: hence one of its own."""
        metadata = self.serve()
        for opening in ("[", '{"a":'):
            with self.subTest(opening=opening):
                metadata.body = '{"credential":' + opening * (15_000 // len(opening))
                (result,) = in_process(
                    {},
                    endpoint=f"http://127.0.0.1:{origin.port}",
                    credentials=obsabort.CredentialSource.ECS,
                )
                self.assertEqual(result["code"], obsabort.Code.NO_CREDENTIALS, result)

    def test_json_as_others_would_write_it(self):
        """Order, white space, escapes and further fields are the service's choice."""
        metadata = self.serve()
        good = json.loads(metadata.new_keys())["credential"]
        escaped = "".join(f"\\u{ord(c):04x}" for c in good["secret"])
        metadata.body = (
            '{ "more" : [1, {"secret": "x"}, null, true, -1.5e3],\r\n\t"credential" : {\n'
            f'"expires_at":"{good["expires_at"]}", "securitytoken":"{good["securitytoken"]}",'
            f'"secret":"{escaped}" , "access":"{good["access"]}", "other":"\\"}}\\\\" }} }}\n'
        )
        self.gone(self.client())

    def test_a_long_token(self):
        """The tokens of agencies have thousands of characters."""
        metadata = self.serve()
        good = json.loads(metadata.new_keys())["credential"]
        good["securitytoken"] = "hidden" + "t" * 8000
        metadata.keys[good["access"]] = (good["secret"], good["securitytoken"])
        metadata.body = json.dumps({"credential": good})
        self.gone(self.client())

    def test_expiry_in_other_forms(self):
        """ISO 8601 has several; what can't be read must not make keys immortal, nor useless."""
        metadata = self.serve()
        good = json.loads(metadata.new_keys())["credential"]
        stem = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 7200))
        for ending in ("Z", ".5Z", ".123456789Z", "+00:00"):
            with self.subTest(ending=ending):
                metadata.body = json.dumps({"credential": {**good, "expires_at": stem + ending}})
                self.gone(self.client())

    def test_service_refuses(self):
        metadata = self.serve()
        for status in (400, 401, 403, 404, 500, 503):
            with self.subTest(status=status):
                metadata.status = status
                message = self.none_left(self.client())
                # 404 is what an ECS without an agency gets.
                self.assertRegex(message, "agency" if status == 404 else str(status))


class ClockTest(EcsTest):
    def test_expiry_is_by_the_machines_clock(self):
        """The storage service's clock, a year ahead, says nothing about the end of the keys."""
        metadata = self.serve()
        judge = origin.judge
        self.addCleanup(setattr, origin, "judge", judge)
        ahead = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 365 * 86400))

        def judged(seen):
            if seen.headers["date"][:-12] != ahead[:-12]:
                return 403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
            return judge(seen)

        origin.judge, origin.date = judged, ahead
        self.addCleanup(setattr, origin, "date", None)
        client = self.client()
        outcome = self.abort(client)
        self.assertEqual((outcome.code, outcome.attempts), (0, 2), outcome.message)
        origin.take()
        self.gone(client, count=3)
        self.assertEqual(metadata.asked(), ["PUT", "GET"])


class SourceTest(EcsTest):
    def child(self, environment, source, **more):
        result = in_process(
            environment,
            endpoint=f"http://127.0.0.1:{origin.port}",
            credentials=source,
            **more,
        )
        self.log += [outcome["message"] or "" for outcome in result]
        return result[0]

    def test_never_through_a_proxy(self):
        metadata = self.serve()
        proxy = ScriptedProxy(answering("502 Bad Gateway"))
        self.addCleanup(proxy.close)
        environment = {"http_proxy": proxy.url, "all_proxy": proxy.url, "no_proxy": "127.0.0.1"}
        result = self.child(environment, obsabort.CredentialSource.ECS)
        self.assertEqual(result["code"], 0, result)
        self.assertEqual(metadata.asked(), ["PUT", "GET"])
        self.assertEqual(proxy.heads, [])
        # Nor through one the program has set, which serves the endpoint.
        result = self.child({}, obsabort.CredentialSource.ECS, proxy=proxy.url, max_attempts=1)
        self.assertEqual(result["http_status"], 502, result)
        self.assertEqual(metadata.asked(), ["PUT", "GET"] * 2)
        self.assertEqual(len(proxy.heads), 1)
        self.assertIn(f"http://127.0.0.1:{origin.port}/", proxy.heads[0])

    def test_chain(self):
        metadata = self.serve()
        origin.keys = dict(metadata.keys)
        origin.keys[ACCESS_KEY] = SECRET_KEY
        named = {"OBS_ACCESS_KEY_ID": ACCESS_KEY, "OBS_SECRET_ACCESS_KEY": SECRET_KEY}
        with self.subTest("the environment first"):
            self.assertEqual(self.child(named, obsabort.CredentialSource.CHAIN)["code"], 0)
            self.assertEqual([s.access_key for s in origin.take()], [ACCESS_KEY])
            self.assertEqual(metadata.asked(), [])
        origin.keys = metadata.keys
        with self.subTest("then the ECS"):
            self.assertEqual(self.child({}, obsabort.CredentialSource.CHAIN)["code"], 0)
            self.assertEqual(metadata.asked(), ["PUT", "GET"])
        with self.subTest("the ECS alone, environment or not"):
            self.assertEqual(self.child(named, obsabort.CredentialSource.ECS)["code"], 0)
            self.assertEqual(metadata.asked(), ["PUT", "GET"] * 2)
        with self.subTest("half a pair is the environment, and no reason to use another identity"):
            for half in ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"):
                result = self.child({half: "visible"}, obsabort.CredentialSource.CHAIN)
                self.assertEqual(result["code"], obsabort.Code.NO_CREDENTIALS, result)
                self.assertRegex(result["message"], "OBS_\\w+ (is|are) not set")
            self.assertEqual(metadata.asked(), ["PUT", "GET"] * 2)
        with self.subTest("empty variables are none"):
            empty = {name: "" for name in (*named, "OBS_SECURITY_TOKEN")}
            self.assertEqual(self.child(empty, obsabort.CredentialSource.CHAIN)["code"], 0)
            self.assertEqual(metadata.asked(), ["PUT", "GET"] * 3)
            metadata.fetches = metadata.fetches[:4]
        with self.subTest("the environment alone, ECS or not"):
            result = self.child({}, obsabort.CredentialSource.ENV)
            self.assertEqual(result["code"], obsabort.Code.NO_CREDENTIALS, result)
            self.assertIn("OBS_ACCESS_KEY_ID", result["message"])
            self.assertEqual(metadata.asked(), ["PUT", "GET"] * 2)

    def test_environment_with_a_token(self):
        origin.keys = {ACCESS_KEY: (SECRET_KEY, "hidden-session-token")}
        named = {"OBS_ACCESS_KEY_ID": ACCESS_KEY, "OBS_SECRET_ACCESS_KEY": SECRET_KEY}
        named["OBS_SECURITY_TOKEN"] = "hidden-session-token"
        self.assertEqual(self.child(named, obsabort.CredentialSource.ENV)["code"], 0)

    def test_set_credentials_replaces_the_source(self):
        metadata = self.serve()
        client = self.client()
        self.gone(client)
        asked = metadata.asked()
        origin.keys = {ACCESS_KEY: SECRET_KEY}
        client.set_credentials(ACCESS_KEY, SECRET_KEY)
        self.assertEqual(self.gone(client, count=3), [ACCESS_KEY] * 3)
        self.assertEqual(metadata.asked(), asked)

    def test_set_credentials_while_the_service_is_silent(self):
        """What was set at once is used at once, though a fetch is under way."""
        metadata = self.serve()
        metadata.delay = 20
        client = self.client()
        thread = threading.Thread(target=self.abort, args=(client,))
        thread.start()
        time.sleep(0.3)
        origin.keys = {ACCESS_KEY: SECRET_KEY}
        client.set_credentials(ACCESS_KEY, SECRET_KEY)
        begin = time.monotonic()
        outcome = self.abort(client)
        self.assertEqual(outcome.code, 0, outcome.message)
        self.assertLess(time.monotonic() - begin, 0.4)
        thread.join()
        # And what the fetch brought in the end must not put it aside.
        outcome = self.abort(client)
        self.assertEqual(outcome.code, 0, outcome.message)

    def test_last_setting_wins(self):
        metadata = self.serve()
        config = calls.Config(endpoint=f"http://127.0.0.1:{origin.port}")
        self.addCleanup(config.free)
        origin.keys = {ACCESS_KEY: SECRET_KEY}
        config.set("credential_source", obsabort.CredentialSource.ECS)
        config.set("credentials", ACCESS_KEY, SECRET_KEY, None)
        self.assert_gone_with(config)
        self.assertEqual(metadata.asked(), [])
        origin.keys = metadata.keys
        config.set("credential_source", obsabort.CredentialSource.ECS)
        self.assert_gone_with(config)
        self.assertEqual(metadata.asked(), ["PUT", "GET"])

    def assert_gone_with(self, config):
        client = config.client()
        self.assertEqual(calls.multipart(client, "bucket", "key", "id"), (0, 204, None))
        client.close()
        self.assertEqual([seen.verified for seen in origin.take()], [True])


if __name__ == "__main__":
    unittest.main()
