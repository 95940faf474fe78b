"""BG701: the script, module, attribute or function that a start command names exists."""

from __future__ import annotations

import posixpath

from buildguard.codes import Code
from buildguard.project.image_model import PlacedFile
from buildguard.project.start_command import StartCommand
from buildguard.startup import flask_names
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.losses import LostFile, report_lost
from buildguard.startup.modules import ModuleSearch, may_be_installed, search_absolute
from buildguard.startup.source_facts import read_facts


class EntryFile:
    """The file that a start loads first: its path in the image, where it comes from, and the search path it is found on."""

    def __init__(self, path: str, file: PlacedFile, module: str = "") -> None:
        self.path = path
        self.file = file
        self.module = module


def check_application(image: ImageStart, start: StartCommand, findings: StartupFindings) -> EntryFile | None:
    """Report what a start names and the image lacks; the file that it loads, where that is known."""
    place = image.place_of(start.place)
    if start.undecided and not start.unread:  # that is counted with the program
        findings.leave_open(place, start.undecided)
    if start.script:
        return _check_script(image, start, findings, place)
    if start.module:
        return _check_module(image, start, findings, place)
    return None


def _check_script(
    image: ImageStart, start: StartCommand, findings: StartupFindings, place: FindingPlace
) -> EntryFile | None:
    image_file = image.tree.find(start.script)
    if image_file is None:
        if not start.is_main:  # the others are programs, and reported with them
            _missing_script(image, start, findings, place)
        return None
    _check_attribute(image, start, findings, place, image_file)
    return EntryFile(start.script, image_file)


def _missing_script(image: ImageStart, start: StartCommand, findings: StartupFindings, place: FindingPlace) -> None:
    script = start.script
    reason = image.tree.why_unknown(script)
    reason = reason or (image.other_context(script) and "the build context is a guess")
    if reason or image.tree.is_folder(script.removesuffix(".py")):
        findings.leave_open(place, f"{script}: {reason or 'it is a folder'}")
        return
    lost = [source for source in image.tree.project_paths(script) if image.files.is_file(source)]
    if lost:
        report_lost(image, findings, LostFile(lost[0], f"{start.server} loads it"))
    else:
        findings.add(
            Code.BG701, place, f"{start.server} loads {script}, and the image has no such file", "correct the path"
        )


def _check_module(
    image: ImageStart, start: StartCommand, findings: StartupFindings, place: FindingPlace
) -> EntryFile | None:
    if any("$" in folder for folder in (start.folder, *start.search_path)):
        return None
    result = search_absolute(image, start.module, start.search_path)
    if start.is_main and result.package:
        result = _main_of(image, result)
    if result.file is not None:
        _check_attribute(image, start, findings, place, result.file)
        return EntryFile(result.path, result.file, start.module)
    if result.unknown:
        findings.leave_open(place, f"module {start.module}: {result.unknown}")
    elif result.is_missing or result.lost:
        _missing_module(image, start, findings, result)
    elif start.attribute:
        _report_namespace(image, start, findings, result)
    return None


def _report_namespace(image: ImageStart, start: StartCommand, findings: StartupFindings, result: ModuleSearch) -> None:
    """BG701 for an application in a folder without `__init__.py`, unless a build makes that file or a package comes first."""
    place = image.place_of(start.place)
    made = image.tree.why_unknown(f"{result.package}/__init__.py")
    if doubt := made or may_be_installed(image, start.module):
        findings.leave_open(place, f"module {start.module}: {doubt}")
        return
    _report_undefined(start, findings, place, f"{start.module}, a folder without __init__.py,", frozenset())


def _main_of(image: ImageStart, result: ModuleSearch) -> ModuleSearch:
    """`python -m package` runs the package's `__main__.py`."""
    path = posixpath.join(result.package, "__main__.py")
    image_file = image.tree.find(path)
    if image_file is not None:
        return ModuleSearch(path, image_file)
    lost = tuple(source for source in image.tree.project_paths(path) if image.files.is_file(source))
    unknown = result.unknown or image.tree.why_unknown(path)
    return ModuleSearch(lost=lost, unknown=unknown, is_top=False)


