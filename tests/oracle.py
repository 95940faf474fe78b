"""What real interpreters say of many small sources: one process each, asked by the batch."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from buildguard.check.verify_fix import SourcePair
from buildguard.system.json_workers import JsonWorkers, LostAnswer
from tests.conftest import REPOSITORY, interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMPILE = """
import json, sys, warnings
warnings.simplefilter("ignore")
for line in sys.stdin:
    found = []
    for source in json.loads(line):
        try:
            compile(source.encode("utf-8"), "<source>", "exec", 0, True)
        except BaseException as error:
            found.append("%s: %s" % (type(error).__name__, error))
        else:
            found.append("")
    sys.stdout.write(json.dumps(found) + "\\n")
    sys.stdout.flush()
"""


@functools.cache
def _compiler(version: str) -> JsonWorkers:
    return JsonWorkers([str(interpreter(version)), "-I", "-S", "-B", "-c", _COMPILE], 1)


@functools.cache
def _reader(version: str) -> JsonWorkers:
    text = (REPOSITORY / "buildguard/remote/ast_compare.py").read_text("utf-8")
    return JsonWorkers([str(interpreter(version)), "-I", "-S", "-B", "-c", text, str(4 << 30)], 1)


def refusals(version: str, sources: Sequence[str]) -> list[str]:
    """What an interpreter says against each source; empty where it compiles."""
    (answer,) = _compiler(version).ask([list(sources)])
    assert not isinstance(answer, LostAnswer), answer
    return [str(one) for one in answer]


def doubt(version: str, before: str, after: str, names: Sequence[str] = ()) -> str:
    """Why two sources do not mean the same to an interpreter; empty where they do."""
    (answer,) = _reader(version).ask([SourcePair(before, after, tuple(names))._asdict()])
    assert not isinstance(answer, LostAnswer), answer
    return str(answer)
