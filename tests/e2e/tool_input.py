"""What obs-abort is given: lists and credentials as editors, shells and other systems leave them, and ids copied along
with what stands beside them."""

import os

import support
from tool_servers import WithListener, WithServer
from tool_terminal import environment, run

BOM = b"\xef\xbb\xbf"

# Copied along with an id, from a web page, a table or a chat.
INVISIBLE = (" ", "\u00a0", "\u2003", "\u3000", "\u200b", "\ufeff", "\u200e", "\u2060", "\t", "\r", "\u0085")


def file_of(content):
    path = os.path.join(support.temp_dir(), "file")
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o600)  # it may hold keys
    return path


class CopiedIds(WithListener):
    """An id that is not what the user has would be unknown to the service, and count as gone: nothing is sent."""

    def test_on_the_command_line(self):
        for blank in INVISIBLE:
            for upload_id in ("ID" + blank, blank + "ID"):
                with self.subTest(upload_id):
                    done = run("obs://bucket/key", upload_id, env=self.env)
                    self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                    self.assertIn("the upload id begins or ends with white space or an invisible", done.stderr)
        self.assertEqual(self.listener.connections(), 0)

    def test_in_a_list(self):
        for blank in INVISIBLE[:8]:
            for line in (f"key\tID{blank}", f"key\t{blank}ID", f"key{blank}\tID", f"{blank}key\tID",
                         f"key\tID{blank}\t2026-01-01T00:00:00Z\t3d 0h"):
                for end in ("\n", "\r\n", ""):
                    with self.subTest(line + end):
                        done = run("--from", "-", "obs://bucket", env=self.env, stdin=f"good\tID\n{line}{end}")
                        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                        self.assertIn("line 2: white space or an invisible character", done.stderr)
        self.assertEqual(self.listener.connections(), 0)


