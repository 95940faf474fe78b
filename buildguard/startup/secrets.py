"""BG708: secrets that reach an image; no message shows one."""

from __future__ import annotations

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart

_ENV = lazy_pattern(r"(?:^|/)\.env(?:\.(?!.*(?:example|sample|template|dist|test|ci|schema|tmpl|defaults?)$)[\w.-]+)?$")
_KEY_FILE = lazy_pattern(r"(?:\.(?:pem|key|p8)|(?:^|/)id_(?:rsa|dsa|ecdsa|ed25519))$")
_KEY_JSON = lazy_pattern(
    r"(?i)(?:key|cred|service[-_.]?account|(?:^|[-_/])sa[-_.]|secret|firebase|gcp|admin[-_]?sdk)[^/]*\.json$"
)
_EXAMPLES = lazy_pattern(
    r"(?i)(?:^|[/_.-])(?:tests?|testing|testdata|fixtures?|examples?|samples?|mocks?|dummy|fake|docs?|demo|snakeoil|localhost)(?:[/_.-]|$)"
)
_PRIVATE = lazy_pattern(rb"-----BEGIN (?:RSA |EC |DSA |OPENSSH )?PRIVATE KEY-----")
_SECRET_NAME = lazy_pattern(
    rb"(?im)^[ \t]*(?:export[ \t]+)?\w{0,80}(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?)\w{0,80}[ \t]*=[ \t]*[\"']?([^\s\"'#]+)"
)
_PLACEHOLDER = lazy_pattern(
    rb"(?i)^(?:x{3,}|\*+|<.*>?|\$.*|change.?me.*|your.*|example.*|todo|none|null|false|true|test|dev|local.*|secret|password|postgres|root|admin|\d{1,5}|.{1,3}|.*placeholder.*|.*replace.*|.*insecure.*|.*x{5,}.*|.*[_-]here|/.*|\./.*)$"
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
            message = f"{path} holds {kind}, and {image.copied_by(copied.line)}"
            hint = "remove it from git, revoke it, and give it to the service by Secret Manager"
            findings.add(Code.BG708, FindingPlace(path), message, hint)


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
