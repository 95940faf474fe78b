"""BG701 and BG702: the programs and scripts that a start executes exist, and the kernel can execute them."""

from __future__ import annotations

import posixpath
import re

from buildguard.codes import Code
from buildguard.project import image_reference
from buildguard.project.image_model import DEFAULT_PATH, PlacedFile
from buildguard.project.server_options import SERVERS
from buildguard.project.start_command import StartCommand, StartProgram, in_folder, is_python, is_shell, is_unknown
from buildguard.project.start_wrappers import unwrap
from buildguard.remote.source_names import HEAD, has_shebang
from buildguard.startup.bare_images import INSTALLS_NONE, brings_nothing, install_hint, is_bare
from buildguard.startup.base_programs import find_lack
from buildguard.startup.copied_environments import add_programs, lost_python
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.locked_programs import find_reason
from buildguard.startup.losses import LostFile, report_lost
from buildguard.startup.named_packages import is_in_run
from buildguard.startup.replaced_path import is_own_python, lacking_path
from buildguard.startup.start_texts import path_folders
from buildguard.startup.unreached import find_unreached
from buildguard.startup.user_sites import find_unread_site

_ALWAYS = frozenset({"/bin/sh", "/bin/bash", "/usr/bin/env"})  # part of the images that have a system at all
_SYSTEM = frozenset(DEFAULT_PATH.split(":"))
_BOM = b"\xef\xbb\xbf"
_WITHOUT_BASH = frozenset({"alpine", "golang", "nginx", "node", "python"})  # what is built on Alpine may bring it
_TOOLS = frozenset(
    {"uv", "uvx", "poetry", "pdm", "pipenv", "hatch", "conda"}
)  # what starts a program in an environment
_MISSPELLED = 0.85  # how close a name has to be to that of a program
_WORKS = {"uvicorn": "is asked to run on"}
_PYTHONS = frozenset({"/usr/bin/python", "/usr/bin/python3"})


def note_executed(image: ImageStart, start: StartCommand, findings: StartupFindings) -> None:
    """Keep the files of the project that a start lets Python read as code: its script, configurations, and `#!` programs."""
    paths = [start.script, *start.configs]
    paths += [in_folder(program.folder, program.name) for program in start.programs if "/" in program.name]
    for path in filter(None, dict.fromkeys(paths)):
        placed = image.tree.find(path)
        if placed is None or not placed.source:
            continue
        is_code = path == start.script or (path in start.configs and _is_code(path, start))
        if is_code or has_shebang((image.content(placed) or b"")[:HEAD]):
            findings.execute(placed.source)


def _is_code(config: str, start: StartCommand) -> bool:
    """Whether a configuration is Python, whatever its name: gunicorn's is; what uvicorn and hypercorn read is mostly not."""
    return config.endswith(".py") or start.server == "gunicorn"


def check_programs(image: ImageStart, start: StartCommand, findings: StartupFindings) -> bool:
    """Whether the programs of a start may be there, and so what they load counts; what is wrong with them is reported."""
    for number, program in enumerate(start.programs):
        _ProgramCheck(image, start, findings, number).check(program)
    name = start.server or posixpath.basename(start.programs[-1].name if start.programs else "")
    reason = "" if _is_on_path(image, start, name) else find_reason(image, name)
    if reason:
        message = f"the start command runs {name}, and {reason}"
        findings.add(Code.BG701, image.place_of(start.place), message, _add_hint(reason, name))
    elif start.worker and (lack := find_reason(image, start.worker)):
        message = f"{name} {_WORKS.get(name, 'runs workers of')} {start.worker}, and {lack}"
        findings.add(Code.BG701, image.place_of(start.place), message, _add_hint(lack, start.worker))
    return not reason


def _is_on_path(image: ImageStart, start: StartCommand, name: str) -> bool:
    """Whether a folder of PATH has a program, or may have it."""
    return any(_may_hold(image, folder, name) for folder in path_folders(image, start))


