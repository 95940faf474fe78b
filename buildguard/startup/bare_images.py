"""Images of Python's own into which no instruction brings a package."""

from __future__ import annotations

from buildguard.definitions import lazy_pattern
from buildguard.project import image_reference
from buildguard.project.start_command import StartCommand
from buildguard.startup.copied_environments import WITHOUT_SERVERS
from buildguard.startup.image_start import ImageStart
from buildguard.startup.start_texts import path_folders, start_texts

INSTALLS_NONE = "the image installs no package"
_ONBUILD = "onbuild"  # such a base image installs the requirements itself
_INSTALLING = lazy_pattern(r"\b(?:pip3?|uv|poetry|pdm|pipenv)\s(?:[^;&|]*\s)?(?:install|sync)\b")
_MAY_INSTALL = lazy_pattern(
    rb"\b(?:pip3?|pipx|uvx?|poetry|pdm|pipenv|hatch|conda|mamba|apt|apt-get|apk|activate)\b|\.pth\b"
)
_PLACES = (
    "/usr/local/lib/python3/site-packages/x",
    "/usr/local/bin/x",
    "/usr/lib/python3/dist-packages/x",
    "/usr/bin/x",
)
_SYSTEM = "/usr/"


def is_bare(image: ImageStart, start: StartCommand) -> bool:
    """Whether an image surely has no package but those of its base image, and its start installs none."""
    model = image.tree.model
    if model.environments or not brings_nothing(image, path_folders(image, start)):
        return False
    if not any(file.source.endswith(".py") for file in model.files.values()):
        return False  # whoever mounts the sources may mount the packages too
    return not any(map(_MAY_INSTALL.search, start_texts(image, start)))


def brings_nothing(image: ImageStart, folders: list[str]) -> bool:
    """Whether some folders of PATH surely have no program but those of the base image, which is Python's own."""
    model = image.tree.model
    if not image.dockerfile or not model.knows_base or model.takes_more or _ONBUILD in model.base:
        return False
    if image_reference.parse(model.base).last not in WITHOUT_SERVERS or any("$" in folder for folder in folders):
        return False
    is_filled = any(f"{environment.path}/bin" in folders for environment in model.environments)
    return not is_filled and not _has_files_of_system(image)


def _has_files_of_system(image: ImageStart) -> bool:
    """Whether a COPY may put files where packages and programs are."""
    is_open = any(map(image.tree.may_create, _PLACES))
    return is_open or any(path.startswith(_SYSTEM) for path in image.tree.model.files)


def install_hint(image: ImageStart) -> str:
    """What brings the packages: a COPY from the stage that installs them, or a RUN."""
    for number, stage in enumerate(image.stages):
        if any(step.name == "RUN" and _INSTALLING.search(step.text) for step in stage.instructions):
            return f"copy them from the stage that installs them: COPY --from={stage.alias or number} /usr/local /usr/local"
    return "RUN pip install -r requirements.txt"
