"""Sources that are templates of a source: what the target rejects of them is a warning where no start reaches them. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.diagnostic import Diagnostic, Severity

_FOLDER = lazy_pattern(r"(?:^|/)(?:(?:[^/]*[-_.])?(?:templates?|skel(?:etons?)?|scaffolds?)|[^/]*cookiecutter[^/]*)/")
# Not in a text or a comment: a module that makes HTML has tags there, and is no template.
_TAG = lazy_pattern(
    r"\s*(?:\{%[-+]?\s*\w|(?:from|import|class|def|async\s+def)\b[^'\"#]*\{\{[-+]?\s*[A-Za-z_][^{}]*\}\})"
)
_OF_FSTRING = "f-string"


def soften_templates(diagnostics: Iterable[Diagnostic], reached: Container[str]) -> Iterator[Diagnostic]:
    """The same diagnostics, where BG101 at a tag of a template (`class {{ name }}`, `{% if … %}`) is a warning.

    That holds in a folder of templates, and for none of the `reached` files: without a start, every file counts as one.
    """
    for diagnostic in diagnostics:
        if diagnostic.path is None or not _is_at_tag(diagnostic, diagnostic.path) or diagnostic.path in reached:
            yield diagnostic
            continue
        folder = _folder_of(diagnostic.path)
        yield diagnostic._replace(
            severity=Severity.WARNING,
            message=f"a template, and no source that Python can compile: {diagnostic.message}",
            hint=f'leave it out: exclude = ["{folder}**"] in [tool.buildguard]',
        )


def _is_at_tag(diagnostic: Diagnostic, path: str) -> bool:
    """Whether the compiler stopped in a line that is one of a template, in a file below a folder of templates."""
    is_syntax = diagnostic.code is Code.BG101 and diagnostic.within is None and _OF_FSTRING not in diagnostic.message
    return is_syntax and _FOLDER.search(path) is not None and _TAG.match(diagnostic.excerpt) is not None


def _folder_of(path: str) -> str:
    found = _FOLDER.search(path)
    return path[: found.end()] if found is not None else ""