class _ProgramCheck:
    """One program of a start, with what surrounds it."""

    def __init__(self, image: ImageStart, start: StartCommand, findings: StartupFindings, number: int) -> None:
        self._image = image
        self._start = start
        self._findings = findings
        self._earlier = start.programs[:number]

    def check(self, program: StartProgram) -> None:
        place = self._image.place_of(program.place)
        if program.name in _ALWAYS:
            self._shell(program, place)
            return
        if is_unknown(program.name) or "$" in program.folder:
            return
        if "/" in program.name or not program.is_executed:
            self._file(program, in_folder(program.folder, program.name), place)
        else:
            self._on_path(program, place)

    def _shell(self, program: StartProgram, place: FindingPlace) -> None:
        """A program that most images have, run or handed to Python."""
        lack = find_lack(self._image, program.name)
        if not program.is_executed and self._earlier and is_python(self._earlier[-1].name):
            message = (
                f"python gets {program.name} as its script, for CMD is written for a shell and ENTRYPOINT runs python"
            )
            self._findings.add(Code.BG701, place, message, 'write CMD as a list: CMD ["main.py"]')
        elif lack:
            self._report(lack, program.name, place)

    def _of_environment(self, path: str, place: FindingPlace) -> bool:
        """Whether a program is one of an environment that was made in another folder; that is reported."""
        name, python = posixpath.basename(path), lost_python(self._image, path)
        if name not in SERVERS or not python:
            return False
        message = (
            f"{path} begins with #!{python}, which the image does not have: the environment was made in another folder"
        )
        hint = f"copy it to where it was made, or start it with python -m {name}"
        self._findings.add(Code.BG702, place, message, hint)
        return True

    def _file(self, program: StartProgram, path: str, place: FindingPlace) -> None:
        image = self._image
        if self._of_environment(path, place):
            return
        is_of_environment = any(posixpath.dirname(path) == f"{at.path}/bin" for at in image.tree.model.environments)
        if is_of_environment and self._of_other_user(posixpath.basename(path), place):
            return
        image_file = image.tree.find(path)
        if image_file is not None:
            self._existing(program, path, image_file, place)
        elif image.tree.is_folder(path):
            self._folder(program, path, place)
        elif program.is_executed and (lack := self._lack_of_system(path)):
            self._report(lack, program.name, place)
        elif reason := image.tree.why_unknown(path) or (image.other_context(path) and "the build context is a guess"):
            self._findings.leave_open(place, f"{path}: {reason}")
        else:
            self._missing(program, path, place)

    def _lack_of_system(self, path: str) -> str:
        """That a folder of the system lacks a program; empty where it may have it."""
        is_open = posixpath.dirname(path) not in _SYSTEM or self._image.tree.may_create(path)
        return "" if is_open else find_lack(self._image, path)

    def _missing(self, program: StartProgram, path: str, place: FindingPlace) -> None:
        image = self._image
        lost = [source for source in image.tree.project_paths(path) if image.files.is_file(source)]
        if lost:
            report_lost(image, self._findings, LostFile(lost[0], f"the start command runs {program.name}"))
            return
        sources = image.tree.project_paths(path)
        other = next((found for source in sources if (found := image.files.other_case(source))), "")
        message = f"the start command runs {program.name}, and the image has no {path}"
        hint = (
            f"the project has {other}: names differ in case on Linux"
            if other
            else "add the file, or correct the command"
        )
        self._findings.add(Code.BG701, place, message, hint)

    def _folder(self, program: StartProgram, path: str, place: FindingPlace) -> None:
        image = self._image
        if program.is_executed:
            message = f"the start command runs {program.name}, and that is a folder"
            self._findings.add(Code.BG702, place, message, "name a file in it")
        elif image.tree.find(f"{path}/__main__.py") is None and not image.tree.why_unknown(f"{path}/__main__.py"):
            message = f"python runs the folder {path}, and it has no __main__.py"
            self._findings.add(Code.BG701, place, message, "name a file in it")

    # -------------------------------------------------------------------------------------- a file that exists

    def _existing(self, program: StartProgram, path: str, image_file: PlacedFile, place: FindingPlace) -> None:
        image = self._image
        content = image.certain_content(image_file)
        own = FindingPlace(image_file.source or image.dockerfile, 1 if image_file.source else image_file.line)
        if content is None:
            self._findings.leave_open(place, image_file.doubt or f"{path} cannot be read")
            return
        if program.is_executed:
            self._executable(program, image_file, own)
            self._first_line(content, path, own)
        elif self._earlier and is_shell(self._earlier[-1].name) and b"\r\n" in content:
            self._findings.add(
                Code.BG702,
                own,
                f"{path} has Windows line ends (CRLF), and a shell takes the CR for text",
                _lf_hint(own),
            )

    def _executable(self, program: StartProgram, image_file: PlacedFile, own: FindingPlace) -> None:
        executable = _mode_of(image_file)
        if executable is None:
            self._findings.leave_open(own, "whether it is executable is not known")
        elif not executable:
            hint = f"git update-index --chmod=+x {own.path}, and commit; or COPY --chmod=755"
            message = f"the start command runs {program.name}, and the file is not executable"
            self._findings.add(Code.BG702, own, message, hint)

    def _first_line(self, content: bytes, path: str, own: FindingPlace) -> None:
        first = content.split(b"\n", 1)[0]
        if content.startswith(b"\x7fELF"):
            return
        if not first.removeprefix(_BOM).startswith(b"#!"):
            if self._is_first:
                message = f"{path} has no `#!` line, so the kernel cannot execute it (exec format error)"
                self._findings.add(Code.BG702, own, message, "begin it with #!/bin/sh, or run it by its interpreter")
        elif content.startswith(_BOM):
            message = f"{path} begins with a byte order mark, so the kernel does not see its `#!` line"
            self._findings.add(Code.BG702, own, message, "save it without the mark")
        elif first.endswith(b"\r"):
            message = f"{path} has Windows line ends (CRLF): the kernel looks for the interpreter {_shown(first)}\\r"
            self._findings.add(Code.BG702, own, message, _lf_hint(own))
        else:
            self._interpreter(_shown(first).split(), path, own)

    def _interpreter(self, words: list[str], path: str, own: FindingPlace) -> None:
        problem = _interpreter_problem(words, self._image)
        if problem:
            self._findings.add(Code.BG702, own, f"{path}: {problem}", "name an interpreter that the image has")

    @property
    def _is_first(self) -> bool:
        """Whether the kernel executes it, and no shell that would read a file without `#!` by itself."""
        return not any(is_shell(earlier.name) or "/" in earlier.name for earlier in self._earlier)

    # -------------------------------------------------------------------------------------- a name on PATH

    def _on_path(self, program: StartProgram, place: FindingPlace) -> None:
        image, name = self._image, program.name
        if path := lacking_path(image, self._start, name):
            message = f"the start command runs {name}, and no folder of PATH has it: PATH is {path} alone"
            self._findings.add(Code.BG701, place, message, f"keep the PATH of the base image: ENV PATH={path}:$PATH")
            return
        if self._of_other_user(name, place) or _is_on_path(image, self._start, name):
            return
        places = (posixpath.join(folder, name) for folder in path_folders(image, self._start))
        if not any(self._of_environment(path, place) for path in places):
            self._nowhere(name, in_folder(program.folder, name), place)

    def _nowhere(self, name: str, here: str, place: FindingPlace) -> None:
        """Report a name that no folder of PATH has; `here` is where a script of that name would be."""
        image = self._image
        if re.search(r"\.(?:sh|py|bash)$", name) and (image.tree.find(here) or not image.tree.why_unknown(here)):
            exists = image.tree.find(here) is not None
            message = f"{name} is not in a folder of PATH"
            hint = f"write ./{name}" if exists else "add the file, or correct the command"
            self._findings.add(Code.BG701, place, message, hint)
        else:
            self._report_lack(name, place)

    def _of_other_user(self, name: str, place: FindingPlace) -> bool:
        """Whether a server's packages are in the home of a user who does not start it; that is reported."""
        image, folders = self._image, path_folders(self._image, self._start)
        if name not in SERVERS or any(image.tree.find(posixpath.join(folder, name)) for folder in folders):
            return False
        site = find_unread_site(image, self._start)
        if site is not None:
            self._report(site.reason, name, place, site.hint)
        return site is not None

    def _report_lack(self, name: str, place: FindingPlace) -> None:
        """Report a name that no folder of PATH has, where it is known why."""
        reason, hint = self._lack_of_installed(name) if name in SERVERS or name in _TOOLS else ("", "")
        lack = reason or find_lack(self._image, name)
        meant = "" if lack else self._meant(name)
        if meant:
            lack, hint = f"{self._image.tree.base} has no {name}, and nothing installs it", meant
        if lack:
            self._report(lack, name, place, hint)

    def _meant(self, name: str) -> str:
        """The program that a misspelled name means, in an image of Python's own to which nothing else comes; else empty."""
        close = _close_program(name)
        return f"did you mean '{close}'?" if close and self._has_base_programs_only(name) else ""

    def _has_base_programs_only(self, name: str) -> bool:
        """Whether nothing beside the base image can bring a program: `uv run` has programs of its own."""
        image = self._image
        is_mentioned = is_in_run(image, name) or not is_own_python(image)
        is_started_alone = all(is_shell(earlier.name) for earlier in self._earlier)
        return is_started_alone and not is_mentioned and brings_nothing(image, path_folders(image, self._start))

    def _report(self, lack: str, name: str, place: FindingPlace, hint: str = "") -> None:
        hint = hint or "install it in the Dockerfile, or correct the command"
        self._findings.add(Code.BG701, place, f"the start command runs {name}, and {lack}", hint)

    def _lack_of_installed(self, name: str) -> tuple[str, str]:
        """Why no folder of PATH has a program that only an installation brings."""
        if name in _TOOLS:
            hint = "install it in the final stage, or copy its environment there, and name that in PATH"
            return ("no instruction puts it into a folder of PATH", hint) if self._is_without(name) else ("", "")
        if is_bare(self._image, self._start):
            return INSTALLS_NONE, install_hint(self._image)
        copied = find_unreached(self._image, self._start)
        return ("no folder of PATH has it", add_programs(copied)) if copied else ("", "")

    def _is_without(self, tool: str) -> bool:
        """Whether an image of Python's own has no tool of that name: no command names it, and nothing else comes to PATH."""
        image = self._image
        is_named = is_in_run(image, tool) or not is_own_python(image)
        return not is_named and brings_nothing(image, path_folders(image, self._start))


