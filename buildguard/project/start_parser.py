"""Follows a start command through wrappers, shells and simple entrypoint scripts to the program that it ends in. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import TYPE_CHECKING, lazy_pattern
from buildguard.project.server_options import AS_MODULE, SERVERS
from buildguard.project.start_command import (
    CommandPlace,
    CommandText,
    StartCommand,
    StartContext,
    StartProgram,
    in_folder,
    is_python,
    is_shell,
    is_unknown,
)
from buildguard.project.start_servers import apply_server
from buildguard.project.start_wrappers import unwrap

if TYPE_CHECKING:
    from buildguard.project import shell
    from buildguard.project.process_lists import ProcessList

_DEEPEST = 12
_MOST_BEFORE = 20
_MANAGERS = frozenset({"honcho", "supervisord"})
_LONGEST_LIST = 1 << 14
_LOADERS = (b"uvicorn", b"granian", b"runpy")  # the words of a script that loads a module by its name
_SHEBANG = lazy_pattern(rb"#![ \t]*([^\r\n]+)")
_STEERING = frozenset(
    {"exec", "exit", "cd", "export", "return", "set", "source", ".", "eval", "shift", "pushd", "popd"}
)
_FAILS = lazy_pattern(r"(?:^|\s)exit [1-9]\d*$")  # a start that works does not get there
_PYTHON_VALUES = frozenset({"-W", "-X", "--check-hash-based-pycs"})
_OPTION = lazy_pattern(
    r"-(?=.)(?:-.+|(?P<flags>[A-VYZabd-ln-z?]*)(?:[WX].*|(?P<command>[mc])(?P<value>.*))?)", re.DOTALL
)
_SAFE_FROM = 11  # the minor version of Python that knows PYTHONSAFEPATH


def parse_start(command: CommandText, context: StartContext) -> StartCommand:
    """What a command runs in the end; it is in exec form, as `combine` gives it."""
    from buildguard.project import shell

    env = {name: value for name, value in context.env.items() if name != shell.PORT}
    return _StartRun(context._replace(env=env), command.place).follow(command.words)


class _StartRun:
    """One command while it is followed: its folder, its variables, and the programs on the way."""

    def __init__(self, context: StartContext, place: CommandPlace, depth: int = 0, *, expanded: bool = False) -> None:
        self._folder = context.folder
        self._env = dict(context.env)
        self._variables: dict[str, str] = {}  # of the shell, which no other program sees
        self._exports_all = False
        self._context = context
        self._place = place
        self._depth = depth
        self._expanded = expanded
        self._options: Sequence[str] = ()  # of the shell that reads a script
        self._programs: list[StartProgram] = []
        self._before: list[StartCommand] = []
        self._flags: set[str] = set()  # of the last Python that was started

    def follow(self, words: Sequence[str]) -> StartCommand:
        """Follow words to the program that they end in."""
        self._depth += 1
        if not words or self._depth > _DEEPEST:
            return self._undecided("the command is empty" if not words else "too many scripts start each other")
        name = words[0]
        if is_unknown(name):
            return self._undecided(f"the program {name} is known at run time only")._replace(raw=name)
        wrapped = unwrap(words)
        if not (wrapped and name in {"exec", "command"}):  # the shell's own
            self._programs.append(StartProgram(name, self._folder, self._place))
        if wrapped is not None:
            self._env |= wrapped.env
            is_file = wrapped.runs_python and wrapped.words[0].endswith(".py")
            return self._python(wrapped.words) if is_file else self.follow(wrapped.words)
        return self._run(name, words)

    # -------------------------------------------------------------------------------------- programs

    def _run(self, name: str, words: Sequence[str]) -> StartCommand:
        if is_shell(name):
            return self._shell(words[1:])
        if is_python(name):
            return self._python(words[1:])
        return self._program(name, words[1:])

    def _program(self, name: str, arguments: Sequence[str]) -> StartCommand:
        base = posixpath.basename(name).removesuffix("-python")
        if base in SERVERS:
            return self._server(base, arguments)
        if base in self._context.scripts and "/" not in name:
            module, _, attribute = self._context.scripts[base].partition(":")
            return self._record(arguments)._replace(
                module=module,
                attribute=attribute.split("[")[0].strip(),
                is_factory=True,
                search_path=self._python_path(),
            )
        if base in _MANAGERS:
            return self._manager(base, arguments)
        if "/" in name:
            return self._file(name, arguments)
        return self._record(arguments)._replace(undecided=f"the program {base} is not followed")

    def _manager(self, name: str, arguments: Sequence[str]) -> StartCommand:
        """A program that starts those of a list, where that is known."""
        from buildguard.project.process_lists import process_list

        listed = process_list(name, arguments)
        if listed is None or is_unknown(listed.path):
            return self._record(arguments)._replace(undecided=f"the program {name} is not followed")
        return self._listed(listed, arguments)

    def _listed(self, listed: ProcessList, arguments: Sequence[str]) -> StartCommand:
        """The programs of a list are run first: which of them is reached from outside is not known."""
        path = in_folder(self._folder, listed.path)
        content = self._context.read(path)
        if content is None and not self._context.may_exist(path):
            return self._record(arguments)._replace(configs=(path,))
        is_changed = bool(listed.variables) and self._context.may_exist(in_folder(self._folder, listed.variables))
        if content is None or len(content) > _LONGEST_LIST or is_changed:
            return self._record(arguments)._replace(undecided=f"what {path} starts is not known")
        for process in listed.read(content.decode("utf-8", "replace")):
            context = self._context._replace(folder=in_folder(self._folder, process.folder), env=self._env)
            run = _StartRun(context, CommandPlace(path, process.line, in_image=True), self._depth, expanded=True)
            self._before.append(run.follow(process.words))
        return self._record(arguments)._replace(undecided=f"which program of {path} is reached is not known")

    def _file(self, name: str, arguments: Sequence[str]) -> StartCommand:
        """A file that the kernel executes: its first line names who reads it."""
        path = in_folder(self._folder, name)
        content = self._context.read(path)
        if content is None:
            return self._unread(path, arguments)
        match = _SHEBANG.match(content)
        words = match[1].decode("utf-8", "replace").split() if match is not None else []
        if words and posixpath.basename(words[0]) == "env":
            behind = unwrap(words)
            words = list(behind.words) if behind is not None else []
        if not words or is_shell(words[0]):
            self._options = words[1:]
            return self._script(path, content, arguments)
        if is_python(words[0]):
            return self._python([*words[1:], path, *arguments])
        return self._record(arguments)._replace(undecided=f"{path} is read by {words[0]}")

    def _server(self, name: str, arguments: Sequence[str]) -> StartCommand:
        context = self._context._replace(folder=self._folder, env=self._env)
        start = self._record(arguments)._replace(server=name, search_path=self._python_path())
        return apply_server(start, arguments, context)

    def _python(self, arguments: Sequence[str]) -> StartCommand:
        rest = list(arguments)
        self._flags = set()
        while rest and (option := _OPTION.fullmatch(rest[0])):
            self._flags |= set(option["flags"] or "")
            if option["command"]:
                rest = [f"-{option['command']}", *filter(None, [option["value"]]), *rest[1:]]
                break
            rest = rest[2:] if rest[0] in _PYTHON_VALUES else rest[1:]
        if rest[:1] == ["-m"] and len(rest) > 1:
            return self._module(rest[1], rest[2:])
        if not rest or rest[0].startswith("-"):
            return self._record(arguments)._replace(undecided="python gets no file")
        if is_unknown(rest[0]) or "$" in rest[0]:
            undecided = f"the file {rest[0]} is known at run time only"
            return self._record(arguments)._replace(undecided=undecided, raw=rest[0])
        script = in_folder(self._folder, rest[0])
        self._programs.append(StartProgram(rest[0], self._folder, self._place, is_executed=False))
        script = self._main_of(script)
        paths = (*self._first_folder(posixpath.dirname(script)), *self._python_path())
        start = self._record(rest[1:])._replace(script=script, is_main=True, search_path=paths)
        return self._loading(start, script)

    def _main_of(self, script: str) -> str:
        """The file that python runs: of a folder, which is searched first then, its `__main__.py`."""
        main = f"{script}/__main__.py"
        return main if self._context.read(script) is None and self._context.read(main) is not None else script

    def _module(self, name: str, arguments: Sequence[str]) -> StartCommand:
        paths = (*self._first_folder(self._folder), *self._python_path())
        if name in AS_MODULE:
            start = self._server(AS_MODULE[name], arguments)
            return start._replace(search_path=tuple(dict.fromkeys([*start.search_path, *paths])))
        start = self._record(arguments)._replace(module=name, is_main=True, search_path=paths)
        if "$" in name:
            return start._replace(undecided=f"the module {name} is known at run time only")
        bases = (posixpath.join(folder, *name.split(".")) for folder in paths)
        files = (file for base in bases for file in (f"{base}/__main__.py", f"{base}.py"))
        return self._loading(start, next((file for file in files if self._context.read(file) is not None), ""))

    def _loading(self, start: StartCommand, path: str) -> StartCommand:
        """A start of Python with what its script loads by name."""
        content = self._context.read(path) if path else None
        is_loading = content is not None and any(word in content for word in _LOADERS)
        if content is None or not is_loading or posixpath.basename(path) == "manage.py":
            return start
        from buildguard.project.script_applications import load_applications  # few scripts need it, and it needs `ast`

        return load_applications(start, path, content, lambda file: self._context.read(file) is not None)

    def _first_folder(self, folder: str) -> tuple[str, ...]:
        """The folder that Python puts first on sys.path; none with -I and -P."""
        return () if self._is_safe() or not self._flags.isdisjoint("IP") else (folder,)

    def _is_safe(self) -> bool:
        """Whether PYTHONSAFEPATH is set, and the Python is known to be one that reads it."""
        minor = self._env.get("PYTHON_VERSION", "").partition(".")[2].partition(".")[0]
        is_set = bool(self._env.get("PYTHONSAFEPATH")) and "E" not in self._flags
        return is_set and minor.isdigit() and int(minor) >= _SAFE_FROM

    def _python_path(self) -> tuple[str, ...]:
        """The entries of PYTHONPATH; what is unknown in it is left out."""
        if not self._flags.isdisjoint("IE"):
            return ()
        entries = self._env.get("PYTHONPATH", "").split(":")
        return tuple(in_folder(self._folder, entry) for entry in entries if entry and "$" not in entry)

    # -------------------------------------------------------------------------------------- shells

    def _shell(self, arguments: Sequence[str]) -> StartCommand:
        rest = list(arguments)
        self._options = arguments
        while rest and rest[0][:1] in {"-", "+"} and rest[0] != "--":
            option = rest.pop(0)
            if option.startswith("-") and not option.startswith("--") and "c" in option and rest:
                return self._text(rest[0], rest[2:])
            if option in {"-o", "+o", "-eo", "-euo", "-exo", "-euxo"}:
                rest = rest[1:]
        rest = rest[1:] if rest[:1] == ["--"] else rest
        if not rest:
            return self._undecided("a shell gets no script")
        self._programs.append(StartProgram(rest[0], self._folder, self._place, is_executed=False))
        path = in_folder(self._folder, rest[0])
        content = self._context.read(path) if not is_unknown(rest[0]) else None
        if content is None:
            return self._unread(path)
        return self._script(path, content, rest[1:])

    def _script(self, path: str, content: bytes, arguments: Sequence[str]) -> StartCommand:
        self._place = CommandPlace(path, 1, in_image=True)
        text = content.decode("utf-8-sig", "replace")
        return self._text(text.replace("\r\n", "\n"), arguments)

    def _text(self, text: str, arguments: Sequence[str]) -> StartCommand:
        """The commands of a shell's text: the last one is what the container runs, those before it run first."""
        from buildguard.project import shell
        from buildguard.project.shell_branches import decided
        from buildguard.project.shell_steps import ALLEXPORT, ERREXIT, find_last, has_option, may_fail, steps_of

        self._expanded = True
        if len(text) > shell.LONGEST or "<<" in text:
            return self._undecided("the script is not followed")
        steps = steps_of(decided(shell.split_commands(text), arguments))
        last = find_last(steps)
        has_errexit = has_option(self._options, ERREXIT)
        self._variables, self._exports_all = {}, has_option(self._options, ALLEXPORT)
        base = self._place
        for number, step in enumerate(steps):
            command = step.command
            if base.in_image:
                self._place = base._replace(line=(base.line or 1) + command.line - 1)
            reason = _why_not_followed(command)
            if reason:
                return self._undecided(reason)
            if command.in_block:
                continue
            words, assigned = self._words(command.words, arguments)
            if words[:1] == ["set"]:
                has_errexit = has_option(words[1:], ERREXIT, default=has_errexit)
                self._exports_all = has_option(words[1:], ALLEXPORT, default=self._exports_all)
                arguments = words[words.index("--") + 1 :] if "--" in words else arguments
            elif last[number]:
                self._env |= assigned
                return self.follow(words)
            elif words:
                fails = may_fail(steps, number, last, has_errexit=has_errexit)
                self._run_before(words, assigned, may_fail=fails)
            else:
                self._assign(assigned)
        return self._undecided("the script starts nothing that is known")

    def _words(self, raw: Sequence[str], arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """The words of a command, and the assignments before them: they hold for it alone, unless it is nothing else."""
        from buildguard.project import shell

        rest, assigned = list(raw), dict[str, str]()
        known = self._env | self._variables
        while rest and (pair := shell.assignment(rest[0])) is not None:
            assigned[pair[0]] = " ".join(shell.expand(pair[1], known | assigned, arguments))
            rest.pop(0)
        return [text for word in rest for text in shell.expand(word, known, arguments)], assigned

    def _assign(self, assigned: Mapping[str, str]) -> None:
        """Set variables in the shell: other programs see those that were exported, as the platform exports PORT."""
        from buildguard.project import shell

        for name, value in assigned.items():
            is_exported = self._exports_all or name in {*self._env, shell.PORT}
            (self._env if is_exported else self._variables)[name] = value

    def _export(self, words: Sequence[str]) -> None:
        for word in words:
            name, equals, value = word.partition("=")
            if equals or name in self._variables:
                self._env[name] = value if equals else self._variables[name]

    def _run_before(self, words: Sequence[str], assigned: Mapping[str, str], *, may_fail: bool) -> None:
        from buildguard.project.shell_steps import HARMLESS

        name = words[0]
        if name == "cd" and len(words) > 1:
            self._folder = in_folder(self._folder, words[1]) if not is_unknown(words[1]) else "/$unknown"
        elif name == "export":
            self._export(words[1:])
        elif name not in HARMLESS and name not in {"source", "."} and len(self._before) < _MOST_BEFORE:
            context = self._context._replace(folder=self._folder, env={**self._env, **assigned})
            run = _StartRun(context, self._place, self._depth, expanded=True)
            self._before.append(run.follow(words)._replace(may_fail=may_fail))

    # -------------------------------------------------------------------------------------- records

    def _record(self, arguments: Sequence[str]) -> StartCommand:
        unknown = "the working folder is not known" if "$" in self._folder else ""
        return StartCommand(
            self._place,
            tuple(self._programs),
            arguments=tuple(arguments),
            folder=self._folder,
            expanded=self._expanded,
            env=MappingProxyType(dict(self._env)),
            before=tuple(self._before),
            undecided=unknown,
        )

    def _unread(self, path: str, arguments: Sequence[str] = ()) -> StartCommand:
        return self._record(arguments)._replace(undecided=f"the content of {path} is not known", unread=True)

    def _undecided(self, reason: str) -> StartCommand:
        return self._record(())._replace(undecided=reason)


def _why_not_followed(command: shell.ShellCommand) -> str:
    """Why what comes after a command cannot be known; empty where it can."""
    name = command.words[0]
    if command.connector == "(" or name in {"eval", "shift", "function"}:
        return "the script has functions or computed commands"
    if command.in_block:
        is_steering = not _STEERING.isdisjoint(command.words) and _FAILS.search(" ".join(command.words)) is None
        return "the script decides what it starts" if is_steering else ""
    if name in {"source", "."}:
        target = command.words[1] if len(command.words) > 1 else ""
        return "" if posixpath.basename(target.strip("\"'")) == "activate" else f"the script reads {target}"
    return "the script ends before that" if name in {"exit", "return"} else ""
