"""Images of Python's own into which no instruction brings a package."""

from __future__ import annotations

from buildguard.definitions import lazy_pattern
from buildguard.project.start_command import StartCommand
from buildguard.startup.image_start import ImageStart
from buildguard.startup.start_texts import path_folders, rests_on_python, start_texts

INSTALLS_NONE = "the image installs no package"
_ONBUILD = "onbuild"  # such a base image installs the requirements itself
_INSTALLING = lazy_pattern(r"\b(?:pip3?|uv|poetry|pdm|pipenv)\s(?:[^;&|]*\s)?(?:install|sync)\b")
_MAY_INSTALL = lazy_pattern(
    rb"\b(?:pip3?|pipx|uvx?|poetry|pdm|pipenv|hatch|conda|mamba|apt|apt-get|apk|activate)\b|\.pth\b"
)
_SYSTEM = ("/usr/", "/lib/")
_UV = lazy_pattern(r"/uvx?$")


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
    environments = image.tree.model.environments
    if not _shows_all(image) or any("$" in folder for folder in folders):
        return False
    is_filled = any(f"{environment.path}/bin" in folders for environment in environments)
    return not is_filled and not any(image.tree.may_create(f"{folder}/x") for folder in folders)


def _shows_all(image: ImageStart) -> bool:
    """Whether the Dockerfile shows all that comes to Python's own image, and none of it is where packages are."""
    model = image.tree.model
    is_own = bool(image.dockerfile) and rests_on_python(image) and _ONBUILD not in model.base
    return is_own and not model.takes_more and not _has_files_of_system(image)


def _has_files_of_system(image: ImageStart) -> bool:
    """Whether an instruction may put files where packages and programs are, uv aside."""
    paths = [*image.tree.model.files, *(area.path for area in image.tree.model.unknown if not _UV.search(area.path))]
    return any(path == "/" or f"{path}/".startswith(_SYSTEM) for path in paths)


def install_hint(image: ImageStart) -> str:
    """What brings the packages: a COPY from the stage that installs them, or a RUN."""
    for number, stage in enumerate(image.stages):
        if any(step.name == "RUN" and _INSTALLING.search(step.text) for step in stage.instructions):
            return f"copy them from the stage that installs them: COPY --from={stage.alias or number} /usr/local /usr/local"
    return "RUN pip install -r requirements.txt"
