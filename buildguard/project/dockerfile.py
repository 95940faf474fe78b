"""Reading a Dockerfile far enough to tell what its final stage is built on.

Own code because no kept library both installs everywhere and knows heredocs: BuildKit's own parser has no
wheels for Linux on Arm or musl. The tests hold this one to BuildKit's.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern

if TYPE_CHECKING:
    from typing import Any

_DIRECTIVE = lazy_pattern(r"#\s*([A-Za-z]+)\s*=\s*(\S.*)", re.DOTALL)  # of a stripped line: nothing in it backtracks
# BuildKit looks at whole shell words, so `a << b` and `cat<<EOF` begin no heredoc.
_WORD = lazy_pattern(r"""(?:"[^"]*"|'[^']*'|\\.|[^\s"'\\])+""")
_HEREDOC = lazy_pattern(r"\d*<<(-?)([^<]+)")
_VARIABLE = lazy_pattern(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?:(?P<operator>:?[-+?])(?P<word>[^{}]*))?\})")
_LONGEST = 1 << 14  # characters that variables may bring into one text
_MOST_PARSED = 64  # files: each is asked about some thirty times in a run
_SURROGATE = lazy_pattern("[\ud800-\udfff]")
_WITH_HEREDOC = frozenset({"RUN", "COPY", "ADD"})


class TextPiece(NamedTuple):
    """A piece of an instruction as it stands in the file, at a line and column (from 1)."""

    text: str
    line: int
    column: int


class Heredoc(NamedTuple):
    """A heredoc of an instruction: its name, whether that is quoted and tabs are stripped, its lines, and the line of the first."""

    name: str
    is_quoted: bool
    strips_tabs: bool
    line: int
    lines: tuple[str, ...]


