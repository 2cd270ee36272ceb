"""What the shared object shows to a linker: its name, its needs, its symbols, and nothing else."""

import os
import re
import unittest

import support

ALLOWED_NEEDS = re.compile(r"(libc\.so|libgcc_s\.so|ld-linux)[-.\w]*$")


def setUpModule():
    support.need(("nm", "readelf"), "binutils")


class Symbols(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        library = os.environ["OBSABORT_LIB"]
        cls.defined = support.run(("nm", "-D", "--defined-only", library)).stdout.split("\n")
        cls.undefined = support.run(("nm", "-D", "--undefined-only", library)).stdout
        cls.dynamic = support.run(("readelf", "-dW", library)).stdout
        cls.segments = support.run(("readelf", "-lW", library)).stdout

    def entries(self, tag):
        return re.findall(rf"\({tag}\)\s+[^\[]*\[([^\]]*)\]", self.dynamic)

    def test_only_our_prefix_is_exported(self):
        symbols = [line.split()[-2:] for line in self.defined if line]
        self.assertIn(["T", "obs_abort_multipart"], symbols)
        foreign = [s for s in symbols if s[0] != "T" or not s[1].startswith("obs_abort_")]
        self.assertEqual(foreign, [])

    def test_no_symbol_versions(self):
        self.assertEqual([line for line in self.defined if "@" in line], [])

    def test_soname(self):
        self.assertEqual(self.entries("SONAME"), ["libobsabort.so.0"])

    def test_never_unloaded(self):
        """A detached thread or a thread-local destructor must not run code that was unmapped."""
        self.assertRegex(self.dynamic, r"\(FLAGS_1\).*\bNODELETE\b")

    def test_needs_nothing_but_libc_and_the_unwinder(self):
        needed = self.entries("NEEDED")
        self.assertTrue(needed, self.dynamic)
        self.assertEqual([name for name in needed if not ALLOWED_NEEDS.match(name)], [])

    def test_no_newer_glibc_than_the_header_says(self):
        with open(os.path.join(os.environ["INCLUDEDIR"], "obsabort.h")) as file:
            said = re.search(r"glibc (\d+)\.(\d+) or newer", file.read())
        needed = re.findall(r"@GLIBC_(\d+)\.(\d+)", self.undefined)
        self.assertTrue(needed, self.undefined)
        self.assertLessEqual(max(tuple(map(int, version)) for version in needed), tuple(map(int, said.groups())))

    def test_no_path_of_the_build_machine(self):
        self.assertNotRegex(self.dynamic, r"\((RPATH|RUNPATH)\)")

    def test_stack_is_not_executable(self):
        stack = re.search(r"GNU_STACK.*", self.segments).group(0)
        self.assertNotIn("RWE", stack)


if __name__ == "__main__":
    unittest.main()