def _missing_module(image: ImageStart, start: StartCommand, findings: StartupFindings, result: ModuleSearch) -> None:
    place = image.place_of(start.place)
    if result.lost:
        reason = f"{start.server or 'python'} loads the module {start.module}"
        report_lost(image, findings, LostFile(result.lost[0], reason))
        return
    if start.folder != image.tree.model.workdir and not image.tree.is_folder(start.folder):
        findings.leave_open(place, f"module {start.module}: the image has no {start.folder}, so its `cd` may fail")
        return
    installed = may_be_installed(image, start.module) if result.is_top else ""
    if installed or (result.is_top and not start.search_path):
        findings.leave_open(place, f"module {start.module}: {installed or 'no folder is searched for it'}")
        return
    base = posixpath.join(start.search_path[0], start.module.replace(".", "/")) if start.search_path else ""
    other = image.other_context(f"{base}.py") or image.other_context(base)
    if other:
        findings.leave_open(place, f"the build context is a guess, and {other} may be the module {start.module}")
        return
    where = ", ".join(start.search_path)
    message = f"the start command loads the module {start.module}, and it does not exist in {where}"
    findings.add(Code.BG701, place, message, _similar(image, start))


def _similar(image: ImageStart, start: StartCommand) -> str:
    """A hint with a module of the project that has the same last name, or differs in case."""
    name = f"{start.module.rpartition('.')[2]}.py"
    for path in image.files.below(image.service.context):
        if posixpath.basename(path).casefold() == name.casefold():
            return f"the project has {path}: name the module as it is on the search path"
    return "name a module of the project, or copy it into the image"


def _check_attribute(
    image: ImageStart, start: StartCommand, findings: StartupFindings, place: FindingPlace, image_file: PlacedFile
) -> None:
    if start.server == "flask" and not start.attribute:
        _check_flask(image, start, findings, image_file)
    else:
        _check_name(image, start, findings, place, image_file)


def _check_name(
    image: ImageStart, start: StartCommand, findings: StartupFindings, place: FindingPlace, image_file: PlacedFile
) -> None:
    name = start.attribute.partition(".")[0]
    if not name or start.is_main:
        return
    shown = image_file.source or posixpath.basename(start.script) or start.module
    content = image.certain_content(image_file)
    facts = read_facts(content) if content is not None else None
    bound = facts.binds(name) if facts is not None else None
    if facts is None or bound is None or (not bound and _has_submodule(image, image_file, name)):
        findings.leave_open(place, image_file.doubt or f"{shown} may bind {name} in ways that are not read")
    elif not bound:
        _report_undefined(start, findings, place, shown, facts.names)


def _check_flask(image: ImageStart, start: StartCommand, findings: StartupFindings, image_file: PlacedFile) -> None:
    """The module from which flask takes an application whose name the command does not give."""
    place = image.place_of(start.place)
    content = image.certain_content(image_file)
    if content is not None and flask_names.check_options(start, place, findings):
        flask_names.check_names(read_facts(content), image_file.source or start.module, place, findings)


def _report_undefined(
    start: StartCommand, findings: StartupFindings, place: FindingPlace, where: str, names: frozenset[str]
) -> None:
    name = start.attribute.partition(".")[0]
    message = f"the start command names the {_what(start)} {name}, and {where} does not define it"
    findings.add(Code.BG701, place, message, _offer(names))


def _what(start: StartCommand) -> str:
    return "function" if start.is_factory or start.server == "functions-framework" else "attribute"


def _has_submodule(image: ImageStart, image_file: PlacedFile, name: str) -> bool:
    """Whether a file is a package with a module of that name, whose import binds it."""
    folder, base = posixpath.split(image_file.source)
    return base == "__init__.py" and bool(folder) and image.files.has(f"{folder}/{name}.py")


def _offer(names: frozenset[str]) -> str:
    usual = [name for name in ("app", "application", "create_app", "main", "server", "api") if name in names]
    public = sorted(name for name in names if not name.startswith("_"))
    offered = usual or public
    return f"names that it defines: {', '.join(offered[:5])}" if offered else "define it, or correct the command"
