"""The configuration that a start reads, and what that loads: gunicorn's and hypercorn's, and Alembic's where it runs first."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from buildguard.codes import Code
from buildguard.project import image_reference
from buildguard.project.start_command import StartCommand
from buildguard.startup import alembic
from buildguard.startup.applications import EntryFile
from buildguard.startup.closure import StartupFile, check_closure, check_needed
from buildguard.startup.findings import StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.locked_programs import shows_all


def check_configs(image: ImageStart, start: StartCommand, findings: StartupFindings) -> None:
    """The configuration files of a command, and everything that they load."""
    for path in start.configs:
        _check_config(image, start, findings, path)
    entries = (EntryFile(path, placed) for path in start.configs if (placed := image.tree.find(path)) is not None)
    check_closure(image, start, (entry for entry in entries if entry.path.endswith(".py")), findings)
    if path := alembic.config_path(start):
        check_needed(image, findings, StartupFile(path, "alembic reads it"))
        _check_alembic(image, start, findings, path)


def _check_alembic(image: ImageStart, start: StartCommand, findings: StartupFindings, path: str) -> None:
    config = alembic.read_config(image, path, start.folder)
    if config is None or not config.scripts:
        return
    for needed in _needed_scripts(image, config.scripts):
        check_needed(image, findings, needed)
    paths = tuple(dict.fromkeys([*config.search_path, *start.search_path]))
    check_closure(image, start._replace(search_path=paths), alembic.loaded_files(image, config), findings)


def _needed_scripts(image: ImageStart, scripts: str) -> Iterator[StartupFile]:
    """env.py and the folder of versions: without them `alembic upgrade` ends with an error."""
    yield StartupFile(posixpath.join(scripts, "env.py"), "alembic runs it")
    if any(image.files.is_folder(source) for source in image.tree.project_paths(posixpath.join(scripts, "versions"))):
        yield StartupFile(posixpath.join(scripts, "versions"), "alembic runs the migrations in it", is_folder=True)


def _why_unknown(image: ImageStart, path: str) -> str:
    """Why a configuration may be there; Debian's supervisor has its own elsewhere, Alpine's has it in /etc."""
    is_debian = (
        shows_all(image) and image_reference.parse(image.tree.base).last == "python" and "alpine" not in image.tree.base
    )
    if path == "/etc/supervisord.conf" and is_debian and not image.tree.may_create(path):
        return ""
    return image.tree.why_unknown(path)


def _check_config(image: ImageStart, start: StartCommand, findings: StartupFindings, path: str) -> None:
    place = image.place_of(start.place)
    if image.tree.find(path) is not None:
        return
    reader = start.server or posixpath.basename(start.programs[-1].name)
    if unknown := _why_unknown(image, path):
        findings.leave_open(place, f"{path}: {unknown}")
    elif any(image.files.git_ignore_rule(source) for source in image.tree.project_paths(path)):
        findings.leave_open(place, f"{path}: git ignores it, and it may be made before the build")
    elif any(image.files.is_file(source) for source in image.tree.project_paths(path)):
        check_needed(image, findings, StartupFile(path, f"{reader} reads its configuration from it"))
    else:
        message = f"{reader} reads its configuration from {path}, and the image has no such file"
        findings.add(Code.BG701, place, message, "correct the path")
