"""Following a Dockerfile to the image that it builds: instruction by instruction, stage by stage. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import NamedTuple, lazy_pattern, records
from buildguard.project import dockerfile, image_reference
from buildguard.project.dockerfile import DockerfileStage, Instruction
from buildguard.project.ignore import docker
from buildguard.project.image_model import (
    DEFAULT_PATH,
    CommandForm,
    FileOrigin,
    ImageCommand,
    ImageModel,
    MissingSource,
    PlacedFile,
    UnknownArea,
    is_below,
)
from buildguard.project.image_stage_state import WILD, Placement, StageState, words_below

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")  # ADD extracts these
_REMOTE = lazy_pattern(r"[\w+.-]+://|git@")
_VARIABLE = lazy_pattern(r"\$\{[^}]*\}|\$\w+")
_HEREDOC = lazy_pattern(r"\d*<<-?[\"']?(\w+)[\"']?$")
_OFFICIAL = lazy_pattern(r"(?:(?:docker\.io|mirror\.gcr\.io|public\.ecr\.aws/docker)/)?(?:library/)?(?P<name>[\w.-]+)")
# Images of an official kind whose working folder is `/` and which start nothing of ours.
_PLAIN = frozenset({"python", "pypy", "debian", "ubuntu", "alpine", "fedora", "amazonlinux", "busybox", "scratch"})
_PLAIN_ELSEWHERE = ("ghcr.io/astral-sh/uv:", "cgr.dev/chainguard/python:")
# What is surely a file, and arrives under its own name; a folder hands on what is in it.
_IS_FILE = lazy_pattern(r"^https?://(?!.*\.git\b)|[^/]\.(?!git$)[A-Za-z]\w*$|\bs?bin/[^/]+$|^/uvx?$")
_UV = lazy_pattern(r"/uvx?$")  # neither a Python nor a server
_COPYING = lazy_pattern(r"\b(?:cp|rsync|tar|mv)\b")


class BuildInput(NamedTuple):
    """What an image is built of: the Dockerfile, arguments and stage, the context's folder, and the project's files.

    `files` are the paths of the project that reach the build; `modes` are those of the sender, where they are known.
    """

    dockerfile: bytes
    files: Collection[str]
    context: str = ""
    build_args: Mapping[str, str] = MappingProxyType({})
    target: str = ""
    modes: Mapping[str, int] = MappingProxyType({})


def build_model(build: BuildInput) -> ImageModel:
    """The image that a Dockerfile builds; an empty one where it has no FROM."""
    every = dockerfile.stages(build.dockerfile, build.build_args)
    done: dict[str, StageState] = {}
    last, line = StageState(), 1
    outer = dockerfile.global_arguments(build.dockerfile, build.build_args)
    for number, stage in enumerate(every):
        line = stage.line
        last = _StageBuilder(build, done, outer).follow(stage)
        done[str(number)] = last
        if stage.alias:
            done[stage.alias] = last
        if build.target and stage.alias == build.target.lower():
            break
    needed = sorted(dockerfile.needed_stages(every, build.target))
    unmet = (need for number in needed if str(number) in done for need in done[str(number)].unmet)
    model = last.finished(line, knows_base=knows_base(last.base))
    return model._replace(unmet=tuple(dict.fromkeys(unmet)))


def sent_sources(build: BuildInput) -> frozenset[str]:
    """Every file of the project that any instruction may take from the context: no other one can be in the image."""
    sources: set[str] = set()
    for stage in dockerfile.stages(build.dockerfile, build.build_args):
        for step in stage.instructions:
            for source in _taken(step):
                sources.update(file.source for file, _rest in _context_files(build, _spelled(source)))
    return frozenset(sources)


def takes_context(data: bytes, arguments: Mapping[str, str]) -> bool:
    """Whether any instruction of a Dockerfile may take a file of the project from the context."""
    steps = (step for stage in dockerfile.stages(data, arguments) for step in stage.instructions)
    return any(step.name == "ONBUILD" or any(True for _source in _taken(step)) for step in steps)


def _taken(step: Instruction) -> Iterator[str]:
    """The sources of an instruction in the context, variables as they stand."""
    if step.name in {"COPY", "ADD"} and not any(flag.startswith("--from=") for flag in step.flags):
        yield from dockerfile.source_words(step.text)[:-1]
    elif step.name == "RUN":
        yield from filter(None, map(mounted, step.flags))


def knows_base(reference: str) -> bool:
    """Whether an image is one that holds no project, starts none, and works in `/`."""
    match = _OFFICIAL.fullmatch(image_reference.parse(reference).name)
    is_plain = match is not None and match["name"] in _PLAIN
    return is_plain or "distroless" in reference or reference.startswith(_PLAIN_ELSEWHERE)


class _StageBuilder:
    """Follows the instructions of one stage."""

    def __init__(self, build: BuildInput, done: Mapping[str, StageState], arguments: Mapping[str, str]) -> None:
        """`arguments` are those before the first FROM."""
        self._build = build
        self._done = done
        self._outer = {**arguments, **build.build_args}
        self._state = StageState()

    def follow(self, stage: DockerfileStage) -> StageState:
        """The stage, on top of the one below it."""
        below = self._done.get(stage.base.lower())
        self._state = StageState(below)
        if below is None:
            self._state.base, self._state.base_line = stage.base, stage.line
            self._state.python = image_reference.promised_version(stage.base)
            if words := image_reference.entrypoint_of(stage.base):
                self._state.entrypoint = ImageCommand(stage.line, CommandForm.EXEC, words)
            self._state.knows_workdir = knows_base(stage.base)
            self._state.env |= {"PATH": DEFAULT_PATH} if self._state.knows_workdir else {}
        for step in stage.instructions:
            self._instruction(step)
        return self._state

    def _instruction(self, step: Instruction) -> None:
        state = self._state
        text = dockerfile.expand_variables(step.text, state.variables).strip()
        match step.name:
            case "WORKDIR":
                self._work_in(text.strip("\"'"))
            case "COPY" | "ADD":
                _CopyInstruction(step._replace(text=text), state, self._build, self._done).follow()
            case "RUN":
                self._run(step)
            case "ENTRYPOINT" | "CMD":
                self._start(step)
            case _:
                self._set(step, text)

    def _set(self, step: Instruction, text: str) -> None:
        """What an instruction sets for those that follow, and for the container."""
        state = self._state
        match step.name:
            case "ENV":
                state.env |= dockerfile.assignments(step.name, text, {})
            case "ARG":
                bare = {name: self._outer[name] for name in text.split() if name in self._outer}
                state.arguments |= {**bare, **dockerfile.assignments(step.name, text, self._build.build_args)}
            case "USER":
                state.user = text
            case "SHELL":
                state.shell = tuple(dockerfile.exec_words(text) or state.shell)
            case "EXPOSE":
                state.ports += text.split()
            case _:
                pass

    def _work_in(self, path: str) -> None:
        state = self._state
        state.knows_workdir = state.knows_workdir or path.startswith("/")
        state.workdir = state.at(path)
        state.make_folder(state.workdir)

    def _start(self, step: Instruction) -> None:
        """CMD or ENTRYPOINT; an ENTRYPOINT takes away the CMD of the image below."""
        state = self._state
        words = dockerfile.exec_words(step.text)
        command = ImageCommand(step.line, CommandForm.SHELL, (*state.shell, step.text.strip()))
        if words is not None:
            command = ImageCommand(step.line, CommandForm.EXEC, tuple(words))
        if step.name == "CMD":
            state.cmd, state.sets_cmd = command, True
            if state.entrypoint is not None and state.entrypoint.line == state.base_line:  # the image's own
                state.entrypoint = state.entrypoint._replace(line=step.line)
            return
        state.entrypoint = command
        if not state.sets_cmd:
            state.cmd = None

    def _run(self, step: Instruction) -> None:
        """The commands of a RUN; what it mounts of the context may be copied."""
        from buildguard.project import run_effects

        words = dockerfile.exec_words(step.text)
        text = " ".join(words) if words is not None else step.text
        for flag in step.flags:
            source = mounted(flag)
            if source is not None and _COPYING.search(text):
                files = _context_files(self._build, _spelled(source))
                self._state.may_hold((file.source for file, _rest in files), f"RUN in line {step.line} may copy it")
        expanded = dockerfile.expand_variables(text, self._state.variables)
        mounts = any("--mount" in flag and "type=cache" not in flag for flag in step.flags)
        if knows_base(self._state.base) and not mounts:
            from buildguard.project.run_needs import unmet_needs

            self._state.unmet += unmet_needs(expanded, self._state, step.line, self._build.context)
        if dockerfile.brings_python(step._replace(text=expanded)):
            self._state.python = None
        self._state.run_text += f"\n{expanded}"
        run_effects.apply(expanded, self._state, step.line)
        self._state.note_edits(expanded)


class _CopyInstruction:
    """One COPY or ADD, with its variables filled in."""

    def __init__(self, step: Instruction, state: StageState, build: BuildInput, done: Mapping[str, StageState]) -> None:
        self._step = step
        self._state = state
        self._build = build
        origin = self._flag("--from")
        self._origin = origin
        self._other = done.get(origin.lower()) if origin else None

    def _flag(self, name: str) -> str:
        value = next((flag.partition("=")[2] for flag in self._step.flags if flag.startswith(f"{name}=")), "")
        return dockerfile.expand_variables(value, self._state.variables)

    def follow(self) -> None:
        """Place what the instruction copies."""
        words = dockerfile.source_words(self._step.text)
        if len(words) < 2:  # noqa: PLR2004  a source and a destination
            return
        *sources, destination = words
        heredocs = [source for source in sources if _HEREDOC.match(source)]
        if heredocs:
            self._write(heredocs, destination)
            return
        several = len(sources) > 1 or any(char in source for source in sources for char in WILD)
        for source in sources:
            self._copy(source, destination, several=several)
        if self._origin:
            self._note_programs(sources, destination)
        if self._other is not None:
            self._hand_on(self._other)

    def _copy(self, source: str, destination: str, *, several: bool) -> None:
        if elsewhere := self._comes_from_elsewhere(source):
            self._foreign(source, destination, elsewhere)
            return
        files = self._selected(source)
        if unclear := self._unclear(source, destination):
            self._doubt(files, destination, unclear)
            return
        if self._other is not None:
            self._hand_unknown(source, destination)
            self._hand_unseen(source, destination, is_seen=bool(files))
        elif not files and not self._is_known_folder(source):
            is_pattern = any(char in source for char in WILD)
            self._state.missing.append(MissingSource(self._step.line, self._step.name, source, is_pattern))
        if self._step.name == "ADD" and source.endswith(_ARCHIVES):
            self._foreign("/", destination, f"ADD in line {self._step.line} extracts {source}")
            return
        self._place(files, source, destination, several=several)

    def _comes_from_elsewhere(self, source: str) -> str:
        """Where a source comes from that is neither in the context nor in a stage; empty for all others."""
        line = self._step.line
        if self._origin and self._other is None:
            return f"it is copied from {self._origin} in line {line}"
        return f"ADD in line {line} downloads it" if self._step.name == "ADD" and _REMOTE.match(source) else ""

    def _doubt(self, files: Iterable[tuple[PlacedFile, str]], destination: str, reason: str) -> None:
        """Which files come to the destination is unknown: every one that may be copied, and what is there."""
        state = self._state
        state.may_hold((file.source for file, _rest in files if file.source), reason)
        if "$" not in state.at(destination):
            state.add_unknown(UnknownArea(state.at(destination), reason, self._step.line))

    def _place(self, files: Iterable[tuple[PlacedFile, str]], source: str, destination: str, *, several: bool) -> None:
        state = self._state
        mode, doubt = self._mode()
        placed = [(file._replace(doubt=doubt), rest) for file, rest in files] if doubt else [*files]
        if any(rest for _file, rest in placed) or source.rstrip("/.") == "":
            state.make_folder(state.at(destination))
        state.put(placed, destination, Placement(self._step.line, mode, self._flag("--chown")), several=several)

    def _selected(self, source: str) -> list[tuple[PlacedFile, str]]:
        """The files that a source means, each with its path below it, less what `--exclude` keeps out."""
        spelled = _spelled(source)
        files = (
            self._other.select(_absolute(spelled)) if self._other is not None else _context_files(self._build, spelled)
        )
        lines = [flag.partition("=")[2] for flag in self._step.flags if flag.startswith("--exclude=")]
        if not lines:
            return list(files)
        rules = docker.DockerIgnoreRules(lambda _name: "\n".join(lines).encode(), "", "")
        return [(file, rest) for file, rest in files if rules.drops(rest or posixpath.basename(file.path)) is None]

    def _is_known_folder(self, source: str) -> bool:
        """Whether a source is the context itself, which always exists."""
        return posixpath.normpath(posixpath.join("/", source)) == "/"

    def _unclear(self, source: str, destination: str) -> str:
        """Why the files or the destination are unknown; empty where both are known."""
        place = f"{self._step.name} in line {self._step.line}"
        for text in (source, self._state.at(destination)):
            variable = re.search(r"\$\{?\w*\}?", text)
            if variable:
                return f"the value of {variable[0]} in {place} is unknown"
        if not self._state.knows_workdir and not destination.startswith("/"):
            return f"the working folder of the base image, where {place} copies to, is unknown"
        return f"--parents of {place} is not supported" if "--parents" in self._step.flags else ""

    def _mode(self) -> tuple[int | None, str]:
        """The mode that `--chmod` sets, and why the files are in doubt."""
        text = self._flag("--chmod")
        if not text:
            return None, ""
        if re.fullmatch(r"[0-7]{3,4}", text):
            return int(text, 8), ""
        return None, f"--chmod={text} in line {self._step.line} is not followed"

    def _foreign(self, source: str, destination: str, reason: str) -> None:
        """What comes from elsewhere: at the destination, or below it under its own name, something unknown appears."""
        state = self._state
        where = state.at(destination)
        into = destination.endswith("/") or where in state.folders
        place = posixpath.join(where, posixpath.basename(source)) if into and _IS_FILE.search(source) else where
        state.add_unknown(UnknownArea(place, reason, self._step.line))

    def _note_programs(self, sources: Sequence[str], destination: str) -> None:
        """Note the environments that come with some sources, or that it is not known what does."""
        if False in [self._is_followed(source, destination) for source in sources]:
            self._state.takes_more = True
            self._state.python = None if dockerfile.brings_python(self._step) else self._state.python

    def _is_followed(self, source: str, destination: str) -> bool:
        """Whether it is known which programs come with a source of another stage: those of its environments, or none."""
        return self._takes_environment(source, destination) or bool(_UV.search(source)) or self._is_of_project(source)

    def _takes_environment(self, source: str, destination: str) -> bool:
        """Take over the environments of the stage that is copied from; whether there are any."""
        if self._other is None or self._unclear(source, destination):
            return False
        where = self._state.at(destination)
        return self._state.take_environments(self._other, _absolute(source), where, self._step.line)

    def _is_of_project(self, source: str) -> bool:
        """Whether a source is a folder of the project in another stage, or a file in one, and nothing else may be there."""
        other, path = self._other, _absolute(source)
        if other is None or not knows_base(other.base) or path == "/" or any(char in source for char in (*WILD, "$")):
            return False
        return other.has_only_sources(path)

    def _write(self, heredocs: list[str], destination: str) -> None:
        """Files that the Dockerfile itself holds."""
        bodies = self._step.text.partition("\n")[2]
        for source in heredocs:
            match = _HEREDOC.match(source)
            name = match[1] if match is not None else ""
            file = PlacedFile(name, "", self._step.line, FileOrigin.WRITTEN)
            content = f"{bodies}\n".encode() if len(heredocs) == 1 else None
            mode, doubt = self._mode()
            file = file._replace(content=content, doubt=doubt)
            self._state.put([(file, "")], destination, Placement(self._step.line, mode), several=len(heredocs) > 1)

    def _hand_unknown(self, source: str, destination: str) -> None:
        """What is unknown at a source of another stage is unknown at its destination."""
        assert self._other is not None
        area = self._other.covers_unknown(_absolute(source))
        if area is None:
            return
        state, start, where = self._state, _absolute(source), self._state.at(destination)
        below = area.path[len(start.rstrip("/")) + 1 :] if is_below(area.path, start) else ""
        state.unknown.append(area._replace(path=posixpath.join(where, below) if below else where, line=self._step.line))

    def _hand_unseen(self, source: str, destination: str, *, is_seen: bool) -> None:
        """What a COPY takes of another stage is there, or the build fails, also where nothing shows what made it."""
        assert self._other is not None
        place = _absolute(source)
        is_known = is_seen or place in self._other.folders or any(char in source for char in WILD)
        if not is_known and not self._other.covers_unknown(place) and not self._other.has_environment(place):
            self._foreign(source, destination, f"it is copied from {self._origin} in line {self._step.line}")

    def _hand_on(self, other: StageState) -> None:
        """What is in doubt in a stage is in doubt in whatever copies from it."""
        copied = {file.source for file in self._state.files.values() if not file.doubt}
        placed = {file.source for file in other.files.values()}
        for source, reason in other.doubts.items():
            if source not in copied and (
                source not in placed or source in {f.source for f in self._state.files.values()}
            ):
                self._state.doubts.setdefault(source, reason)


def _context_files(build: BuildInput, source: str) -> list[tuple[PlacedFile, str]]:
    """The files of the context that a source means, each with its path below it."""
    start = posixpath.normpath(posixpath.join("/", source)).lstrip("/")
    full = posixpath.join(build.context, start) if start and build.context else build.context or start
    paths, rests = _below(full, build.files)
    constant = PlacedFile("", "", 0)
    modes = list(map(build.modes.get, paths)) if build.modes else [None] * len(paths)
    others = ([value] * len(paths) for value in constant[5:])
    files = records(
        PlacedFile, paths, paths, [constant.line] * len(paths), [constant.origin] * len(paths), modes, *others
    )
    return list(zip(files, rests, strict=True))


def _below(source: str, files: Collection[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The files at or below a path, which may have wildcards, and the path of each below what matched."""
    parts = [part for part in source.split("/") if part]
    is_wild = any(char in source for char in WILD)
    plain = "/".join(parts)
    if not plain:
        return [*files], [*files]
    if not is_wild:
        inside = [name for name in files if name.startswith(plain) and name[len(plain) : len(plain) + 1] in {"", "/"}]
        return inside, [name[len(plain) + 1 :] for name in inside]
    found = [(name, rest) for name in files if (rest := words_below(name, parts, is_wild=True)) is not None]
    return [name for name, _rest in found], ["/".join(rest) for _name, rest in found]


def _absolute(source: str) -> str:
    return posixpath.normpath(posixpath.join("/", source)).replace("//", "/")


def _spelled(source: str) -> str:
    """A source with a wildcard for each variable that has no value."""
    return _VARIABLE.sub("*", source)


def mounted(flag: str) -> str | None:
    """The folder of the context that a RUN sees by `--mount`; None for any other flag."""
    if not flag.startswith("--mount="):
        return None
    options: dict[str, str] = dict(re.findall(r"(\w+)=([^,]*)", flag.removeprefix("--mount=")))
    if options.get("type", "bind") != "bind" or "from" in options:
        return None
    return options.get("source", options.get("src", "."))
