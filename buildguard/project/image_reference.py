"""What an image reference promises about the Python in it. Pure, and nothing is guessed."""

from __future__ import annotations

from buildguard.definitions import NamedTuple, NewType, lazy_pattern
from buildguard.project.target import PythonVersion, why_no_target

_VERSION = r"3\.\d{1,2}(?:\.\d{1,3})?(?:(?:a|b|rc|-rc)\d*)?t?"
_TAG = lazy_pattern(rf"v?(?P<version>{_VERSION})(?:$|[-_])")
# python3.12-bookworm-slim (uv), python-3.11, py3.11, 4-python3.11 (Azure), 1-3.11-bookworm (devcontainers)
_IN_TAG = lazy_pattern(rf"(?:^|[-_.])(?:python|py)[-_]?v?(?P<version>{_VERSION})(?:$|[-_])")
_DEVCONTAINER = lazy_pattern(rf"\d+(?:\.\d+)*-(?P<version>{_VERSION})(?:$|[-_])")
# ubi9/python-311, runtimes/python312, beam_python3.9_sdk, tf2-cpu.2-11.py310; in tags 24.01-py311
_COMPACT = lazy_pattern(r"(?i)(?:^|[-_.])py(?:thon)?[-_]?3[._]?(?P<minor>\d{1,2})(?:$|[-_.])")
# Pythons that are not CPython, by what their images are called.
_OTHER_IMPLEMENTATIONS = {"pypy": "PyPy", "graalpy": "GraalPy", "micropython": "MicroPython", "jython": "Jython"}
_IMPLEMENTATION = lazy_pattern(rf"(?:^|[-_./])({'|'.join(_OTHER_IMPLEMENTATIONS)})(?=$|[-_.:@/\d])")
# A Debian release keeps its Python's minor version for life; the tags are Google's.
_DISTROLESS = {"python3-debian11": "3.9", "python3-debian12": "3.11", "python3-debian13": "3.13"}
_RUNS_PYTHON = lazy_pattern(r"(?:^|/)(?:distroless/python3(?:-debian\d+)?|chainguard/python)$")
# Images that hold nothing: what runs in them was copied in.
EMPTY = frozenset({"busybox", "scratch", "static", "static-debian11", "static-debian12", "static-debian13"})
# Images of other things: a final stage on one of these, where nothing mentions Python, ships none.
NO_PYTHON = EMPTY | frozenset(
    {
        "caddy",
        "eclipse-temurin",
        "envoy",
        "golang",
        "haproxy",
        "httpd",
        "mariadb",
        "memcached",
        "mongo",
        "mysql",
        "nginx",
    }
    | {"nginx-unprivileged", "node", "openjdk", "php", "postgres", "rabbitmq", "redis", "ruby", "rust", "traefik"}
    | {
        "amazoncorretto",
        "aspnet",
        "bun",
        "composer",
        "deno",
        "elixir",
        "erlang",
        "gradle",
        "grafana",
        "grafana-oss",
        "hugo",
        "jekyll",
    }
    | {
        "jmeter",
        "jre",
        "julia",
        "kibana",
        "maven",
        "meilisearch",
        "mono",
        "perl",
        "prometheus",
        "swift",
        "tomcat",
        "vault",
    }
)
_NO_PYTHON_FOLDERS = (
    "mcr.microsoft.com/dotnet/",
    "gcr.io/distroless/java",
    "gcr.io/distroless/nodejs",
    "distroless/cc",
)


_OF_DISTROLESS = lazy_pattern(r"(?:base|cc)(?:-debian\d+)?")
# Distributions: what they hold of Python, if any, is installed later.
_BARE = EMPTY | frozenset(
    {
        "almalinux",
        "alpine",
        "amazonlinux",
        "archlinux",
        "base",
        "base-debian11",
        "base-debian12",
        "base-debian13",
        "cc",
        "centos",
        "debian",
        "fedora",
        "opensuse",
        "oraclelinux",
        "rockylinux",
        "ubi",
        "ubi-minimal",
        "ubuntu",
        "wolfi-base",
    }
)


ImageDigest = NewType("ImageDigest", str)
"""What a registry knows an image by: `sha256:…`; empty where no registry has it."""


class ImageRef(NamedTuple):
    """An image reference in its parts: `europe-docker.pkg.dev/acme/python`, `3.11-slim`, `sha256:…`."""

    name: str
    tag: str
    digest: ImageDigest

    @property
    def last(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]


def parse(reference: str) -> ImageRef:
    """Split a reference; a colon before the last slash is a registry's port."""
    rest, _, digest = reference.partition("@")
    head, slash, last = rest.rpartition("/")
    last, _, tag = last.partition(":")
    return ImageRef(head + slash + last, tag, ImageDigest(digest))


def promised_version(reference: str) -> PythonVersion | None:
    """The Python that a reference promises, None where it names no version."""
    ref = parse(reference)
    if implementation(reference):
        return None
    if ref.last in _DISTROLESS:
        return PythonVersion.parse(_DISTROLESS[ref.last])
    match = _IN_TAG.search(ref.tag)
    if match is None and ref.last == "python":
        match = _TAG.match(ref.tag) or _DEVCONTAINER.match(ref.tag)
    if match is not None:
        return PythonVersion.parse(match["version"])
    named = _COMPACT.search(ref.tag) or _COMPACT.search(ref.last)
    return PythonVersion.parse(f"3.{named['minor']}") if named is not None else None


def implementation(text: str) -> str:
    """The Python implementation that an image reference or a version names, empty for CPython."""
    match = _IMPLEMENTATION.search(text.lower())
    return _OTHER_IMPLEMENTATIONS[match[1]] if match is not None else ""


def why_not_cpython(name: str, words: str) -> str:
    """Why another implementation's verdicts are unknown."""
    return f"{words} is {name}, and buildguard asks CPython only: what {name} accepts is unknown"


def has_no_python(reference: str) -> bool:
    """Whether it is the image of something that is known to come without Python, and is no distribution."""
    ref = parse(reference)
    return ref.last in NO_PYTHON or any(folder in ref.name for folder in _NO_PYTHON_FOLDERS)


def is_bare(reference: str) -> bool:
    """Whether it is the image of a distribution or of something else that is known to come without Python."""
    ref = parse(reference)
    # `base` and `cc` are distroless images, and names of anything else elsewhere
    named = ref.last in _BARE and (not _OF_DISTROLESS.fullmatch(ref.last) or "distroless" in ref.name)
    return named or has_no_python(reference)


def is_python(reference: str) -> bool:
    """Whether a reference is about Python at all, told version or not."""
    ref = parse(reference)
    named = ref.last.startswith("python") or bool(implementation(reference))
    return named or promised_version(reference) is not None


def entrypoint_of(reference: str) -> tuple[str, ...]:
    """The ENTRYPOINT of an image that is known to run Python with the words of CMD; empty for all others."""
    return ("python3",) if _RUNS_PYTHON.search(parse(reference).name) else ()


def why_version_unknown(reference: str) -> str:
    """Why no version can be told from a reference."""
    ref = parse(reference)
    if "$" in reference:
        return f"{reference} has a variable without a value"
    if name := implementation(reference):
        return why_not_cpython(name, reference)
    tag = _TAG.match(ref.tag) if "python" in ref.last else None  # the 3.16 of another image is its own version
    if tag is not None and (newer := why_no_target(tag["version"])):
        return newer
    if ref.last == "python":
        return f"the tag of {reference} names no minor version of Python"
    return f"the Python version in {reference} is unknown: its name has none"
