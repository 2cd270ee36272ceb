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

    def test_what_is_listed_is_exported_and_nothing_else(self):
        with open(os.path.join(os.environ["INCLUDEDIR"], "obsabort.symbols")) as file:
            listed = [line.split()[0] for line in file if not line.startswith("#")]
        self.assertEqual([name for name in listed if not name.startswith("obs_abort_")], [])
        symbols = [line.split()[-2:] for line in self.defined if line]
        self.assertEqual(symbols, [["T", name] for name in listed])

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

    def test_no_symbol_of_a_newer_glibc(self):
        """A build by the compiler of the machine; tests/cross/check.py looks at the one for old systems."""
        needed = re.findall(r"@GLIBC_(\d+)\.(\d+)", self.undefined)
        self.assertTrue(needed, self.undefined)
        self.assertLessEqual(max(tuple(map(int, version)) for version in needed), (2, 34))

    def test_no_path_of_the_build_machine(self):
        self.assertNotRegex(self.dynamic, r"\((RPATH|RUNPATH)\)")

    def test_stack_is_not_executable(self):
        stack = re.search(r"GNU_STACK.*", self.segments).group(0)
        self.assertNotIn("RWE", stack)


if __name__ == "__main__":
    unittest.main()
