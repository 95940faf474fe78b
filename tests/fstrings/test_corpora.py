"""The rules over what others wrote: CPython's own tests of f-strings, and every file on this machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from buildguard.codes import RULE_ERRORS
from buildguard.fstrings import rules
from buildguard.fstrings.fix_plan import plan_rewrite
from buildguard.fstrings.prefilter import may_be_refused, may_nest
from buildguard.project.source_text import decode_source
from tests.conftest import VERSIONS, interpreter, sample
from tests.oracle import doubt, refusals

_F_STRING = re.compile(rb"(?i)\b(?:f|fr|rf)['\"]")
_OLD = ("3.8", "3.9", "3.10", "3.11")
_SPLIT = """
import ast, json, sys
source = open(sys.argv[1], encoding="utf-8").read()
found = []
for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.stmt) and not isinstance(node, ast.ClassDef):
        found.append(ast.get_source_segment(source, node))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        found.append(node.value)
print(json.dumps(found))
"""
# Replaces every f-string by an empty one, found by the target's own tokenizer, so that what is left is about something else.
_WITHOUT = """
import io, json, sys, tokenize
source = sys.stdin.buffer.read().decode("utf-8")
lines = source.splitlines(keepends=True)
depth, spans = 0, []
for token in tokenize.generate_tokens(io.StringIO(source).readline):
    if token.type == tokenize.FSTRING_START:
        if depth == 0:
            start = token.start
        depth += 1
    elif token.type == tokenize.FSTRING_END:
        depth -= 1
        if depth == 0:
            spans.append((start, token.end))
for (line, column), (end, end_column) in reversed(spans):
    head, tail = lines[line - 1][:column], lines[end - 1][end_column:]
    lines[line - 1 : end] = [head + '\"\"\"' + "\\n" * (end - line) + '\"\"\"' + tail]
sys.stdout.buffer.write("".join(lines).encode("utf-8"))
"""


def _library(version: str) -> Path:
    return interpreter(version).parents[1] / "lib" / f"python{version}"


def _pieces(version: str) -> list[str]:
    """The statements and strings of CPython's own test of f-strings."""
    file = _library(version) / "test" / "test_fstring.py"
    done = subprocess.run([interpreter(version), "-I", "-c", _SPLIT, file], capture_output=True, check=True)
    found = json.loads(done.stdout)
    return [one for one in dict.fromkeys(found) if one.isprintable() or one.isascii()]


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_cpythons_own_tests_of_f_strings(version: str) -> None:
    pieces = _pieces(version)
    assert len(pieces) > 500
    old = {one: refusals(one, pieces) for one in _OLD}
    new = refusals(version, pieces)
    refused = 0
    for at, piece in enumerate(pieces):
        found = {one.code for one in rules.findings(piece.encode(), 11)} & RULE_ERRORS
        if found:
            assert all(old[one][at] for one in _OLD), piece
        elif not new[at]:
            assert not old["3.11"][at] or "f'" not in piece.replace('"', "'"), piece
        refused += bool(found)
        if found and not new[at]:
            made = plan_rewrite(piece, 11)
            if not any(fix.reason for fix in made.fixes):
                assert refusals("3.11", [made.after]) == [""], piece
                assert doubt(version, piece, made.after, made.lifted) == "", piece
    assert refused > 15


def _sources() -> list[bytes]:
    folders = [*(_library(version) for version in VERSIONS), Path(sys.prefix)]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    return list(dict.fromkeys(file.read_bytes() for file in sample(files, 3)))


@pytest.mark.interpreters
def test_every_file_of_this_machine() -> None:
    sources = _sources()
    assert len(sources) > 1500
    texts = {data: text for data in sources if (text := decode_source(data)) is not None}
    told = 0
    for data, text in texts.items():
        found = {one.code for one in rules.findings(data, 11)}
        errors = found & RULE_ERRORS
        # the screens miss nothing that a full look finds
        assert not errors or may_be_refused(data)
        assert not found or errors or may_nest(data)
        if errors:
            assert all(refusals(version, [text]) != [""] for version in ("3.8", "3.11")), text[:200]
            told += 1
            _fixed(text)
    assert told > 3


def _fixed(text: str) -> None:
    """What is claimed to be fixed compiles, means the same, and nothing else in the file changed."""
    made = plan_rewrite(text, 11)
    if refusals("3.13", [text]) != [""]:
        return
    masked = rules.mask_fstrings(made.after, 11)
    if refusals("3.11", [rules.mask_fstrings(text, 11)]) == [""]:
        assert refusals("3.11", [masked]) == [""]
    assert doubt("3.13", made.before, made.after, made.lifted) == ""
    touched = {
        line for fix in made.fixes for line in range(fix.verdict.range.line or 0, (fix.verdict.range.end_line or 0) + 1)
    }
    kept = [line for at, line in enumerate(text.split("\n"), 1) if at not in touched]
    after = iter(made.after.split("\n"))
    assert all(any(line == other for other in after) for line in kept)


@pytest.mark.parametrize("version", [pytest.param("3.12", marks=pytest.mark.slow), "3.13"])
def test_nothing_is_missed_in_the_standard_library(version: str) -> None:
    """A file that 3.11 refuses and that it accepts without its f-strings carries a finding."""
    texts = [
        text
        for file in sorted(_library(version).rglob("*.py"))
        if "site-packages" not in file.parts
        and _F_STRING.search(data := file.read_bytes())
        and (text := decode_source(data)) is not None
    ]
    refused = [text for text, words in zip(texts, refusals("3.11", texts), strict=True) if words]
    suspicious = [text for text, words in zip(refused, refusals(version, refused), strict=True) if not words]
    explained = 0
    for text in suspicious:
        done = subprocess.run(
            [interpreter(version), "-I", "-c", _WITHOUT], input=text.encode(), capture_output=True, check=True
        )
        only_f_strings = refusals("3.11", [done.stdout.decode()]) == [""]
        found = {one.code for one in rules.findings(text.encode(), 11)} & RULE_ERRORS
        assert found or not only_f_strings
        explained += bool(found)
    assert explained
