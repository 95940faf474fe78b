"""How files are reached where no start command says: all of them at import, tests aside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from buildguard.imports.records import FileReach

_TEST = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")


def find_reach(paths: Iterable[str]) -> Mapping[str, FileReach]:
    """Each file that counts as executed; tests that nothing reaches are not among them."""
    return {path: FileReach(certain=True) for path in paths if not _TEST.search(path)}
