"""The small files in which people write down a Python version: one reader each, bytes in, declarations out."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

from buildguard.definitions import TYPE_CHECKING, lazy_pattern
from buildguard.project import image_reference, toml
from buildguard.project.target import PythonVersion, Rank, VersionDeclaration, lowest, why_no_target

if TYPE_CHECKING:
    from buildguard.project.yaml import Node

_IS_RANGE = lazy_pattern(r"[<>=~^!]")


def declarations(data: bytes, file: str) -> list[VersionDeclaration]:
    """What one such file declares; raises UsageError with file and line where it is broken."""
    reader = READERS[posixpath.basename(file)]
    return list(reader(data, file))


def declare_exact(rank: Rank, file: str, line: int | None, text: str, words: str) -> VersionDeclaration:
    """A declaration of one version, known or not."""
    if name := image_reference.implementation(text.strip()):
        why_unknown = image_reference.why_not_cpython(name, text.strip())
        return VersionDeclaration(rank, file, line, words, None, posixpath.dirname(file), why_unknown=why_unknown)
    version = PythonVersion.parse(re.sub(r"\.[x*]$", "", text.strip()))
    folder = posixpath.dirname(file)
    if version is not None:
        return VersionDeclaration(rank, file, line, words, version, folder)
    why_unknown = why_no_target(text) or f"'{text.strip()}' names no minor version of Python"
    return VersionDeclaration(rank, file, line, words, None, folder, why_unknown=why_unknown)


def declare_range(rank: Rank, file: str, line: int | None, text: str, words: str) -> VersionDeclaration:
    """A declaration of a range, which counts with its lowest version; of an unknown one where it is no range."""
    from buildguard.project.version_ranges import to_pep440  # few commits change one

    specifier, folder = to_pep440(text), posixpath.dirname(file)
    try:
        version = lowest(specifier)
    except ValueError:
        why_unknown = f"'{text}' is no version range"
        return VersionDeclaration(rank, file, line, words, None, folder, why_unknown=why_unknown)
    if version is None:
        why_unknown = f"{words} lets in Pythons that cannot be targets: its lowest is not told"
        return VersionDeclaration(rank, file, line, words, None, folder, specifier, why_unknown)
    return VersionDeclaration(rank, file, line, words, version, folder, specifier)


def _text(data: bytes) -> str:
    # pyenv and Windows editors: a BOM, and UTF-16 from PowerShell's `>`
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def _first_line(data: bytes) -> tuple[int, str]:
    for number, line in enumerate(_text(data).splitlines(), 1):
        words = line.partition("#")[0].strip()
        if words:
            return number, words
    return 1, ""


def _python_version(data: bytes, file: str) -> Iterator[VersionDeclaration]:
    number, words = _first_line(data)
    if words:
        version = re.sub(r"^c?python[-@]?(?=3)", "", words)
        if _IS_RANGE.match(words):
            yield declare_range(Rank.PYTHON_VERSION, file, number, words, words)
            return
        yield declare_exact(Rank.PYTHON_VERSION, file, number, version.split("-")[0], words)


def _runtime_txt(data: bytes, file: str) -> Iterator[VersionDeclaration]:
    number, words = _first_line(data)
    if words:
        yield declare_exact(Rank.RUNTIME_TXT, file, number, words.removeprefix("python-"), words)


def _tool_versions(data: bytes, file: str) -> Iterator[VersionDeclaration]:
    for number, line in enumerate(_text(data).splitlines(), 1):
        words = line.partition("#")[0].split()
        if words[:1] == ["python"] and len(words) > 1:
            yield declare_exact(Rank.TOOL_VERSIONS, file, number, words[1], f"python {words[1]}")


def line_with(data: bytes, word: str) -> int | None:
    """The first line (from 1) that has a word in it."""
    return next((number for number, line in enumerate(_text(data).splitlines(), 1) if word in line), None)


def _pipfile(data: bytes, file: str) -> Iterator[VersionDeclaration]:
    wanted = toml.table(toml.read(data, file), "requires")
    for key in ("python_full_version", "python_version"):
        if isinstance(wanted.get(key), str):
            line = toml.line_of(data, key)
            yield declare_exact(Rank.PIPFILE, file, line, wanted[key], f"{key} {wanted[key]}")
            return


def _pyproject(data: bytes, file: str) -> Iterator[VersionDeclaration]:
    content = toml.read(data, file)
    wanted = toml.table(content, "project").get("requires-python")
    if isinstance(wanted, str):
        line = toml.line_of(data, "requires-python")
        yield declare_range(Rank.REQUIRES, file, line, wanted, f"requires-python {wanted}")
        return
    poetry = toml.table(content, "tool", "poetry", "dependencies").get("python")
    if isinstance(poetry, str):
        line = toml.line_of(data, "python")
        yield declare_range(Rank.REQUIRES, file, line, poetry, f"python {poetry}")


_UV_LOCK = lazy_pattern(rb"""^requires-python\s*=\s*["']([^"'\n]+)["']""", re.MULTILINE)
_POETRY_LOCK = lazy_pattern(rb"""^python-versions\s*=\s*["']([^"'\n]+)["']""", re.MULTILINE)


def _uv_lock(data: bytes, file: str) -> Iterator[VersionDeclaration]:
    """The range that the lock was resolved for; lock files of megabytes are not parsed for one line at their head."""
    head = data.partition(b"[[package]]")[0]
    yield from _locked_range(_UV_LOCK.search(head), head, file)


def _poetry_lock(data: bytes, file: str) -> Iterator[VersionDeclaration]:
    before, table, metadata = data.rpartition(b"\n[metadata]")
    match = _POETRY_LOCK.search(metadata) if table else None
    yield from _locked_range(match, metadata, file, before.count(b"\n") + 1)


def _locked_range(
    match: re.Match[bytes] | None, text: bytes, file: str, lines_before: int = 0
) -> Iterator[VersionDeclaration]:
    if match is not None:
        wanted = match[1].decode("utf-8", "replace")
        line = lines_before + text.count(b"\n", 0, match.start()) + 1
        yield declare_range(Rank.LOCKED, file, line, wanted, f"{posixpath.basename(file)} for Python {wanted}")


def _setup_cfg(data: bytes, file: str) -> Iterator[VersionDeclaration]:
    import configparser

    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(_text(data))
    except configparser.Error:
        return  # other tools keep their own dialects in it
    wanted = parser.get("options", "python_requires", fallback="").strip()
    if wanted:
        yield declare_range(
            Rank.REQUIRES, file, line_with(data, "python_requires"), wanted, f"python_requires {wanted}"
        )


def flexible_stack(root: Node) -> str:
    """The operating system on which App Engine builds a service with buildpacks, where its app.yaml leaves the version open."""
    settings = root.get("runtime_config")
    if settings is None or settings.get("runtime_version") or settings.get("python_version"):
        return ""
    system = settings.get("operating_system")
    return system.text() if system is not None and root.get("runtime") is not None else ""


def _app_yaml(data: bytes, file: str) -> Iterator[VersionDeclaration]:
    from buildguard.project import yaml

    root = yaml.read(data, file)
    for node in (root.get("build_env_variables", "GOOGLE_PYTHON_VERSION"),):
        if node is not None:
            yield declare_exact(Rank.BUILDPACK, file, node.line, node.text(), f"GOOGLE_PYTHON_VERSION {node.text()}")
    runtime = root.get("runtime")
    if runtime is None:
        return
    standard = re.fullmatch(r"python3(\d+)", runtime.text())
    if standard:
        yield declare_exact(Rank.APP_ENGINE, file, runtime.line, f"3.{standard[1]}", f"runtime {runtime.text()}")
    elif runtime.text() in {"python", "python3"}:
        flexible = root.get("runtime_config", "runtime_version") or root.get("runtime_config", "python_version")
        if flexible is None and flexible_stack(root):
            return  # buildpacks build it, and choose
        node = flexible or runtime
        yield declare_exact(Rank.APP_ENGINE, file, node.line, node.text(), f"runtime {node.text()}")


def _project_toml(data: bytes, file: str) -> Iterator[VersionDeclaration]:
    content = toml.read(data, file)
    for table in (toml.table(content, "build"), toml.table(content, "io", "buildpacks", "build")):
        for pair in table.get("env", []) if isinstance(table.get("env", []), list) else []:
            if isinstance(pair, dict) and pair.get("name") == "GOOGLE_PYTHON_VERSION":
                value = str(pair.get("value", ""))
                yield declare_exact(
                    Rank.BUILDPACK,
                    file,
                    line_with(data, "GOOGLE_PYTHON_VERSION"),
                    value,
                    f"GOOGLE_PYTHON_VERSION {value}",
                )


READERS: dict[str, Callable[[bytes, str], Iterator[VersionDeclaration]]] = {
    "app.yaml": _app_yaml,
    "runtime.txt": _runtime_txt,
    ".python-version": _python_version,
    ".tool-versions": _tool_versions,
    "Pipfile": _pipfile,
    "project.toml": _project_toml,
    "poetry.lock": _poetry_lock,
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "uv.lock": _uv_lock,
}
NAMES = frozenset(READERS)
