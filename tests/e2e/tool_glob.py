"""The globs of obs-abort by themselves: a small C program calls the matcher. No server is needed."""

import fnmatch
import os
import random
import re
import subprocess
import time
import unittest

import support

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.join(HERE, "../../tools/obs-abort")

MATCHES = [
    ("a", "a"), ("abc", "abc"), ("?", "a"), ("?", "é"), ("?", "\U0001f4be"), ("*", ""), ("*", "abc"), ("**", ""),
    ("**", "a/b/c"), ("a*", "a"), ("a*", "abc"), ("*c", "abc"), ("a*c", "ac"), ("a*c", "abc"), ("a*b*c", "a1b2c"),
    ("*ab", "aab"), ("*ab", "abab"), ("a/*", "a/b"), ("a/*/c", "a/b/c"), ("*/*", "a/b"), ("a/**", "a/b/c"), ("a/**", "a/"),
    ("**/c", "a/b/c"), ("**.tmp", "a/b.tmp"), ("**.tmp", ".tmp"), ("a**c", "a/b/c"), ("a**/*.c", "a/b/d/x.c"),
    ("**x*y", "a/x/x1y"), ("*a**b", "ca/b"), ("*a**b*c", "xa/y/bzc"), ("**/*.gz", "d/e/f.gz"),
    ("[abc]", "b"), ("[a-c]", "c"), ("[!a-c]", "d"), ("[^a-c]", "d"), ("[]]", "]"), ("[!]]", "a"), ("[]-a]", "^"),
    ("[a-]", "-"), ("[-a]", "-"), ("[!-]", "a"), ("[[]", "["), ("[a-cx-z]", "y"), ("[a^]", "^"), ("[a!]", "!"),
    ("[é]", "é"), ("[а-я]", "ж"), ("[!a]", "é"), ("[\\]]", "]"), ("[\\!a]", "!"), ("[a\\-z]", "-"), ("[\\a-\\c]", "b"),
    ("[+-9]", "5"), ("\\*", "*"), ("\\?", "?"), ("\\[a]", "[a]"), ("\\\\", "\\"), ("\\a", "a"), ("\\{a,b}", "{a,b}"),
    ("[{]a}", "{a}"), ("a]", "a]"), ("a-b", "a-b"), ("!a", "!a"), (" *", " a"), ("*\n*", "a\nb"), ("/*", "/a"), ("//", "//"),
    ("*" + "a" * 1023, "a" * 1024), ("a" * 1024, "a" * 1024), ("ÿ", "ÿ"), ("*.tar", "..tar"), ("*", ".hidden"),
]
DIFFERS = [
    ("a", ""), ("a", "b"), ("a", "ab"), ("b", "ab"), ("A", "a"), ("?", ""), ("?", "ab"), ("?", "/"), ("*", "/"), ("*", "a/b"),
    ("a*", "a/b"), ("a*c", "a/c"), ("*/*", "a/b/c"), ("a/*", "a/b/c"), ("a/*", "a/b/"), ("a?c", "a/c"), ("a[+-9]c", "a/c"),
    ("a[!b]c", "a/c"), ("*.tmp", "a/b.tmp"), ("a/**", "a"), ("**/c", "c"), ("**x*y", "a/x/1y/"), ("*a**b", "c/a/b"),
    ("[abc]", "d"), ("[a-c]", "d"), ("[!a-c]", "b"), ("[^a-c]", "b"), ("[!]]", "]"), ("[!-]", "-"), ("[a-c]", "ab"),
    ("[a-c]", ""), ("[а-я]", "z"), ("[\\!a]", "b"), ("[a\\-z]", "b"), ("\\*", "a"), ("\\?", "a"), ("\\a", "\\a"),
    ("é", "e\u0301"), ("?", "e\u0301"), ("a" * 1024, "a" * 1023), ("*", "a/"), ("**a", "a/b"),
]
WRONG = [
    ("", "empty"), ("[", "not closed"), ("[]", "not closed"), ("[!", "not closed"), ("[!]", "not closed"), ("a[b", "not closed"),
    ("[a-", "not closed"), ("[a\\", "not closed"), ("[a\\]", "not closed"), ("a\\", "backslash"), ("\\", "backslash"),
    ("[c-a]", "backwards"), ("***", "stars"), ("a****b", "stars"), ("[/]", "/ can't"), ("[a/b]", "/ can't"), ("[/-9]", "/ can't"),
    ("[[:alpha:]]", "classes"), ("[a[.b.]]", "classes"), ("[[=a=]]", "classes"), ("{a,b}", "{a,b}"), ("*.{gz,tar}", "{a,b}"),
    ("a" * 1025, "longer"), ("?" * 1025, "longer"), (b"\xff", "UTF-8"), (b"[\xc3]", "UTF-8"), (b"a\xed\xa0\x80", "UTF-8"),
]


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