class Instruction(NamedTuple):
    """One instruction: its line (from 1), its name in capitals, its flags, and the rest of its text.

    `pieces` are what the text was joined from, from the flags on and without heredocs, which are in `text` too.
    """

    line: int
    name: str
    flags: tuple[str, ...]
    text: str
    pieces: tuple[TextPiece, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()


class DockerfileStage(NamedTuple):
    """One `FROM`: its line, the image with variables filled in, its alias, what follows it, and the platform that it names."""

    line: int
    base: str
    alias: str
    instructions: tuple[Instruction, ...]
    platform: str = ""


class FinalStage(NamedTuple):
    """The stage that is built: the image at the root of its chain, with the line that names it."""

    line: int
    image: str
    chain: tuple[DockerfileStage, ...]


_PYTHONIC = lazy_pattern(r"python|\bpip3?\b|\buv\b|gunicorn|uvicorn|conda|mamba|pyenv|pypy|\.py\b", re.IGNORECASE)


def mentions_python(chain: Iterable[DockerfileStage]) -> bool:
    """Whether any of some stages is built on, runs or copies something of Python's."""
    texts = (
        text
        for stage in chain
        for text in (stage.base, *(f"{' '.join(step.flags)} {step.text}" for step in stage.instructions))
    )
    return any(_PYTHONIC.search(text) for text in texts)


# What puts another Python beside, or in front of, the one of the base image.
_INSTALLS = lazy_pattern(
    r"\b(?:apt|apt-get|apk|dnf|microdnf|yum|zypper)\b[^\n;&|]*\b(?:install|add)\b[^\n;&|]*\bpython3?(?:\.\d+)?\b"
    r"|\buv python install\b|\buv venv\b[^\n;&|]*(?:--python|-p)\b|\bpyenv install\b|\bdeadsnakes\b|\baltinstall\b"
    r"|\b(?:conda|mamba|micromamba)\b[^\n;&|]*\b(?:create|install)\b[^\n;&|]*\bpython\b"
)
_HOLDS_PYTHON = lazy_pattern(r"^/(?:usr(?:/local)?(?:/(?:bin|lib)?)?|opt)?/?$|python")


def installs_python(chain: Iterable[DockerfileStage]) -> str:
    """The instruction by which some stages get another Python than their base image's, empty where none is seen."""
    steps = (step for stage in chain for step in stage.instructions)
    return next(filter(None, map(brings_python, steps)), "")


def brings_python(step: Instruction) -> str:
    """That an instruction puts another Python beside the base image's, empty where it does not."""
    if step.name == "RUN" and _INSTALLS.search(step.text):
        return f"line {step.line} installs another Python"
    copied = step.name in {"COPY", "ADD"} and any(flag.startswith("--from=") for flag in step.flags)
    if copied and any(_HOLDS_PYTHON.search(word) for word in step.text.split()):
        return f"line {step.line} copies what may be another Python"
    return ""


def instructions(data: bytes) -> list[Instruction]:
    """The instructions of a Dockerfile; comments, continuations and heredocs as BuildKit reads them."""
    return list(_parse(data))


@lru_cache(maxsize=_MOST_PARSED)
def _parse(data: bytes) -> tuple[Instruction, ...]:
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return tuple(_read(lines, _escape(lines)))


def stages(data: bytes, build_args: Mapping[str, str]) -> list[DockerfileStage]:
    """The stages of a Dockerfile with the ARGs before the first FROM, and overrides, filled in."""
    known: dict[str, str] = {}
    parsed: list[tuple[DockerfileStage, list[Instruction]]] = []
    for step in instructions(data):
        if step.name == "FROM":
            base, alias = _from(expand_variables(step.text, known))
            flags = (flag.partition("=")[2] for flag in step.flags if flag.startswith("--platform="))
            platform = next((expand_variables(flag, known) or flag for flag in flags), "")
            parsed.append((DockerfileStage(step.line, base, alias, (), platform), []))
        elif parsed:
            parsed[-1][1].append(step)
        elif step.name == "ARG":
            _declare(step, build_args, known)
    plain = [stage._replace(instructions=tuple(rest)) for stage, rest in parsed]
    return [
        stage._replace(instructions=(*_triggers(plain, number), *stage.instructions))
        for number, stage in enumerate(plain)
    ]


def _triggers(plain: Sequence[DockerfileStage], number: int) -> Iterator[Instruction]:
    """What the ONBUILD instructions of the stage below begin a stage with."""
    base, line = plain[number].base.lower(), plain[number].line
    below = next((stage for stage in reversed(plain[:number]) if stage.alias == base), None)
    for step in below.instructions if below is not None else ():
        if step.name == "ONBUILD":
            yield from (trigger._replace(line=line) for trigger in instructions(step.text.encode()))


def global_arguments(data: bytes, build_args: Mapping[str, str]) -> dict[str, str]:
    """The ARGs before the first FROM: a stage has those that it names."""
    known: dict[str, str] = {}
    for step in itertools.takewhile(lambda step: step.name != "FROM", instructions(data)):
        if step.name == "ARG":
            _declare(step, build_args, known)
    return known


def _declare(step: Instruction, build_args: Mapping[str, str], known: dict[str, str]) -> None:
    for word in _words(step.text):
        name, equals, value = word.partition("=")
        if name in build_args:
            known[name] = build_args[name]
        elif equals:
            known[name] = expand_variables(value, known)


def resolve_final_stage(data: bytes, build_args: Mapping[str, str], target: str = "") -> FinalStage | None:
    """The stage that a build ends with (or the one called `target`), followed to the image it rests on."""
    every = stages(data, build_args)
    if not every:
        return None
    at = next(
        (i for i, stage in enumerate(every) if target and target.lower() in {stage.alias, str(i)}), len(every) - 1
    )
    chain = [every[at]]
    while True:
        # An alias means an earlier stage only: `FROM python AS python` is the image.
        below = next((i for i in range(at - 1, -1, -1) if every[i].alias == chain[-1].base.lower()), None)
        if below is None:
            return FinalStage(chain[-1].line, chain[-1].base, tuple(chain))
        at = below
        chain.append(every[at])


def needed_stages(every: Sequence[DockerfileStage], target: str = "") -> set[int]:
    """The stages that a build makes: the last one, or the one that is asked for, and those that it takes from."""
    numbers = {str(number): number for number in range(len(every))}
    names = {stage.alias: number for number, stage in enumerate(every) if stage.alias} | numbers
    pending = [names.get(target.lower(), len(every) - 1)] if every else []
    needed: set[int] = set()
    while pending:
        number = pending.pop()
        if number not in needed:
            needed.add(number)
            pending += (names[origin] for origin in _origins(every[number]) if origin in names)
            base = every[number].base.lower()  # of an earlier stage only, and by its name
            pending += (below for below in range(number) if every[below].alias == base)
    return needed


def _origins(stage: DockerfileStage) -> Iterator[str]:
    """What a stage takes files from, in lower case: stages by name or number, and images."""
    for step in stage.instructions:
        for flag in step.flags:
            if "from=" in flag:
                yield flag.partition("from=")[2].partition(",")[0].lower()


def _escape(lines: list[str]) -> str:
    for line in lines:
        match = _DIRECTIVE.match(line.strip())
        if match is None:
            return "\\"
        if match.group(1).lower() == "escape":
            return "`" if match.group(2) == "`" else "\\"
    return "\\"


def _read(lines: list[str], escape: str) -> Iterator[Instruction]:
    continued = re.compile(re.escape(escape) + r"[ \t]*$")
    at = 0
    while at < len(lines):
        start, line = at, lines[at].strip()
        at += 1
        if not line or line.startswith("#"):
            continue
        pieces = [TextPiece(line, at, len(lines[start]) - len(lines[start].lstrip()) + 1)]
        while continued.search(pieces[-1].text) and at < len(lines):
            pieces[-1] = pieces[-1]._replace(text=continued.sub("", pieces[-1].text))
            if not lines[at].lstrip().startswith("#") and lines[at].strip():
                pieces.append(TextPiece(lines[at], at + 1, 1))
            elif at + 1 < len(lines):
                pieces.append(
                    TextPiece(escape, at + 1, 1)
                )  # comments and empty lines inside an instruction do not end it
            at += 1
        pieces[-1] = pieces[-1]._replace(text=continued.sub("", pieces[-1].text))
        line = "".join(piece.text for piece in pieces)
        name, text = (*line.strip().split(None, 1), "")[:2]
        name = name.upper()
        heredocs: list[Heredoc] = []
        if name in _WITH_HEREDOC:
            heredocs, at = _heredocs(text, lines, at)
        whole = "\n".join([text, *(line for heredoc in heredocs for line in heredoc.lines)])
        flags, rest = _flags(whole)
        skipped = line.index(text) + len(whole.strip()) - len(rest) if text else len(line)
        yield Instruction(start + 1, name, flags, rest, _pieces_from(pieces, skipped), tuple(heredocs))


def _pieces_from(pieces: Iterable[TextPiece], skipped: int) -> tuple[TextPiece, ...]:
    """The pieces without the first characters of their text."""
    kept: list[TextPiece] = []
    for piece in pieces:
        cut = min(skipped, len(piece.text))
        skipped -= cut
        if cut < len(piece.text):
            kept.append(TextPiece(piece.text[cut:], piece.line, piece.column + cut))
    return tuple(kept)


def _heredocs(text: str, lines: list[str], at: int) -> tuple[list[Heredoc], int]:
    heredocs = []
    for match in filter(None, map(_HEREDOC.fullmatch, _WORD.findall(text))):
        dash, word = match[1], re.sub(r"""["'\\]""", "", match[2])
        start, end = at, at
        while at < len(lines):
            line = lines[at]
            at += 1
            if (line.lstrip("\t") if dash else line) == word:
                break
            end = at
        heredocs.append(Heredoc(word, word != match[2], bool(dash), start + 1, tuple(lines[start:end])))
    return heredocs, at


def _flags(text: str) -> tuple[tuple[str, ...], str]:
    flags, at = [], 0
    rest = text.strip()
    while rest.startswith("--", at):
        end = rest.find(" ", at)
        end = len(rest) if end < 0 else end
        flags.append(rest[at:end])
        at = end
        while at < len(rest) and rest[at].isspace():
            at += 1
    return tuple(flags), rest[at:]


def _from(text: str) -> tuple[str, str]:
    words = text.split()
    base = words[0] if words else ""
    alias = words[2].lower() if len(words) == 3 and words[1].lower() == "as" else ""  # noqa: PLR2004
    return base, alias


def _words(text: str) -> list[str]:
    """The words of an ARG line, quotes removed."""
    return [re.sub(r"""(["'])(.*?)\1""", r"\2", word) for word in re.findall(r"""(?:"[^"]*"|'[^']*'|\S)+""", text)]


def expand_variables(text: str, known: Mapping[str, str]) -> str:
    """Variables as Dockerfiles have them; one without a value stays, so that it is seen, and so does what grows without end."""
    grown = 0

    def value(match: re.Match[str]) -> str:
        nonlocal grown
        if grown > _LONGEST:
            return match.group()
        filled = _value(match, known)
        grown += len(filled)
        return filled

    return _VARIABLE.sub(value, text)


def _value(match: re.Match[str], known: Mapping[str, str]) -> str:
    name, operator, word = match["plain"] or match["name"], match["operator"] or "", match["word"] or ""
    present = bool(known.get(name)) if operator.startswith(":") else name in known
    if operator.endswith("+"):
        return word if present else ""
    if operator.endswith("-") and not present:
        return word
    return known[name] if present or name in known else match.group()


def exec_words(text: str) -> list[str] | None:
    """The words of the exec form; None for the shell form."""
    words = _json_list(text)
    # Docker writes half of a surrogate pair as the replacement character
    return None if words is None else [_SURROGATE.sub("\ufffd", str(word)) for word in words]


def is_refused_list(text: str) -> bool:
    """Whether a list has something else than strings: Docker refuses the whole Dockerfile."""
    return not all(isinstance(word, str) for word in _json_list(text) or [])


def _json_list(text: str) -> list[Any] | None:
    """The list in JSON that a text begins with, whatever follows it; None without one."""
    if not text.lstrip().startswith("["):
        return None
    try:
        words: list[Any] = _LIST_DECODER.raw_decode(text.lstrip())[0]
    except (ValueError, RecursionError):
        return None
    return words


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_LIST_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def source_words(text: str) -> list[str]:
    """The sources of a COPY or ADD, and its destination last."""
    if text.strip().startswith("["):
        return exec_words(text) or []
    return [word.strip("\"'") for word in text.partition("\n")[0].split()]


def assignments(name: str, text: str, build_args: Mapping[str, str]) -> dict[str, str]:
    """What an ENV or an ARG sets."""
    pairs = re.findall(r"""(\w+)=("[^"]*"|'[^']*'|\S*)""", text)
    if not pairs and name == "ENV":
        key, _, value = text.strip().partition(" ")
        pairs = [(key, value.strip())]
    values = {key: value.strip("\"'") for key, value in pairs}
    return {key: build_args.get(key, value) for key, value in values.items()} if name == "ARG" else values
