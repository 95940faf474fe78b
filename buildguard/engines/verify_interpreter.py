"""What makes an interpreter a witness: how it introduces itself, and that it compiles as its version does."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from buildguard.definitions import lazy_pattern
from buildguard.engines.engine import Outcome, Source
from buildguard.engines.pool import source_of
from buildguard.engines.worker import Greeting
from buildguard.errors import UnprovenError
from buildguard.project.image_reference import why_not_cpython
from buildguard.project.target import PythonVersion
from buildguard.remote import program

# What the probe starts when the first source is to be read, or the first question answered: it takes time to compile.
_FACTS = (
    "import_outline.py",
    "module_code.py",
    "import_paths.py",
    "import_tests.py",
    "evaluated_types.py",
    "library_attributes.py",
    "import_codes.py",
    "import_pieces.py",
    "import_reader.py",
    "import_facts.py",
    "library_query.py",
)
# For a source that a hook stages, the imports of `ast` and `re` and forty patterns are most of what reads its imports, and few are used.
_LAZY = """\
try:
    import _ast
except ImportError:  # CPython and PyPy have it
    import ast as _ast


class Lazy:
    def __init__(self, make):
        self.make = make

    def __getattr__(self, name):
        value = self.make(name)
        setattr(self, name, value)
        return value


def of_re(name):
    if name == "MULTILINE":  # which patterns are defined with
        return 8
    import re

    return getattr(re, name)


re = Lazy(of_re)


def lazy_pattern(*source):
    return Lazy(lambda name: getattr(re.compile(*source), name))


def of_ast(name):
    if hasattr(_ast, name):
        return getattr(_ast, name)
    import ast

    return getattr(ast, name)


ast = Lazy(of_ast)
"""
_IMPORTED = lazy_pattern(r"^import (?:ast|re)\n", re.MULTILINE)
_PATTERN = lazy_pattern(r"^([A-Z_]+) = re\.compile\(", re.MULTILINE)
_BETWEEN = lazy_pattern(r"^from buildguard\.\S+ import (?:\([^)]*\)|.*)\n", re.MULTILINE)
_START = "main(int(sys.argv[1]))"
_START_WITH_FACTS = """\
program = {}
    texts = []

    def compiled():
        if type(texts[-1]) is bytes:  # once, as it takes longer than to read fifty sources
            texts[-1] = compile(texts[-1], "<facts>", "exec")
        return texts[-1]

    def of(name):
        if not program:
            exec(compiled(), program)
        return program[name]

    def read(data, code):
        return of("facts_for")(sys.argv[2])(data, code) if sys.argv[2:] else of("facts_here")(data, code)

    def answer(data):
        if data:
            return of("answer_questions")(data)
        import marshal
        return marshal.dumps(compiled())

    def load(data, is_text):
        if is_text:
            texts.append(data)
            return
        import marshal
        exec(marshal.loads(data), program)

    main(int(sys.argv[1]), read, answer, load)"""
CPYTHON = "cpython"  # what sys.implementation calls it
_NAMES = {CPYTHON: "CPython", "pypy": "PyPy", "graalpy": "GraalPy"}

# What each minor version was the first to accept: an interpreter that answers otherwise is not what it says.
_FEATURES = (
    (0, b"x = 1\n"),
    (8, b"(x := 1)\n"),
    (10, b"match x:\n case 1: pass\n"),
    (11, b"try: pass\nexcept* E: pass\n"),
    (12, b"f'{'x'}'\n"),
    (13, b"def f[T = int](): pass\n"),
    (14, b"t'{x}'\n"),
    (1000, b"f(\n"),
)


@cache
def probe_text() -> str:
    """The probe's source; `facts_text` is sent to it when it is needed."""
    probe = _program("probe.py").decode()
    main = probe.index("\n\nif __name__")
    return f"{probe[:main]}\n{probe[main:].replace(_START, _START_WITH_FACTS)}"


@cache
def facts_text() -> bytes:
    """The source of what reads imports: to read it takes half as long as a start, and it is longer than an argument may be."""
    facts = "".join(_BETWEEN.sub("", _program(name).decode()) for name in _FACTS)
    return (_LAZY + _PATTERN.sub(r"\1 = lazy_pattern(", _IMPORTED.sub("", facts))).encode()


@cache
def _program(name: str) -> bytes:
    return program(name).read_bytes()


def full_name(greeting: Greeting) -> str:
    """An interpreter with its version, as reports show it: CPython 3.11.9."""
    return f"{_NAMES.get(greeting.implementation, greeting.implementation)} {greeting.version}"


def why_no_witness(greeting: Greeting, reference: str) -> str:
    """Why the interpreter of an image is no witness; empty for CPython."""
    return "" if greeting.implementation == CPYTHON else why_not_cpython(full_name(greeting), reference)


def identity_of(greeting: Greeting) -> str:
    """Everything about an interpreter, and about how it is asked, that a verdict depends on."""
    return f"{greeting.implementation}\n{greeting.version}\n{greeting.banner}\n{greeting.abi}\n{digest_of_probe()}"


@cache
def digest_of_probe() -> str:
    """The SHA-256 of everything that the probe's source is made of, this file among it: making it takes longer than to read that."""
    parts = [Path(__file__).read_bytes(), *map(_program, ("probe.py", *_FACTS))]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def version_of(greeting: Greeting) -> PythonVersion:
    """The version that an interpreter tells; raises UnprovenError for one that buildguard does not know."""
    version = PythonVersion.parse(greeting.version)
    if version is None:
        raise UnprovenError(f"runs Python {greeting.version}")
    return version


def verification_sources() -> list[Source]:
    """What every interpreter is asked before it is believed."""
    sources = (source_of(number, data) for number, (_minor, data) in enumerate(_FEATURES))
    return [source._replace(reads_facts=False) for source in sources]


def verify_interpreter(run: Callable[[Iterator[Source]], Iterator[Outcome]], greeting: Greeting) -> None:
    """Hold an interpreter to its word: it accepts what its version was the first to accept, and no more.

    `run` has it judge sources. Raises UnprovenError where it does not.
    """
    minor = version_of(greeting).minor
    for outcome in run(iter(verification_sources())):
        expected = _FEATURES[outcome.number][0] <= minor
        if outcome.unproven or (outcome.rejected is None) != expected:
            raise UnprovenError(f"does not compile as Python 3.{minor} does")