class Matcher(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need(("cc",), "gcc")
        cls.program = os.path.join(support.temp_dir(), "glob_host")
        sanitize = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
        names = [os.path.join(SOURCES, name) for name in ("glob.c", "text.c")]
        support.run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", *sanitize, "-I", os.environ["INCLUDEDIR"], "-I", SOURCES,
                     os.path.join(HERE, "glob_host.c"), *names, "-o", cls.program])

    def ask(self, pairs):
        lines = "".join(f"{as_bytes(glob).hex()} {as_bytes(text).hex()}\n" for glob, text in pairs)
        done = subprocess.run([self.program], input=lines, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        answers = done.stdout.splitlines()
        self.assertEqual(len(answers), len(pairs))
        return answers

    def test_what_matches(self):
        for pair, answer in zip(MATCHES, self.ask(MATCHES)):
            self.assertEqual(answer, "1", pair)

    def test_what_differs(self):
        for pair, answer in zip(DIFFERS, self.ask(DIFFERS)):
            self.assertEqual(answer, "0", pair)

    def test_what_is_no_glob(self):
        for (glob, says), answer in zip(WRONG, self.ask([(glob, "a") for glob, _ in WRONG])):
            self.assertIn(says, answer, glob)

    def test_bytes_that_are_no_text(self):
        """A list may have such a key; it is refused later, and must not match by chance."""
        self.assertEqual(self.ask([("?", b"\xff"), ("*", b"a\xff"), ("ÿ", b"\xff"), ("[ -~]", b"\xff")]), ["1", "1", "0", "0"])

    def test_as_fnmatch_of_python(self):
        """Whatever means the same in both: without slashes, backslashes, braces, and brackets that either leaves open."""
        rng = random.Random(20261130)
        pieces = ["a", "b", "c", "é", "-", "]", "!", "?", "?", "*", "*", "[abc]", "[!abc]", "[a-c]", "[!b-é]", "[]a]", "[c-]", "[!-a]"]
        pairs = []
        for _ in range(25000):
            glob = "".join(rng.choice(pieces) for _ in range(rng.randrange(1, 9)))
            glob = re.sub(r"\*+", "*", glob)
            pairs.append((glob, "".join(rng.choice("aabbcé-]!") for _ in range(rng.randrange(9)))))
        matched = 0
        for (glob, text), answer in zip(pairs, self.ask(pairs)):
            expected = fnmatch.fnmatchcase(text, glob)
            matched += expected
            self.assertEqual(answer, "1" if expected else "0", (glob, text))
        self.assertGreater(matched, 1000)

    def test_as_a_regular_expression_with_slashes(self):
        rng = random.Random(20261201)
        meanings = {"a": "a", "b": "b", "/": "/", "?": "[^/]", "*": "[^/]*", "**": ".*", "[a-b]": "[ab]", "[!a]": "[^a/]", "\\*": r"\*"}
        pairs, expected = [], []
        for _ in range(25000):
            tokens = [rng.choice(list(meanings)) for _ in range(rng.randrange(1, 8))]
            if any(one in ("*", "**") and other in ("*", "**") for one, other in zip(tokens, tokens[1:])):
                continue
            text = "".join(rng.choice("aab/*") for _ in range(rng.randrange(9)))
            pairs.append(("".join(tokens), text))
            expected.append(re.fullmatch("".join(meanings[token] for token in tokens), text, re.S) is not None)
        for pair, answer, wanted in zip(pairs, self.ask(pairs), expected):
            self.assertEqual(answer, "1" if wanted else "0", pair)
        self.assertGreater(sum(expected), 1000)

    def test_no_glob_takes_exponential_time(self):
        """What backtracking needs the age of the universe for."""
        pairs = [("*a" * 511 + "*b", "a" * 1024), ("**a*a" * 204 + "b", "a" * 1024), ("**/*a" * 200 + "x", "/a" * 512)]
        began = time.monotonic()
        self.assertEqual(self.ask(pairs * 5), ["0"] * 15)
        self.assertLess(time.monotonic() - began, 10)
