"""Python source that only a Dockerfile contains: heredoc files, `RUN python`, and `python -c` in start commands. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import dockerfile, dockerfile_python
from buildguard.project.dockerfile import DockerfileStage, Heredoc, Instruction
from buildguard.project.dockerfile_python import DockerfilePython
from buildguard.project.snippets.aligned import align
from buildguard.project.snippets.mapped_text import MappedText, TextBuilder, map_whole
from buildguard.project.snippets.python_command import (
    is_python_script,
    is_source_name,
    sources_in_argv,
    sources_in_script,
)
from buildguard.project.snippets.shell_script import ScriptWord
from buildguard.project.snippets.snippet import (
    EmbeddedSource,
    Snippet,
    SnippetForm,
    SnippetPython,
    python_of_program,
)
from buildguard.project.target import ImageService

_JSON_STRING = lazy_pattern(r'"(?:[^"\\]|\\.)*"')
_SHELL_NAMES = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})
_START = ("CMD", "ENTRYPOINT", "HEALTHCHECK")
_HEALTH_CMD = lazy_pattern(r"CMD\s+", re.IGNORECASE)
# COPY expands variables itself, and takes away every backslash but one at the end of a line.
_IN_COPIED = lazy_pattern(r"\\.|\$(?=[\w{@*#?$!-])|[^\\$]+|.", re.DOTALL)


class _StageSource(NamedTuple):
    """Source in an instruction, and the number of its stage."""

    stage: int
    source: EmbeddedSource


def dockerfile_snippets(data: bytes, service: ImageService) -> Iterator[Snippet]:
    """The Python source in the instructions that a build of a service carries out; each stage has its own Python."""
    build_args = dict(service.build_args)
    stages = dockerfile.stages(data, build_args)
    final = dockerfile.resolve_final_stage(data, build_args, service.stage)
    if final is None:
        return
    chain = {stage.line for stage in final.chain}
    pythons: dict[int, DockerfilePython] = {}
    for found in _sources(stages, service.stage, [*reversed(final.chain)]):
        if found.stage not in pythons:
            pythons[found.stage] = dockerfile_python.resolve(data, build_args, str(found.stage))
        python = pythons[found.stage]
        is_final = stages[found.stage].line in chain
        yield Snippet(
            service.dockerfile,
            found.source,
            _python_of(python, found.source, stages, found.stage, service.dockerfile),
            service.name if is_final else None,
        )


def _python_of(
    python: DockerfilePython, source: EmbeddedSource, stages: Sequence[DockerfileStage], number: int, file: str
) -> SnippetPython:
    """The Python of a stage, unless the program that is called is another one."""
    own = SnippetPython(python.version, f"{file}:{python.line}", python.image, python.doubt)
    if python.version is None:
        reason = python.why_unknown or f"the Python version of the stage on {stages[number].base} is unknown"
        own = own._replace(unknown=reason)
    return python_of_program(own, source.program, f"{file}:{source.text.place(0)[0]}")


def _sources(
    stages: Sequence[DockerfileStage], target: str, chain: Sequence[DockerfileStage]
) -> Iterator[_StageSource]:
    for number in sorted(dockerfile.needed_stages(stages, target)):
        uses_shell = True
        for step in stages[number].instructions:
            if step.name == "SHELL":
                words = dockerfile.exec_words(step.text) or [""]
                uses_shell = posixpath.basename(words[0]) in _SHELL_NAMES
            elif step.name == "RUN":
                yield from (_StageSource(number, source) for source in _of_run(step, uses_shell=uses_shell))
            elif step.name in {"COPY", "ADD"}:
                yield from (_StageSource(number, source) for source in _of_copy(step))
    numbers = {stage.line: number for number, stage in enumerate(stages)}
    for stage, source in _of_start(chain):
        yield _StageSource(numbers[stage.line], source)


def _of_start(chain: Iterable[DockerfileStage]) -> Iterator[tuple[DockerfileStage, EmbeddedSource]]:
    """What the last start command and health check of a chain of stages run; `CMD` may be arguments of `ENTRYPOINT`."""
    last = {step.name: (stage, step) for stage in chain for step in stage.instructions if step.name in _START}
    entry = last.get("ENTRYPOINT")
    entry_words = _exec_form(_command_text(entry[1])) if entry is not None else None
    for name, (stage, step) in last.items():
        text = _command_text(step)
        words = _exec_form(text)
        if words is None:
            yield from ((stage, source) for source in sources_in_script(ScriptWord(text)))
        else:
            before = entry_words or [] if name == "CMD" else []
            yield from ((stage, source) for source in sources_in_argv([*before, *words]))


def _command_text(step: Instruction) -> MappedText:
    text = _joined(step)
    if step.name != "HEALTHCHECK":
        return text
    match = _HEALTH_CMD.match(text.text)
    return text.cut(match.end()) if match is not None else MappedText()


def _of_run(step: Instruction, *, uses_shell: bool) -> Iterator[EmbeddedSource]:
    command = _joined(step)
    words = _exec_form(command)
    if words is not None:
        yield from sources_in_argv(words)
        return
    if not uses_shell:
        return
    heredoc = step.heredocs[0] if len(step.heredocs) == 1 else None
    if heredoc is not None and re.fullmatch(r"\s*\d*<<-?\S+\s*", command.text):
        body = _body(heredoc)
        if is_python_script(body.text):
            yield EmbeddedSource(body, SnippetForm.FILE)
        elif not body.text.startswith("#!") or re.match(r"#!\s*\S*(?:/|env\s+)(?:ba|da|a|k|z)?sh\b", body.text):
            yield from sources_in_script(ScriptWord(body))
        return
    yield from sources_in_script(ScriptWord(_with_heredocs(command, step.heredocs)))


def _of_copy(step: Instruction) -> Iterator[EmbeddedSource]:
    """The heredocs of COPY and ADD that become Python files."""
    target = dockerfile.source_words(step.text.partition("\n")[0])[-1:]
    for heredoc in step.heredocs:
        body = _body(heredoc)
        name = heredoc.name if not target or target[0].endswith("/") or len(step.heredocs) > 1 else target[0]
        if is_source_name(name) or is_python_script(body.text):
            yield _copied(body) if not heredoc.is_quoted else EmbeddedSource(body, SnippetForm.FILE)


def _copied(body: MappedText) -> EmbeddedSource:
    """What BuildKit makes of a heredoc file whose name is not quoted."""
    builder, is_known = TextBuilder(), True
    for match in _IN_COPIED.finditer(body.text):
        piece = match[0]
        is_known &= piece != "$"
        builder.add_part(body, match.start() + (len(piece) > 1 and piece[0] == "\\"), match.end())
    return EmbeddedSource(builder.build(), SnippetForm.FILE, "", is_known)


def _joined(step: Instruction) -> MappedText:
    builder = TextBuilder()
    for piece in step.pieces:
        builder.add(*piece)
    return builder.build()


def _body(heredoc: Heredoc) -> MappedText:
    builder = TextBuilder()
    for number, line in enumerate(heredoc.lines):
        tabs = len(line) - len(line.lstrip("\t")) if heredoc.strips_tabs else 0
        builder.add(f"{line[tabs:]}\n", heredoc.line + number, tabs + 1)
    return builder.build()


def _with_heredocs(command: MappedText, heredocs: Iterable[Heredoc]) -> MappedText:
    """A command as the shell gets it: with its heredocs, and the lines that end them."""
    builder = TextBuilder()
    builder.add_part(command, 0, len(command.text))
    for heredoc in heredocs:
        text = "".join(f"{line}\n" for line in heredoc.lines)
        builder.add("\n", heredoc.line - 1, 1)
        builder.add(text, heredoc.line, 1)
        builder.add(heredoc.name, heredoc.line + len(heredoc.lines), 1)
    return builder.build()


def _exec_form(text: MappedText) -> list[ScriptWord] | None:
    """The words of the exec form with their places, None for the shell form."""
    words = dockerfile.exec_words(text.text)
    if words is None:
        return None
    matches = [match for match in _JSON_STRING.finditer(text.text) if _is_json(match[0])]
    if len(matches) != len(words):
        return [ScriptWord(map_whole(word, *text.place(0))) for word in words]
    return [
        ScriptWord(align(word, text.cut(match.start() + 1, match.end() - 1)))
        for word, match in zip(words, matches, strict=True)
    ]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
