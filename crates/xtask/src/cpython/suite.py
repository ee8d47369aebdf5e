"""Runs the tests of one of CPython's own test modules, one by one, and says how each ended: a line of JSON each,
`{"begin": id}` and `{"end": id, "outcome": "pass" | "fail" | "skip", "why": text}`.

    suite.py MODULE [FIRST]

FIRST: the number of the test to begin with, after an earlier run ended in the middle.
"""

import json
import sys
import unittest


def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


class Told(unittest.TestResult):
    """Tells each outcome at once: the program may not live to see the end."""

    def __init__(self):
        super().__init__()
        self._ended = None

    def _tell(self, **line):
        sys.__stdout__.write("\x1e" + json.dumps(line) + "\n")
        sys.__stdout__.flush()

    def startTest(self, test):
        super().startTest(test)
        self._ended = None
        self._tell(begin=test.id())

    def _end(self, outcome, why=""):
        # A failure in a clean-up counts for more than the success before it.
        if self._ended is None or outcome == "fail" != self._ended[0]:
            self._ended = (outcome, why)

    def stopTest(self, test):
        outcome, why = self._ended or ("pass", "")
        self._tell(end=test.id(), outcome=outcome, why=why)
        super().stopTest(test)

    def _failed(self, test, err):
        last = "".join(self._exc_info_to_string(err, test).strip().splitlines()[-1:])
        if isinstance(test, unittest.TestCase):
            self._end("fail", f"{err[0].__name__}: {err[1]}"[:300] or last)
        else:
            self._tell(end=str(test), outcome="fail", why=last)

    def addError(self, test, err):
        self._failed(test, err)
        if "-v" in sys.argv:
            sys.__stderr__.write(self._exc_info_to_string(err, test))

    addFailure = addError

    def addSkip(self, test, reason):
        if isinstance(test, unittest.TestCase):
            self._end("skip", reason)
        else:
            self._tell(end=str(test), outcome="skip", why=reason)

    def addExpectedFailure(self, test, err):
        self._end("pass")

    def addUnexpectedSuccess(self, test):
        self._end("fail", "unexpected success")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addError(test, err)


def main():
    module, first = sys.argv[1], int((sys.argv[2:3] or ["0"])[0])
    only = [name for name in sys.argv[3:] if name != "-v"]
    tests = list(tests_of(unittest.defaultTestLoader.loadTestsFromName(module)))[first:]
    if only:
        tests = [test for test in tests if any(name in test.id() for name in only)]
    unittest.TestSuite(tests).run(Told())


if __name__ == "__main__":
    main()
