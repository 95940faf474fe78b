"""What is answered about the standard library is what executing the import does."""

from __future__ import annotations

import os

from tests.conftest import VERSIONS
from tests.trust.imports import count, statements_of

_ALL = bool(os.environ.get("BUILDGUARD_ALL"))


def test_answers_are_what_executing_the_import_does(version: str) -> None:
    rows = statements_of(VERSIONS if _ALL else [version], 1 if _ALL else 25)

    counted = count(version, rows)

    assert counted.wrong == ()
    assert counted.executed == len(rows) > 20
    assert counted.undecided < counted.executed // 3