def _close_program(name: str) -> str:
    """The known program whose name is close to a name that is none; else empty."""
    from difflib import get_close_matches

    known = sorted({"python", "python3", *SERVERS, *_TOOLS})
    is_known = name in known or is_python(name)
    return "" if is_known else next(iter(get_close_matches(name, known, 1, _MISSPELLED)), "")


def _add_hint(reason: str, name: str) -> str:
    file = reason.partition(" ")[0]
    return {"uv.lock": f"uv add {name}", "poetry.lock": f"poetry add {name}"}.get(
        posixpath.basename(file), f"add {name} to {file}"
    )


def _may_hold(image: ImageStart, folder: str, name: str) -> bool:
    path = posixpath.join(folder, name)
    return image.tree.find(path) is not None or image.tree.may_create(path)


def _mode_of(image_file: PlacedFile) -> bool | None:
    """Whether a file is executable in the image; None where that is not known. What a Dockerfile writes itself is not."""
    if image_file.mode is not None:
        return bool(image_file.mode & 0o111)
    return None if image_file.source else False


def _shown(line: bytes) -> str:
    return line.removeprefix(b"#!").strip().decode("utf-8", "replace")


def _lf_hint(own: FindingPlace) -> str:
    return f"add `{posixpath.basename(own.path or '')} text eol=lf` to .gitattributes, then git add --renormalize ."


