"""`[tool.buildguard.deploy]`: what is refused when it is read, before anything is built or sent."""

from __future__ import annotations

import pytest

from buildguard.errors import UsageError
from buildguard.project import config
from buildguard.project.config import DeployTable


def _deploy(*lines: str) -> DeployTable:
    return config.read({b"buildguard.toml": "\n".join(("[deploy]", *lines)).encode()}).deploy


@pytest.mark.parametrize("path", ["/", "/healthz", "/a/b?full=1"])
def test_health_is_an_absolute_path(path: str) -> None:
    assert _deploy(f'health = "{path}"').health == path


@pytest.mark.parametrize(
    "path",
    [
        "healthz",
        "https://evil.example/",
        "//evil.example/",
        "@evil.example/",
        ".evil.example/",
        ":80/",
        "/a b",
        "/\\u000aHost: x",
    ],
)
def test_health_never_names_a_host(path: str) -> None:
    """It is appended to an address that may get an identity token."""
    with pytest.raises(UsageError, match=r"buildguard.toml:2: health .* is not an absolute path"):
        _deploy(f'health = "{path}"')
