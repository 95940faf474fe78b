"""The Python that Google's buildpacks choose for a folder, by their own rules, and how to pin it. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnostic import Severity
from buildguard.errors import GuardError, UsageError
from buildguard.project import image_reference, toml
from buildguard.project.target import ContextBasis, PinProblem, PythonVersion, Rank, VersionDeclaration, admits

VERSION_FILE = ".python-version"
_VERSION_VARIABLES = ("GOOGLE_PYTHON_VERSION", "GOOGLE_RUNTIME_VERSION")
_RANGE = lazy_pattern(r"[<>=~^!][\d.<>=~^!*x|, ]*")
_EXACT = lazy_pattern(r"\d+(?:\.\d+)*(?:\.[x*])?")
_VERSION_LINE = lazy_pattern(r"(?m)^[ \t]*(?:c?python-?)?(?P<version>3\.\d{1,2}(?:\.\d{1,3})?)\b")
_GOOGLE = lazy_pattern(
    r"(?:^|[./])(?:gcr\.io/(?:buildpacks|gae-runtimes)|docker\.pkg\.dev/serverless-runtimes|google-\d\d)"
)
_DEFAULT_STACK = "ubuntu2404"  # of Cloud Run and of functions since 2026
# What another language's folder has, and a Python one of its own needs.
_FOREIGN = frozenset(
    ("package.json", "go.mod", "pom.xml", "build.gradle", "build.gradle.kts", "composer.json", "Gemfile", "Cargo.toml")
)
_PYTHON = frozenset(("requirements.txt", "pyproject.toml", "Pipfile", "setup.py", "main.py", "app.py", VERSION_FILE))


class Stack(NamedTuple):
    """A builder's stack: the minor versions that it offers, and the newest, which it takes where none is pinned."""

    name: str
    oldest: int
    newest: int

    @property
    def offers(self) -> str:
        """Its versions, for people."""
        return f"3.{self.oldest} to 3.{self.newest}"


_STACKS = {
    "ubuntu1804": Stack("ubuntu1804", 7, 9),
    "ubuntu2204": Stack("ubuntu2204", 10, 13),
    "ubuntu2404": Stack("ubuntu2404", 13, 14),
}
_BUILDERS = (
    (lazy_pattern(r"google-?22|ubuntu-?2204"), "ubuntu2204"),
    (lazy_pattern(r"google-?18|ubuntu-?1804|:v1$"), "ubuntu1804"),
    (lazy_pattern(r"google-?24|ubuntu-?2404|:latest$|builder$"), "ubuntu2404"),
)


class BuildpackService(NamedTuple):
    """A folder that buildpacks build, and what the deploy sets: variables, builder image, runtime or base image.

    `from_source` says that gcloud sends that folder by itself.
    """

    name: str
    folder: str
    basis: ContextBasis
    env: tuple[tuple[str, str], ...] = ()
    builder: str = ""
    runtime: str = ""
    from_source: bool = False


class BuildpackPython(NamedTuple):
    """What a buildpack runs: the declaration that decides, and what is wrong with the pin."""

    declaration: VersionDeclaration
    problem: PinProblem | None = None


def place_of(basis: ContextBasis) -> tuple[str, int | None]:
    """The file that declares a service, and its line where one is named."""
    file, _, line = basis.by.rpartition(":")
    return (file, int(line)) if file and line.isdigit() else (basis.by, None)


def is_python(service: BuildpackService, names: Collection[str]) -> bool:
    """Whether buildpacks take a folder for Python, by its variables and the `names` of the files in it."""
    runtime = dict(service.env).get("GOOGLE_RUNTIME", "") or service.runtime
    if runtime:
        return runtime.rpartition("/")[2].startswith("python")
    if _PYTHON & {*names}:
        return True
    return not _FOREIGN & {*names} and any(name.endswith(".py") for name in names)


def python_of(service: BuildpackService, files: Mapping[str, bytes]) -> BuildpackPython:
    """The Python of a service, first that is set: runtime, variables, `.python-version`, the newest of the stack.

    `files` are contents by path. `requires-python`, Pipfile and `runtime.txt` are never read by a buildpack.
    """
    place, at = place_of(service.basis)
    if service.runtime:
        return BuildpackPython(_declare(service, place, at, service.runtime, service.runtime))
    for file, number, variables in _environments(service, files):
        for name in _VERSION_VARIABLES:
            if value := variables.get(name, ""):
                return _checked(service, _declare(service, file, number, value, f"{name} {value}"))
    path = posixpath.join(service.folder, VERSION_FILE)
    if path in files:
        return _from_file(service, path, files[path])
    return _default(service, place, at)


def variables_of(service: BuildpackService, files: Mapping[str, bytes]) -> dict[str, str]:
    """The variables of a build: the command's win over the files' in the folder."""
    variables: dict[str, str] = {}
    for _file, _line, pairs in _environments(service, files):
        variables = {**pairs, **variables}
    return variables


def _environments(
    service: BuildpackService, files: Mapping[str, bytes]
) -> Iterator[tuple[str, int | None, Mapping[str, str]]]:
    """The variables of a build, with the file and line that set them: the command's before the files' in the folder."""
    yield *place_of(service.basis), dict(service.env)
    for name, reader in (("project.toml", _project_variables), ("app.yaml", _app_variables)):
        path = posixpath.join(service.folder, name)
        if path in files:
            for variable, (number, value) in reader(files[path], path).items():
                yield path, number, {variable: value}


