#!/usr/bin/env python3
"""Runs suites of this directory: python3 tests/e2e/run.py SUITE... [-k PATTERN]...

A suite is test_SUITE.py, a unittest file; `all` is every one, each in a process of its own.
OBSABORT_LIB names the library under test, OBS_LOCAL the obs-local program. The last line is
`N passed, N failed, N skipped`; skipped tests are named, with what to install for them.
"""

import argparse
import glob
import os
import re
import signal
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
# The suites' way to the library, and that of the programs that they start.
PACKAGE = os.path.join(HERE, "../../bindings/python")


class Result(unittest.TextTestResult):
    """Counts each test once, however many of its subtests fail."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def failed(self):
        tests = [getattr(test, "test_case", test) for test, _ in self.failures + self.errors]
        return len({test.id() for test in tests}) + len(self.unexpectedSuccesses)


def run_suite(name, patterns):
    path = os.path.join(HERE, f"test_{name}.py")
    if not os.path.exists(path):
        sys.exit(f"no such suite: {name} (known: {', '.join(suites())})")
    print(f"== {name}", flush=True)
    loader = unittest.TestLoader()
    if patterns:
        loader.testNamePatterns = [f"*{pattern}*" for pattern in patterns]
    tests = loader.loadTestsFromName(f"test_{name}")
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(tests)
    for test, reason in result.skipped:
        print(f"SKIPPED {test}: {reason}")
    failed, skipped = result.failed(), len(result.skipped)
    if result.passed + failed + skipped == 0:
        print(f"{name}: no test matched")
        failed = 1
    print(f"{result.passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


def suites():
    files = sorted(glob.glob(os.path.join(HERE, "test_*.py")))
    return [os.path.basename(file)[len("test_") : -len(".py")] for file in files]


def run_each(names, patterns):
    """One process a suite: some enter namespaces of their own, which can't be left again."""
    totals, broken = [0, 0, 0], []
    for name in names:
        command = [sys.executable, os.path.abspath(__file__), name]
        for pattern in patterns:
            command += ["-k", pattern]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        last = ""
        try:
            for last in process.stdout:
                print(last, end="", flush=True)
        except BaseException:
            process.terminate()
            raise
        counts = re.findall(r"(\d+) (?:passed|failed|skipped)", last)
        totals = [a + int(b) for a, b in zip(totals, counts)] if counts else totals
        if process.wait() != 0:
            broken.append(name)
    if broken:
        print("failed suites:", ", ".join(broken))
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if broken else 0


def main():
    # A runner in the background ignores Ctrl-C, and so would the programs that are to be interrupted here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("suite", nargs="+", help="all, or: " + ", ".join(suites()))
    parser.add_argument("-k", dest="patterns", action="append", default=[], help="only tests whose name contains this")
    options = parser.parse_args()
    library = os.environ.get("OBSABORT_LIB")
    if not library or not os.path.exists(library):
        sys.exit(f"OBSABORT_LIB must name the built libobsabort.so; it is {library!r}")
    # As an ordinary exit, so that servers are stopped and temporary directories removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    sys.path[:0] = [HERE, PACKAGE]
    os.environ["PYTHONPATH"] = PACKAGE
    names = suites() if options.suite == ["all"] else options.suite
    if len(names) == 1:
        sys.exit(run_suite(names[0], options.patterns))
    sys.exit(run_each(names, options.patterns))


if __name__ == "__main__":
    main()
