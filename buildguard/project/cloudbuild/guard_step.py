"""The step file: put together, read back without running it, and started.

Nothing in an archive can vouch for itself: the step's arguments, which travel in the build request, hold the SHA-256 of
the file, and run nothing else.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterator, Sequence

from buildguard import __version__
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnostic import Range
from buildguard.project.cloudbuild.assemble import Part, assemble
from buildguard.project.cloudbuild.embed import LOADER, embed
from buildguard.remote.manifest_rows import VERIFIER

NAME = VERIFIER.decode()
VARIABLE = "BUILDGUARD_DIGEST"
# What each part of the file is taken from; of the probe only what compiling needs.
_PROBE = frozenset({"AST_ONLY", "limiter", "peak_memory", "near_limit", "place", "phase", "judge"})
_PARTS: tuple[Part, ...] = (
    ("remote/probe.py", _PROBE),
    ("remote/source_encoding.py", frozenset()),
    ("remote/source_names.py", frozenset()),
    ("remote/manifest_rows.py", frozenset()),
    ("remote/workspace.py", frozenset()),
    ("remote/compile_all.py", frozenset()),
    ("remote/build_step.py", frozenset()),
)
# The modules that judge imports, each after those that it imports.
_IMPORTS = (
    "buildguard.definitions",
    "buildguard.codes",
    "buildguard.diagnostic",
    "buildguard.imports.standard_names",
    "buildguard.imports.records",
    "buildguard.imports.execution",
    "buildguard.imports.finder",
    "buildguard.remote.import_outline",
    "buildguard.remote.module_code",
    "buildguard.remote.import_paths",
    "buildguard.remote.import_tests",
    "buildguard.remote.evaluated_types",
    "buildguard.remote.library_attributes",
    "buildguard.remote.import_codes",
    "buildguard.remote.import_reader",
    "buildguard.imports.binding_nodes",
    "buildguard.imports.bindings",
    "buildguard.imports.names",
    "buildguard.imports.resolver",
    "buildguard.imports.faults",
    "buildguard.imports.import_graph",
    "buildguard.imports.circles",
    "buildguard.imports.program",
    "buildguard.imports.shadows",
    "buildguard.imports.executed_uses",
    "buildguard.imports.taken_names",
    "buildguard.imports.own_imports",
    "buildguard.imports.unreached",
    "buildguard.imports.changed_modules",
    "buildguard.imports.doubts",
    "buildguard.imports.third_party",
    "buildguard.imports.project_imports",
    "buildguard.imports.standard",
    "buildguard.imports.library_answers",
    "buildguard.imports.standard_imports",
    "buildguard.imports.handlers",
    "buildguard.imports.evaluated",
    "buildguard.imports.declared",
    "buildguard.remote.library_query",
    "buildguard.remote.import_pieces",
    "buildguard.remote.import_facts",
    "buildguard.imports.build_imports",
)
_HEAD = '''\
#!/usr/bin/env python3
"""Written by `buildguard init --cloudbuild` for a step of Cloud Build; not to be edited: the step would refuse it.

It asks the Python that runs it, with nothing but its standard library, to compile every source file of the working
folder, and which of their imports it can satisfy. With {variable} in the step's environment it first proves that every byte is the one that was sent,
by the manifest in the archive. Nothing that it looks at is imported or run. Findings end it with status 1, what could
not be looked at with 3.

version: {version}
digest: {digest}
    (SHA-256 of everything below the line of equals signs)
