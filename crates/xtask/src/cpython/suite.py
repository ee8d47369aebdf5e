"""Runs the tests of one of CPython's own test modules, one by one, and says how each ended: lines that begin with the
character RS, of fields with tabs between: `begin ID`, then `end ID pass|fail|skip WHY`.

    suite.py MODULE FIRST

FIRST: the number of the test to begin with, after an earlier run ended in the middle. The file `left-out` beside this
one names tests that are not run.
"""

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

    def _tell(self, *fields):
        line = "\t".join(" ".join(field.split()) for field in fields)
        line = line.encode("utf-8", "backslashreplace").decode()
        sys.__stdout__.write(f"\n\x1e{line}\n")
        sys.__stdout__.flush()

    def startTest(self, test):
        super().startTest(test)
        self._ended = None
        self._tell("begin", test.id())

    def _end(self, outcome, why=""):
        # A failure in a clean-up counts for more than the success before it.
        if self._ended is None or outcome == "fail" != self._ended[0]:
            self._ended = (outcome, why)

    def stopTest(self, test):
        outcome, why = self._ended or ("pass", "")
        self._tell("end", test.id(), outcome, why)
        super().stopTest(test)

    def _failed(self, test, err):
        last = "".join(self._exc_info_to_string(err, test).strip().splitlines()[-1:])
        if isinstance(test, unittest.TestCase):
            self._end("fail", f"{err[0].__name__}: {err[1]}"[:300] or last)
        else:
            self._tell("end", str(test), "fail", last)

    def addError(self, test, err):
        self._failed(test, err)
        sys.__stderr__.write(self._exc_info_to_string(err, test))

    addFailure = addError

    def addSkip(self, test, reason):
        if isinstance(test, unittest.TestCase):
            self._end("skip", reason)
        else:
            self._tell("end", str(test), "skip", reason)

    def addExpectedFailure(self, test, err):
        self._end("pass")

    def addUnexpectedSuccess(self, test):
        self._end("fail", "unexpected success")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addError(test, err)


def main():
    module, first = sys.argv[1], int(sys.argv[2])
    with open("left-out") as file:
        left_out = set(file.read().split())
    tests = list(tests_of(unittest.defaultTestLoader.loadTestsFromName(module)))[first:]
    told = Told()
    # The module's and the classes' fixtures need the whole suite; a test that is left out still counts.
    for test in tests:
        if test.id().removeprefix("test.") in left_out:
            setattr(test, test._testMethodName, unittest.skip("left out")(lambda: None))
    unittest.TestSuite(tests).run(told)


if __name__ == "__main__":
    main()
