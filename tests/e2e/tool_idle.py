"""--idle: an upload to which parts are still being written is kept, however long ago it was begun."""

from tool_servers import DAY, HOUR, WithServer
from tool_terminal import Pty, run

SWEEP = ("--stale", "24h", "obs://leftovers")


class Idle(WithServer):
    options = ("--control", "--uploads", f"leftovers:3:{3 * DAY}:old/", "--uploads", f"leftovers:2:{HOUR}:young/")

    def write(self, upload):
        self.s3.upload_part("leftovers", upload.key, upload.upload_id, 1, b"x" * 1000)

    def begin(self):
        """One of the old ones is written to. What is left besides if this one is kept, and if it is not."""
        self.active = self.left("old/")[1]
        self.write(self.active)
        young = self.left("young/")
        return {upload.upload_id for upload in (*young, self.active)}, {upload.upload_id for upload in young}

    def ids(self):
        return {upload.upload_id for upload in self.left()}

    def test_it_is_as_long_as_the_age_unless_said_otherwise(self):
        kept, _ = self.begin()
        done = run(*SWEEP, "--dry-run", env=self.env)
        self.assertEqual(len(done.stdout.splitlines()), 2)
        self.assertIn("obs-abort: 2 would be aborted, 2 younger, 1 kept as active (", done.stderr)
        done = run(*SWEEP, "--yes", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("obs-abort: 2 aborted, 0 failed, 2 younger, 1 kept as active (", done.stderr)
        self.assertEqual(self.ids(), kept)
        uploads, summary = self.objects(run(*SWEEP, "--yes", "--json", env=self.env))
        counts = [summary[name] for name in ("total", "aborted", "kept", "younger", "active", "unknown_age")]
        self.assertEqual((uploads, counts), ([], [3, 0, 3, 2, 1, 0]))
        done = run(*SWEEP, "--yes", env=self.env)
        self.assertIn("obs-abort: nothing 24h old and idle; 2 younger, 1 kept as active (", done.stderr)

    def test_without(self):
        for zero in ("0", "0s"):
            self.server.control(f"uploads leftovers:3:{3 * DAY}:old/")
            _, young = self.begin()
            done = run(*SWEEP, "--yes", "--idle", zero, env=self.env)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("active", done.stderr)
            self.assertEqual(self.ids(), young)

    def test_another_one(self):
        kept, _ = self.begin()
        done = run("--stale", "7d", "--idle", "2d", "--yes", "obs://leftovers", env=self.env)
        self.assertIn("nothing 7d old; 5 younger (", done.stderr)
        done = run("--stale", "24h", "--idle", "4d", "--yes", "obs://leftovers", env=self.env)
        self.assertIn("nothing 24h old; 5 younger (", done.stderr, "begun in that time, too")
        done = run("--stale", "24h", "--idle=1h", "--yes", "obs://leftovers", env=self.env)
        self.assertEqual((done.returncode, self.ids()), (0, kept), done.stderr)

    def test_after_the_question(self):
        kept, _ = self.begin()
        with Pty(*SWEEP, env=dict(self.env, NO_COLOR="1")) as terminal:
            self.assertIn("kept as active: 1", terminal.read_until("/N"))
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual((status, self.ids()), (0, kept), output)
        self.assertIn("2 aborted, 0 failed, 2 younger, 1 kept as active", output)

    def test_a_part_that_comes_while_the_question_waits(self):
        active = self.left("old/")[2]
        with Pty(*SWEEP, env=dict(self.env, NO_COLOR="1")) as terminal:
            self.assertNotIn("active", terminal.read_until("/N"))
            self.write(active)
            terminal.type("y\n")
            status, output = terminal.finish()
        self.assertEqual(status, 0, output)
        self.assertIn("2 aborted, 0 failed, 2 younger, 1 kept as active", output)
        self.assertEqual(self.left("old/"), [active])

    def test_parts_that_can_not_be_listed(self):
        """Kept run after run: that must not go unnoticed."""
        self.server.control("fault answer=403;error=AccessDenied;query=uploadId;method=GET;always")
        says = "3 kept since their parts could not be read, without which --idle can't be told: its parts can't be listed: 403"
        for options in ((), ("--quiet",), ("--dry-run",)):
            done = run(*SWEEP, "--yes", *options, env=self.env)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(says, done.stderr)
            self.assertIn("the permission obs:object:ListMultipartUploadParts is needed", done.stderr)
        self.assertEqual(len(self.left()), 5)
        _, summary = self.objects(run(*SWEEP, "--yes", "--json", env=self.env))
        self.assertIn(says, summary["note"])
        self.assertEqual((summary["complete"], summary["active"], summary["exit_status"]), (False, 3, 1))
        done = run(*SWEEP, "--yes", "--idle", "0", env=self.env)
        self.assertEqual((done.returncode, self.left("old/")), (0, []), done.stderr)

    def test_a_list(self):
        self.begin()
        done = run("--list", "--idle", "24h", "obs://leftovers", env=self.env)
        self.assertNotIn(self.active.upload_id, done.stdout)
        self.assertIn("active", done.stderr)
