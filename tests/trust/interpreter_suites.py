"""The snippets of the test suites that interpreters bring: every string and example in them, with the interpreter's verdict."""

from __future__ import annotations

import base64
import functools
import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from buildguard.check.compile_files import UNREAD, Judge
from buildguard.check.snippets import SnippetStage
from buildguard.codes import RULE_ERRORS
from buildguard.diagnostic import RelativePath, Severity, UnreadableFile
from buildguard.engines.engine import EngineName, ReadyEngine
from buildguard.engines.select import EngineSettings, create_engine
from buildguard.project.target import PythonVersion
from buildguard.stages.stage import Entry, EntryKind
from buildguard.system.cache import Cache
from buildguard.system.pythons import candidates
from tests.conftest import interpreter

# Runs in the interpreter itself, which alone can read its own suite.
_EXTRACT = r"""
import ast, base64, doctest, glob, json, os, sys, warnings
warnings.simplefilter("ignore")
if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)
folder = os.path.join(os.path.dirname(os.__file__), "test")
names = ["test_fstring", "test_syntax", "test_grammar", "test_tokenize", "test_exceptions", "test_unpack_ex", "test_named_expressions",
         "test_positional_only_arg", "test_patma", "test_type_params", "test_type_aliases", "test_string_literals", "test_future", "test_generators"]
snippets = {}
for name in names:
    path = os.path.join(folder, name + ".py")
    if not os.path.exists(path):
        continue
    with open(path, "rb") as file:
        data = file.read()
    snippets[data] = None
    for node in ast.walk(ast.parse(data)):
        text = getattr(node, "value", getattr(node, "s", None)) if type(node).__name__ in ("Constant", "Str") else None
        if isinstance(text, bytes):
            snippets[text] = None
        elif isinstance(text, str):
            try:
                snippets[text.encode("utf-8")] = None
                examples = doctest.DocTestParser().get_examples(text) if ">>>" in text else []
            except (UnicodeError, ValueError):
                examples = []
            for example in examples:
                snippets[example.source.encode("utf-8")] = None
for path in glob.glob(os.path.join(folder, "tokenize*")) + glob.glob(os.path.join(folder, "tokenizedata", "*")) + glob.glob(os.path.join(folder, "bad*.py")):
    if os.path.isfile(path):
        with open(path, "rb") as file:
            snippets[file.read()] = None
for snippet in snippets:
    try:
        compile(snippet, "<snippet>", "exec", 0, True)
        verdict = True
    except (SyntaxError, ValueError, OverflowError):
        verdict = False
    except (MemoryError, RecursionError):
        continue
    print(json.dumps([base64.b64encode(snippet).decode("ascii"), verdict]))
"""


class SuiteSnippet(NamedTuple):
    """A piece of source, and whether the interpreter whose suite has it accepts it."""

    source: bytes
    accepted: bool


class _BytesStage(SnippetStage):
    """Snippets that need not be text."""

    def __init__(self, sources: Sequence[bytes]) -> None:
        super().__init__(Path("/nowhere"), {})
        self.sources = {f"{number}.py".encode(): source for number, source in enumerate(sources)}

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        for entry in entries:
            yield entry, self.sources[entry.path]


@functools.cache
def suite_snippets(version: str) -> tuple[SuiteSnippet, ...]:
    """Every snippet of an interpreter's own suite."""
    argv = [str(with_suite(version)), "-I", "-S", "-B", "-c", _EXTRACT]
    printed = subprocess.run(argv, capture_output=True, check=True).stdout
    rows = map(json.loads, printed.splitlines())
    return tuple(SuiteSnippet(base64.b64decode(source), accepted) for source, accepted in rows)


def with_suite(version: str) -> Path:
    """An interpreter that has its test suite: a distribution leaves it out."""
    for path, _where in candidates(version, Path("/nowhere")):
        if (path.resolve().parents[1] / f"lib/python{version}/test/test_fstring.py").exists():
            return path
    return interpreter(version)


def verdicts(version: str, engine: EngineName, sources: Sequence[bytes]) -> list[bool]:
    """Whether each source passes, by one of our engines with every rule."""
    python = PythonVersion.parse(version)
    assert python is not None
    cache = Cache(None)
    made = create_engine(engine, EngineSettings(python, Path("/nowhere"), 1, cache))
    assert made is not None
    try:
        ready = made.prepare()
        assert isinstance(ready, ReadyEngine)
        stage = _BytesStage(sources)
        entries = [Entry(RelativePath(path), EntryKind.FILE) for path in stage.sources]
        judged = Judge(stage, made, ready, python.minor, cache).run(
            entries, [UNREAD] * len(entries), lambda _number: None
        )
    finally:
        made.close()
    assert not [verdict.unproven for verdict in judged if verdict.unproven]
    refusing = {"BG101", "BG102", "BG103", *RULE_ERRORS}
    return [
        not any(finding.code in refusing and finding.severity is Severity.ERROR for finding in verdict.findings)
        for verdict in judged
    ]
