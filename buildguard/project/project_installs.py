"""Whether a Dockerfile installs the project with a tool that refuses a Python outside of its declared range. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import image_reference
from buildguard.project.dockerfile import DockerfileStage
from buildguard.project.target import PythonVersion, Rank, VersionDeclaration

_COMMANDS = lazy_pattern(r"&&|\|\||[;|\n]")
_PIP = lazy_pattern(
    r"(?:^|\s)(?P<tool>uv\s+pip|pip3?(?:\.\d+)?|python3?\S*\s+-m\s+pip)\s+(?:install|wheel)\s(?P<words>.*)"
)
_PROJECT_TOOLS = lazy_pattern(
    r"(?:^|\s)(?P<tool>uv\s+(?:sync|run)|poetry\s+(?:install|sync)|pdm\s+(?:install|sync))\b(?P<words>.*)"
)
_LOCAL = lazy_pattern(r"(?:\.{1,2}|/)[\w./-]*(?:\[[\w,\s-]*\])?")
_ARCHIVE = lazy_pattern(r"\.(?:whl|zip|txt|t(?:ar\.)?(?:gz|bz2|xz)|tar)(?:\[|$)")
# pip's options that take the next word.
WITH_VALUE = frozenset(
    (
        *("-r", "--requirement", "-c", "--constraint", "-t", "--target", "-f", "--find-links", "-i", "--index-url"),
        *("--extra-index-url", "--prefix", "--root", "--cache-dir", "--trusted-host", "-w", "--wheel-dir"),
        *(
            "--python",
            "-p",
            "--index",
            "--default-index",
            "--index-strategy",
            "--python-preference",
            "--proxy",
            "--cert",
        ),
        *(
            "--platform",
            "--only-binary",
            "--no-binary",
            "--timeout",
            "--retries",
            "--progress-bar",
            "--upgrade-strategy",
        ),
        *("--root-user-action", "--config-settings", "-C", "--global-option", "--link-mode", "--keyring-provider"),
        *("--python-version", "--python-platform", "--prerelease", "--resolution", "--src", "--log", "--report"),
    )
)
_READS: dict[str, frozenset[str]] = {
    "pip": frozenset({"pyproject.toml", "setup.cfg"}),
    "uv": frozenset({"pyproject.toml", "uv.lock"}),
    "poetry": frozenset({"pyproject.toml", "poetry.lock"}),
    "pdm": frozenset({"pyproject.toml"}),
}


_FETCHING = frozenset({"uv sync", "uv run"})
_NO_DOWNLOADS = lazy_pattern(
    r"UV_PYTHON_DOWNLOADS[= ]\"?(?:never|manual|0|false)|--no-python-downloads|UV_NO_MANAGED_PYTHON|--no-managed-python|UV_PYTHON[= ]|--python\b"
)


class ProjectInstall(NamedTuple):
    """A command that installs the project: its line, its tool as people write it, and the files whose range it keeps."""

    line: int
    tool: str
    reads: frozenset[str]


def refusal(
    declaration: VersionDeclaration, version: PythonVersion, chain: Iterable[DockerfileStage], file: str
) -> str:
    """Which command of a Dockerfile refuses a Python because of a declared range; empty where none does."""
    if declaration.rank not in {Rank.REQUIRES, Rank.LOCKED}:
        return ""
    name = declaration.file.rpartition("/")[2]
    for stage in chain:
        promised = image_reference.promised_version(stage.base)
        if promised is not None and promised.minor != version.minor:
            continue
        for install in installs(stage):
            if install.tool in _FETCHING and _NO_DOWNLOADS.search(_text(stage)) is None:
                continue  # uv downloads a Python that is in the range
            if name in install.reads:
                return f"{file}:{install.line}: `{install.tool}` refuses it"
    return ""


def _text(stage: DockerfileStage) -> str:
    return "\n".join(step.text for step in stage.instructions if step.name in {"ENV", "ARG", "RUN"})


def installs(stage: DockerfileStage) -> Iterator[ProjectInstall]:
    """The commands of a stage that install the project."""
    for step in stage.instructions:
        if step.name != "RUN":
            continue
        for command in _COMMANDS.split(step.text):
            tool = _tool(command)
            if tool:
                family = "pip" if tool.endswith("install") and "pip" in tool else tool.split()[0]
                yield ProjectInstall(step.line, tool, _READS[family])


def _tool(command: str) -> str:
    match = _PROJECT_TOOLS.search(command)
    if match is not None and "--no-project" not in match["words"]:
        return " ".join(match["tool"].split())
    match = _PIP.search(command)
    if match is None or not _names_project(match["words"].split()):
        return ""
    return f"{'uv pip' if match['tool'].startswith('uv') else 'pip'} install"


def _names_project(words: Sequence[str]) -> bool:
    """Whether the words of `pip install` name a folder; values of options aside."""
    skip = False
    for word in words:
        plain = word.strip("\"'")
        if not skip and _LOCAL.fullmatch(plain) and not _ARCHIVE.search(plain):
            return True
        skip = plain in WITH_VALUE
    return False
