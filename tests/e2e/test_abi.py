"""The C ABI grows, and never changes: the header against the committed dump of the last release (abidiff)."""

import os
import re
import subprocess
import unittest

import abi_dump
import support

COMMITTED = os.path.join(os.path.dirname(abi_dump.HERE), "abi", "libobsabort.so.0.abi")


def setUpModule():
    support.need(("abidw", "abidiff"), "abigail-tools")
    support.need(("cc",), "gcc")


def changes(header):
    """What abidiff objects to in a header: nothing if all programs built with the committed one still work."""
    fresh = os.path.join(support.temp_dir(), "fresh.abi")
    abi_dump.write(header, fresh)
    found = subprocess.run(("abidiff", "--no-added-syms", COMMITTED, fresh), capture_output=True, text=True)
    return (found.stdout + found.stderr) if found.returncode != 0 else ""


def header():
    with open(os.path.join(os.environ["INCLUDEDIR"], "obsabort.h")) as file:
        return file.read()


def changed(pattern, replacement):
    text, count = re.subn(pattern, replacement, header())
    assert count == 1, f"{pattern}: {count} places"
    return text


class Abi(unittest.TestCase):
    def test_the_abi_is_that_of_the_last_release(self):
        self.assertEqual(changes(header()), "")

    def test_a_function_may_be_added(self):
        added = changed(r"(?m)^(?=void obs_abort_call_free\()", "int32_t obs_abort_new(uint64_t a, const char *b);\n")
        self.assertEqual(changes(added), "")

    def test_what_is_seen(self):
        """Else the first test could not fail."""
        rows = (
            ("a function that is gone", r"(?m)^void obs_abort_call_free\([^)]*\);", "", r"\[D\] .*obs_abort_call_free"),
            ("a wider parameter", r"(obs_abort_config_set_max_attempts\([^,]*,\s*)uint32_t", r"\1uint64_t", "parameter 2"),
            ("another return type", r"uint64_t (obs_abort_report_aborted\()", r"uint32_t \1", "return type changed"),
            ("one parameter more", r"(void obs_abort_call_cancel\([^)]*)\)", r"\1, int32_t how)", "parameter 2"),
            ("a member more", r"(?s)(typedef struct obs_abort_upload \{.*?)(\} obs_abort_upload;)", r"\1int64_t more;\n\2", "type size"),
            ("a callback's parameter", r"(\*obs_abort_log_fn\)\()int32_t", r"\1int64_t", "parameter"),
        )
        for what, pattern, replacement, said in rows:
            with self.subTest(what):
                self.assertRegex(changes(changed(pattern, replacement)), said)


if __name__ == "__main__":
    unittest.main()
