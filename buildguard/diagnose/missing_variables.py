"""The environment variables that a log misses, and the command that sets them."""

from __future__ import annotations

from collections.abc import Iterable

from buildguard.definitions import lazy_pattern

_NAME = lazy_pattern(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b|\b[A-Z]{3,}\b")
_SECRET = lazy_pattern(r"SECRET|PASSW|TOKEN|CREDENTIAL|PRIVATE|(?:^|_)(?:API_?)?KEY$|_DSN$|SALT")
_PLURAL = lazy_pattern(r"(?i)variables|\bvars\b|invalid: \{|missing:")
_NOT_A_NAME = frozenset(
    {"ERROR", "WARNING", "INFO", "DEBUG", "CRITICAL", "FATAL", "URL", "HTTP", "NOT", "SET", "POST", "GET"}
)


def variables_in(line: str, name: str) -> tuple[str, ...]:
    """The variables that a message names: `name`, and those after it if it lists several."""
    if name and not _PLURAL.search(line):
        return (name,)
    names = [found for found in _NAME.findall(line[max(0, line.find(name)) :]) if found not in _NOT_A_NAME]
    return tuple(dict.fromkeys([*([name] if name else []), *names]))


def set_command(names: Iterable[str], service: str = "SERVICE") -> str:
    """The gcloud command that sets them; what looks like a secret comes from Secret Manager."""
    unique = list(dict.fromkeys(names))
    plain = [f"{name}=VALUE" for name in unique if not _SECRET.search(name)]
    secret = [f"{name}={name}:latest" for name in unique if _SECRET.search(name)]
    flags = [f"--update-env-vars {','.join(plain)}"] if plain else []
    flags += [f"--update-secrets {','.join(secret)}"] if secret else []
    return f"gcloud run services update {service} {' '.join(flags)}"


def sentence(names: Iterable[str]) -> str:
    """Which variables are not set."""
    unique = list(dict.fromkeys(names))
    if len(unique) == 1:
        return f"the environment variable {unique[0]} is not set"
    return f"{len(unique)} environment variables are not set: {', '.join(unique)}"