def _named_interpreter(words: list[str]) -> str:
    """The interpreter of a `#!` line, that behind `env` and `env -S` too."""
    wrapped = unwrap(words) if posixpath.basename(words[0]) == "env" else None
    return posixpath.basename(wrapped.words[0] if wrapped is not None else words[0])


def _interpreter_problem(words: list[str], image: ImageStart) -> str:
    """What is wrong with the interpreter of a `#!` line; empty where nothing is known to be."""
    if not words:
        return "its `#!` line names no interpreter"
    if _gets_one_word(words):
        return f"env gets '{' '.join(words[1:])}' as one word, as the kernel passes one argument; write env -S"
    base, runs = image.tree.base, image.tree.run_text
    named = _named_interpreter(words)
    is_alpine = "alpine" in base and image_reference.parse(base).last in _WITHOUT_BASH
    if is_alpine and named == "bash" and "bash" not in runs:
        return f"{base} has no bash"
    return find_lack(image, named) or _python_problem(words[0], base, runs)


def _gets_one_word(words: list[str]) -> bool:
    """Whether `env` gets a program with arguments, which the kernel passes as one word."""
    program, *rest = words
    is_env = posixpath.basename(program) == "env" and len(rest) > 1
    return is_env and not rest[0].startswith("-") and "=" not in rest[0]


def _python_problem(program: str, base: str, runs: str) -> str:
    is_slim = base.startswith("python:") and ("slim" in base or "alpine" in base)
    if is_slim and program in _PYTHONS and not re.search(r"\b(?:apt|apt-get|apk|ln)\b", runs):
        return f"{base} has no {program}; its Python is /usr/local/bin/python3"
    return ""
