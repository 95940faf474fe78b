"""BG707 and BG708: what reaches an image and should not: placeholders in place of content, and secrets, which are never shown."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterator, Sequence

from buildguard.project.image_model import PlacedFile
from buildguard.stages.lfs import parse_pointer
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart

_ENV = re.compile(r"(?:^|/)\.env(?:\.(?!.*(?:example|sample|template|dist|test|ci|schema|tmpl|defaults?)$)[\w.-]+)?$")
_KEY_FILE = re.compile(r"(?:\.(?:pem|key|p8)|(?:^|/)id_(?:rsa|dsa|ecdsa|ed25519))$")
_KEY_JSON = re.compile(
    r"(?i)(?:key|cred|service[-_.]?account|(?:^|[-_/])sa[-_.]|secret|firebase|gcp|admin[-_]?sdk)[^/]*\.json$"
)
_EXAMPLES = re.compile(
    r"(?i)(?:^|[/_.-])(?:tests?|testing|testdata|fixtures?|examples?|samples?|mocks?|dummy|fake|docs?|demo|snakeoil|localhost)(?:[/_.-]|$)"
)
_PRIVATE = re.compile(rb"-----BEGIN (?:RSA |EC |DSA |OPENSSH )?PRIVATE KEY-----")
_SECRET_NAME = re.compile(
    rb"(?im)^[ \t]*(?:export[ \t]+)?\w{0,80}(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?)\w{0,80}[ \t]*=[ \t]*[\"']?([^\s\"'#]+)"
)
_PLACEHOLDER = re.compile(
    rb"(?i)^(?:x{3,}|\*+|<.*>?|\$.*|change.?me.*|your.*|example.*|todo|none|null|false|true|test|dev|local.*|secret|password|postgres|root|admin|\d{1,5}|.{1,3}|.*placeholder.*|.*replace.*|.*insecure.*|/.*|\./.*)$"
)
_MOST_READ = 200
_LONGEST = 1 << 16  # bytes that are searched for a secret


def check_secrets(image: ImageStart, findings: StartupFindings) -> None:
    """BG708 for each file of the image that holds a secret; its content is never part of a message."""
    candidates = image.files.named(_may_be_secret, image.service.context)[:_MOST_READ]
    image.files.load(candidates)
    for path in candidates:
        kind = _secret_kind(path, (image.files.read(path) or b"")[:_LONGEST])
        copied = image.tree.holds(path) if kind else None
        if kind and copied is not None:
            message = f"{path} holds {kind}, and line {copied.line} of {image.dockerfile} copies it into the image"
            hint = "remove it from git, revoke it, and give it to the service by Secret Manager"
            findings.add("BG708", FindingPlace(path), message, hint)


def _may_be_secret(path: str) -> bool:
    usual = path.endswith((".json", ".pem", ".key", ".p8")) or ".env" in path or "id_" in path
    return (
        usual and not _EXAMPLES.search(path) and any(pattern.search(path) for pattern in (_ENV, _KEY_FILE, _KEY_JSON))
    )


def _secret_kind(path: str, data: bytes) -> str:
    """What kind of secret a file holds; empty where it holds none, or a placeholder."""
    if _ENV.search(path):
        values = [match[1] for match in _SECRET_NAME.finditer(data)]
        return "secrets in variables" if any(not _PLACEHOLDER.match(value) for value in values) else ""
    if path.endswith(".json"):
        return "a private key" if b'"private_key"' in data and _PRIVATE.search(data) else ""
    return "a private key" if _PRIVATE.search(data) else ""


# ------------------------------------------------------------------------------------------ placeholders


def check_placeholders(image: ImageStart, findings: StartupFindings) -> None:
    """BG707 for each LFS pointer and each submodule without content that reaches the image."""
    for path in _lfs_paths(image):
        copied = image.tree.holds(path)
        if copied is not None and not path.endswith(".py"):
            message = (
                f"{path} is a Git LFS pointer, and line {copied.line} of {image.dockerfile} copies it into the image"
            )
            findings.add("BG707", FindingPlace(path), message, "git lfs pull, here and in the build before docker")
    for path in sorted(image.files.submodules):
        line = _copies_folder(image, path)
        if line is not None:
            message = f"the submodule {path} is not checked out, and line {line} of {image.dockerfile} copies its empty folder"
            findings.add("BG707", FindingPlace(image.dockerfile, line), message, "git submodule update --init")


def _lfs_paths(image: ImageStart) -> Iterator[str]:
    """The files that attributes give to LFS and whose content is still a pointer."""
    attributes = image.files.named(_is_attributes)
    patterns = [pattern for path in attributes for pattern in _lfs_patterns(image.files.read(path) or b"")]
    if not patterns:
        return
    paths = [path for path in image.files.below(image.service.context) if _matches(path, patterns)]
    image.files.load(paths[:_MOST_READ])
    for path in paths[:_MOST_READ]:
        if parse_pointer(image.files.read(path) or b"") is not None:
            yield path


def _is_attributes(path: str) -> bool:
    return path.endswith(".gitattributes")


def _matches(path: str, patterns: Sequence[str]) -> bool:
    name = posixpath.basename(path)
    return any(fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _lfs_patterns(data: bytes) -> Iterator[str]:
    for line in data.decode("utf-8", "replace").splitlines():
        words = line.split()
        if "filter=lfs" in words[1:]:
            yield words[0].lstrip("/").replace("**/", "*")


def _copies_folder(image: ImageStart, path: str) -> int | None:
    """The line that copies a folder around a submodule, whatever is in it."""
    if image.sent.dropped_by(path) is not None:
        return None
    around = posixpath.dirname(path)
    copied = (image.tree.holds(source) for source in image.files.below(around))
    return next((placed.line for placed in copied if placed is not None and _is_whole(placed, around)), None)


def _is_whole(placed: PlacedFile, folder: str) -> bool:
    """Whether a file is placed with the folder that it is in, and not by its own name."""
    inside = posixpath.relpath(placed.source, folder or ".")
    return placed.path.endswith(f"/{inside}")