"""

from __future__ import annotations

VERSION = "{version}"
# What is compiled, as the configuration says: patterns in gitignore syntax, and the regular expression of each.
INCLUDE: list[tuple[str, str]] = {include}
EXCLUDE: list[tuple[str, str]] = {exclude}
'''
_TAIL = """

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], StepSettings(VERSION, INCLUDE, EXCLUDE, load_modules)))
"""
_LINE = "# " + "=" * 100 + "\n"
_SAID = lazy_pattern(r"^version: (?P<version>\S+)\ndigest: sha256:(?P<digest>[0-9a-f]{64})$", re.MULTILINE)


_STARTED = lazy_pattern(rb'verify\.py.*?!= \\?"([0-9a-f]{64})', re.DOTALL)


class StepFile(NamedTuple):
    """A step file as its head describes it; `intact` where what is below the head fits the digest that it names."""

    version: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    intact: bool
    line: int


def text(include: Sequence[str], exclude: Sequence[str]) -> bytes:
    """The step file for the patterns of a configuration; the same for the same version and patterns."""
    body = _body()
    head = _HEAD.format(
        version=__version__,
        digest=f"sha256:{sha256(body)}",
        variable=VARIABLE,
        include=_listed(include),
        exclude=_listed(exclude),
    )
    return head.encode("utf-8") + _LINE.encode("ascii") + body


@functools.cache
def _body() -> bytes:
    needs = "from types import ModuleType\n"
    return (needs + assemble(_PARTS) + "\n" + embed(_IMPORTS) + LOADER + _TAIL).encode("utf-8")


def read(data: bytes) -> StepFile | None:
    """What the head of a step file says; None where this is none. Nothing of it is run."""
    head, line, body = data.partition(_LINE.encode("ascii"))
    written = head.decode("utf-8", "replace")
    said = _SAID.search(written)
    if said is None or not line:
        return None
    try:
        values = {
            node.target.id: ast.literal_eval(node.value)
            for node in ast.parse(written).body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None
        }
        include, exclude = (tuple(str(pattern) for pattern, _regex in values[key]) for key in ("INCLUDE", "EXCLUDE"))
    except (SyntaxError, ValueError, KeyError, TypeError):
        return None
    intact = sha256(body) == said["digest"]
    at = next(at for at, head_line in enumerate(written.split("\n"), 1) if head_line.startswith("INCLUDE"))
    return StepFile(said["version"], include, exclude, intact, at)


def sha256(data: bytes) -> str:
    """How a step knows its file: hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def started(build_file: bytes) -> Iterator[tuple[Range, str]]:
    """The places in a build file that name the SHA-256 of a step file, and those digests."""
    for match in _STARTED.finditer(build_file):
        at = match.start(1)
        before = build_file[build_file.rfind(b"\n", 0, at) + 1 : at].decode("utf-8", "replace")
        line, column, digest = build_file.count(b"\n", 0, at) + 1, len(before) + 1, match[1].decode("ascii")
        yield Range(line, column, line, column + len(digest)), digest


def loader(file: bytes) -> str:
    """What `python3 -I -S -B -c` is given: it reads the step file, and runs it only if it is this very one."""
    return (
        "import hashlib, sys\n"
        f'name = "{NAME}"\n'
        "try:\n"
        '    text = open(name, "rb").read()\n'
        "except OSError as error:\n"
        '    sys.exit("buildguard: %s: %s: commit it, and let no ignore file drop it" % (name, error.strerror))\n'
        f'if hashlib.sha256(text).hexdigest() != "{sha256(file)}":\n'
        '    sys.exit("buildguard: %s is not the file that this step was written for:'
        ' buildguard init --cloudbuild writes both" % name)\n'
        'exec(compile(text, name, "exec"))\n'
    )


# Where an image has no Python, its `sha256sum` proves the files at least; `$$` is how a build file writes `$`.
WITHOUT_PYTHON = f"""\
if [ -z "$${VARIABLE}" ]; then
  echo "buildguard: unproven: no Python in this image to compile with, and no {VARIABLE} to compare with"
  exit 3
fi
echo "$${{{VARIABLE}#sha256:}}  .buildguard/manifest" | sha256sum -c - || exit 1
tr '\\000' '\\n' <.buildguard/manifest |
  sed -n 's/^100[67][45][45] [0-9]* \\([0-9a-f]*\\)\\t/\\1  .\\//p' >/tmp/buildguard
[ -s /tmp/buildguard ] || {{ echo "buildguard: unproven: the manifest names no file"; exit 3; }}
sha256sum -c /tmp/buildguard >/tmp/buildguard.said 2>&1 || {{ grep -v ': OK$$' /tmp/buildguard.said; exit 1; }}
echo "buildguard: every file of the manifest is here, unchanged; none was compiled: this image has no Python"
"""


def _listed(patterns: Sequence[str]) -> str:
    pairs = list(rules(patterns))
    return "[\n" + "".join(f"    ({pattern!r}, {regex!r}),\n" for pattern, regex in pairs) + "]" if pairs else "[]"


def rules(patterns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each pattern with the regular expression that pathspec makes of it; comments and blank lines mean nothing."""
    if not patterns:
        return
    from buildguard.project.ignore.rules import spec_of

    for pattern in patterns:
        for compiled in spec_of([pattern]).patterns:
            if compiled.include is not None and compiled.regex is not None:
                yield pattern, str(compiled.regex.pattern)
