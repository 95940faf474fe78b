"""Names of images in Google's registries, and the emulated registry that they lead to where there is one.

A container engine pushes to loopback without TLS, so the emulator needs no certificate and the engine no setting.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from buildguard.definitions import lazy_pattern
from buildguard.errors import UsageError

REGISTRY = "BUILDGUARD_REGISTRY_ENDPOINT"
_GOOGLES = lazy_pattern(r"(?:[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io)/[^/].*")


def is_googles(reference: str) -> bool:
    """Whether an image is one of Artifact Registry or Container Registry."""
    return _GOOGLES.fullmatch(reference) is not None


def emulated_name(reference: str, environ: Mapping[str, str] = os.environ) -> str:
    """The name by which the engine has an image of Google's from the emulated registry; empty where none is emulated.

    Raises UsageError for a registry that is not on loopback.
    """
    text = environ.get(REGISTRY, "")
    if not text or not is_googles(reference):
        return ""
    address = urlsplit(text)
    if address.scheme != "http" or address.hostname != "127.0.0.1" or not address.port:
        raise UsageError(f"{REGISTRY}={text} is no registry on this machine", hint=f"{REGISTRY}=http://127.0.0.1:PORT")
    return f"{address.netloc}/{reference}"