def _project_variables(data: bytes, file: str) -> dict[str, tuple[int | None, str]]:
    """The build variables of a project descriptor, in each of the forms that `pack` reads."""
    from buildguard.project import version_files

    try:
        content = toml.read(data, file)
    except GuardError:
        return {}
    tables = (toml.table(content, "build"), toml.table(content, "io", "buildpacks", "build"))
    pairs = [pair for table in tables for pair in _listed(table.get("env"))]
    return {
        str(pair.get("name")): (version_files.line_with(data, str(pair.get("name"))), str(pair.get("value", "")))
        for pair in pairs
        if isinstance(pair, dict)
    }


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _app_variables(data: bytes, file: str) -> dict[str, tuple[int | None, str]]:
    from buildguard.project import yaml

    try:
        node = yaml.read(data, file).get("build_env_variables")
    except GuardError:
        return {}
    pairs = node.pairs() if node is not None else ()
    return {name: (value.line, value.text()) for name, value in pairs}


def _declare(service: BuildpackService, file: str, line: int | None, text: str, words: str) -> VersionDeclaration:
    from buildguard.project import version_files

    declaration = version_files.declare_exact(Rank.BUILDPACK, file, line, text, words)
    if declaration.version is None and (version := image_reference.promised_version(text)) is not None:
        declaration = declaration._replace(version=version, why_unknown="")
    return declaration._replace(folder=service.folder)


def _from_file(service: BuildpackService, path: str, data: bytes) -> BuildpackPython:
    """The whole trimmed text of the file is the version: a comment, a second line or nothing fails the build."""
    text = data.decode("utf-8-sig", "replace").strip()
    declaration = _declare(service, path, 1, text, text or "nothing")
    if _EXACT.fullmatch(text):
        return _checked(service, declaration)
    if _RANGE.fullmatch(text):
        return _from_range(service, path, text)
    what = "is empty" if not text else "has more than a version in it"
    message = f"{VERSION_FILE} {what}: buildpacks read its whole text as the version, and the build fails"
    problem = PinProblem(Severity.ERROR, path, 1, message, f"write one version to {path}: {_first_version(text)}")
    return BuildpackPython(declaration._replace(version=None, why_unknown=f"{path} {what}"), problem)


def _first_version(text: str) -> str:
    """The first version that a text has; the newest of the platform's stack where it has none."""
    match = _VERSION_LINE.search(text)
    return match["version"] if match is not None else f"3.{_STACKS[_DEFAULT_STACK].newest}"


def _from_range(service: BuildpackService, path: str, text: str) -> BuildpackPython:
    """The newest version of the stack in a range; what comes after the next update of the builder is open."""
    from buildguard.project import version_files

    stack = stack_of(service.builder)
    try:
        wanted = version_files.declare_range(Rank.BUILDPACK, path, 1, text, text)
    except UsageError:
        wanted = _declare(service, path, 1, text, text)
    if stack is None or not wanted.specifier:
        why_unknown = f"which Python {text} means for {service.builder or 'the builder'} is unknown"
        return BuildpackPython(wanted._replace(version=None, why_unknown=why_unknown, folder=service.folder))
    fitting = (PythonVersion(minor) for minor in range(stack.newest, stack.oldest - 1, -1))
    version = next((version for version in fitting if admits(wanted.specifier, version)), None)
    if version is None:
        message = f"no Python in {text}: the builder ({stack.name}) offers {stack.offers} only, and the build fails"
        problem = PinProblem(Severity.ERROR, path, 1, message, f"pin one of {stack.offers}")
        return BuildpackPython(wanted._replace(folder=service.folder), problem)
    message = (
        f"{text} lets the builder choose: Python {version} today ({stack.name}), another one after its next update"
    )
    problem = PinProblem(Severity.WARNING, path, 1, message, f"pin it: echo {version} > {path}")
    return BuildpackPython(wanted._replace(version=version, specifier="", folder=service.folder), problem)


def _checked(service: BuildpackService, declaration: VersionDeclaration) -> BuildpackPython:
    """A pinned version that the stack lacks fails the build."""
    stack, version = stack_of(service.builder), declaration.version
    if stack is None or version is None or stack.oldest <= version.minor <= stack.newest:
        return BuildpackPython(declaration)
    message = f"pins Python {version}, and the builder ({stack.name}) offers {stack.offers} only: the build fails"
    hint = f"gcloud run deploy --base-image python3{version.minor}, or pin one of {stack.offers}"
    if service.builder:
        hint = f"pin one of {stack.offers}, or use a builder that offers {version}"
    problem = PinProblem(Severity.ERROR, declaration.file, declaration.line, message, hint)
    return BuildpackPython(declaration, problem)


def _default(service: BuildpackService, file: str, line: int | None) -> BuildpackPython:
    stack = stack_of(service.builder)
    if stack is None:
        why_unknown = f"which Python {service.builder} takes where none is pinned is unknown"
        declaration = VersionDeclaration(
            Rank.BUILDPACK, file, line, f"builder {service.builder}", None, service.folder, why_unknown=why_unknown
        )
        return BuildpackPython(declaration)
    version = PythonVersion(stack.newest)
    words = f"no version is pinned: the newest of {stack.name}"
    declaration = VersionDeclaration(Rank.BUILDPACK, file, line, words, version, service.folder)
    pin = posixpath.join(service.folder, VERSION_FILE)
    message = f"the builder chooses the Python: {version} today ({stack.name}), another one after its next update"
    hint = f"pin it: echo {version} > {pin}"
    if not service.builder:
        hint += f"; for a version outside of {stack.offers}: --base-image python311"
    return BuildpackPython(declaration, PinProblem(Severity.WARNING, file, line, message, hint))


def stack_of(builder: str) -> Stack | None:
    """The stack of a builder image, the platform's own for none; None for a builder that is not Google's."""
    if not builder:
        return _STACKS[_DEFAULT_STACK]
    if not _GOOGLE.search(builder):
        return None
    return next((_STACKS[name] for pattern, name in _BUILDERS if pattern.search(builder)), None)