class ListFiles(WithServer):
    """What --from reads."""

    def make(self, count, form="{key}\t{id}\n"):
        keys = [f"key {n}" for n in range(count)]
        return "".join(form.format(key=key, id=self.s3.initiate("leftovers", key)) for key in keys).encode()

    def takes(self, content, count):
        done = run("--from", file_of(content), "obs://leftovers", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{count} aborted, 0 failed", done.stderr)
        self.assertEqual(self.left(), [])
        return done

    def refuses(self, content, says):
        path = file_of(content)
        done = run("--from", path, "obs://leftovers", env=self.env)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertIn(f"{path}, line {says}", done.stderr)

    def test_a_byte_order_mark(self):
        self.takes(BOM + self.make(3), 3)
        self.takes(BOM + self.make(3, '"{key}"\t"{id}"\n'), 3)
        done = run("--from", "-", "obs://leftovers", env=self.env, stdin="\ufeff" + self.make(2).decode())
        self.assertIn("2 aborted, 0 failed", done.stderr)
        self.takes(BOM, 0)
        self.refuses(self.make(1) + BOM + b"key\tID\n", "2: white space or an invisible character")

    def test_a_key_that_begins_with_one(self):
        """A list quotes it, so that it is not taken for the file's own."""
        self.s3.initiate("leftovers", "\ufeffkey")
        listed = run("--list", "obs://leftovers", env=self.env).stdout
        self.takes(listed.encode(), 1)

    def test_utf_16(self):
        text = self.make(2).decode()
        for encoding in ("utf-16-le", "utf-16-be"):
            self.refuses(("\ufeff" + text).encode(encoding), "1: UTF-16")
            self.refuses(text.encode(encoding), "1: a NUL byte (UTF-16 text?")
        self.assertEqual(len(self.left()), 2)

    def test_lines_that_end_in_cr_lf_are_told(self):
        for form in ("{key}\t{id}\r\n", "{key}\t{id}\t-\t-\r\n", '"{key}"\t"{id}"\r\n'):
            self.assertIn("CR LF", self.takes(self.make(3, form), 3).stderr)
        text = self.make(1, "{key}\t{id}\r\n").decode()
        done = run("--quiet", "--from", "-", "obs://leftovers", env=self.env, stdin=text)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_list_that_is_cut_off(self):
        """An id that is cut short does not exist, and would count as gone."""
        self.make(3)
        listed = run("--list", "obs://leftovers", env=self.env).stdout.encode()
        last = listed[:-1].rindex(b"\n")
        for end in (last + 12, listed.rindex(b"\t2") + 4):
            self.refuses(listed[:end], "3: ")
        self.assertEqual(len(self.left()), 3)
        self.takes(listed[:-1], 3)
        self.assertIn("the last line has no end", self.takes(self.make(2)[:-1], 2).stderr)

    def test_white_space_at_the_ends_of_keys(self):
        """Keys may have it. A list puts them in quotes, and what it prints is taken."""
        keys = ["trailing ", " leading", " ", "nbsp\u00a0", "\u3000wide\u3000", "zero\u200bwidth", "a\u2060",
                "in\u3000side"]
        for key in keys:
            self.s3.initiate("leftovers", key)
        listed = run("--list", "obs://leftovers", env=self.env).stdout
        self.assertIn('"trailing "\t', listed)
        self.assertIn('"nbsp\\xc2\\xa0"\t', listed)
        self.assertIn("in\u3000side\t", listed)
        self.takes(listed.encode(), len(keys))


class CredentialsFile(WithServer):
    """As shells and readers of .env files take it."""

    def use(self, content):
        self.upload_id = self.s3.initiate("leftovers", "key")
        path = file_of(content)
        env = environment(OBS_ENDPOINT=self.server.endpoint)
        return path, run("--credentials", f"file:{path}", "obs://leftovers/key", self.upload_id, env=env)

    def test_taken(self):
        pair = ("OBS_ACCESS_KEY_ID", self.server.access_key), ("OBS_SECRET_ACCESS_KEY", self.server.secret_key)
        for form in ("{}={}\n", '{}="{}"\n', "{}='{}'\n", "export {}={}\n", "\texport  {}='{}'\n", "{}={}\r\n",
                     '{}="{}"\r\n', "  {}={}\n", "{} = {}\n", "{}={} \t\n", "{}={} # of the test\n",
                     "{}='{}' # of the test\n", "#\n\n{}={}\n"):
            content = "".join(form.format(*one) for one in pair)
            for text in (content, content.rstrip("\n"), "OTHER='open\n" + content, content + 'OBS_SECURITY_TOKEN=""\n'):
                for start in (b"", BOM):
                    with self.subTest(text):
                        _, done = self.use(start + text.encode())
                        self.assertEqual((done.returncode, self.left()), (0, []), done.stderr)

    def test_refused(self):
        secret = self.server.secret_key
        for value, says in (('"{}', "line 2: the value"), ("'{}\"", "line 2: the value"), ('{}"', "line 2: the value"),
                            ('"{}"x', "line 2: the value"), ("{} x", "line 2: the value"), ("'{}' x", "line 2: the value"),
                            ("{}\0", "line 2: a NUL byte"), ("", "OBS_SECRET_ACCESS_KEY"), ('""', "OBS_SECRET_ACCESS_KEY"),
                            ("\u00a0{}", "OBS_SECRET_ACCESS_KEY has white space")):
            with self.subTest(value):
                text = f"OBS_ACCESS_KEY_ID=AK\nOBS_SECRET_ACCESS_KEY={value.format(secret)}\n"
                _, done = self.use(text.encode())
                self.assertEqual((done.returncode, done.stdout), (3, ""), done.stderr)
                self.assertIn(says, done.stderr)
                self.assertNotIn(secret, done.stderr)

    def test_what_is_missing_is_named(self):
        path, done = self.use(b"OBS_ACCESS_KEY_ID=AK\nSECRET_KEY=x\n")
        self.assertEqual(done.stderr, f"obs-abort: {path}: no line OBS_SECRET_ACCESS_KEY=...\n")
        _, done = self.use("OBS_ACCESS_KEY_ID=AK\n".encode("utf-16"))
        self.assertIn("line 1: UTF-16 text; save it as UTF-8", done.stderr)
