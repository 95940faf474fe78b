"""Counting the tests of a JUnit XML file; entities, other documents and files that were cut off are refused. Pure."""

from __future__ import annotations

from typing import NamedTuple
from xml.parsers import expat

MOST_BYTES = 64 << 20
_NOT_RUN = frozenset({"notrun", "disabled", "skipped"})
_RESULTS = {"failure": "failed", "error": "errors", "skipped": "skipped"}
_RANKS = ("failed", "errors", "skipped")  # the first that a test has counts


class Counts(NamedTuple):
    """How many tests passed, failed, ended with an error, and did not run."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @property
    def ran(self) -> int:
        """How many tests ran, whatever came of them."""
        return self.passed + self.failed + self.errors

    def plus(self, other: Counts) -> Counts:
        """The sum of two runs."""
        return Counts(*map(sum, zip(self, other, strict=True)))


class _RefusedError(Exception):
    """The document is none that a test runner writes."""


def counts(data: bytes) -> Counts | None:
    """What a file counts; None where it is not JUnit XML, is incomplete, larger than MOST_BYTES, or declares entities."""
    if len(data) > MOST_BYTES:
        return None
    reader = _Reader()
    try:
        reader.read(data)
    except (_RefusedError, expat.ExpatError, ValueError, LookupError):
        return None
    return reader.result()


class _Reader:
    """Counts the test cases of one document as its elements come by."""

    def __init__(self) -> None:
        self._tests: dict[str, int] = dict.fromkeys(Counts._fields, 0)
        self._results: set[str] | None = None  # of the test case that is open
        self._is_junit = False
        self._claimed = 0  # failures by the attributes of a suite

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.Parse(data, True)

    def result(self) -> Counts | None:
        if not self._is_junit:
            return None
        total = Counts(**self._tests)
        # a suite may count a failure that it lists at no test
        return total._replace(errors=max(total.errors, self._claimed - total.failed))

    def _refuse(self, *_declaration: object) -> None:
        raise _RefusedError

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        is_suite = name in {"testsuite", "testsuites"}
        if not self._is_junit and not is_suite:
            raise _RefusedError
        self._is_junit = True
        if is_suite:
            self._claimed = max(self._claimed, _number(attributes, "failures") + _number(attributes, "errors"))
        elif name == "testcase":
            self._results = {"skipped"} if attributes.get("status", "").lower() in _NOT_RUN else set()
        elif self._results is not None and name in _RESULTS:
            self._results.add(_RESULTS[name])

    def _end(self, tag: str) -> None:
        if tag.rpartition(":")[2] == "testcase" and self._results is not None:
            self._tests[next((rank for rank in _RANKS if rank in self._results), "passed")] += 1
            self._results = None


def _number(attributes: dict[str, str], name: str) -> int:
    text = attributes.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004
