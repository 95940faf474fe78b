"""What a cycle deployed, beside its commit: settings by name with a digest, and base images. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from buildguard.project import dockerfile
from buildguard.project.config import Config

_DIGEST = 12
_LEFT_OUT = frozenset({"file", "target_line", "image_line", "notes", "folders", "services", "deploys"})


def settings_of(config: Config) -> Mapping[str, str]:
    """Each setting that differs from its default, with a digest of its value."""
    return {
        name: hashlib.sha256(repr(value).encode("utf-8", "backslashreplace")).hexdigest()[:_DIGEST]
        for name, value in sorted(_changed(config))
    }


def _changed(config: Config) -> Iterator[tuple[str, object]]:
    plain = Config()
    if config.deploy.name == config.deploy.service:  # the name that a deploy without one goes by
        config = config._replace(deploy=config.deploy._replace(name=""))
    for name in Config._fields:
        value, default = getattr(config, name), getattr(plain, name)
        if name in {"cloud", "deploy"}:
            for key in value._fields:
                if getattr(value, key) != getattr(default, key):
                    yield f"{name}.{key.replace('_', '-')}", getattr(value, key)
        elif name not in _LEFT_OUT and value != default:
            yield name.replace("_", "-"), value
    if config.services:
        yield "service", tuple(service._replace(line=None) for service in config.services)


def bases_of(content: bytes) -> tuple[str, ...]:
    """The images that a Dockerfile is built on, as it names them."""
    froms = [instruction for instruction in dockerfile.instructions(content) if instruction.name == "FROM"]
    words = [
        next((word for word in instruction.text.split() if not word.startswith("--")), "") for instruction in froms
    ]
    return tuple(dict.fromkeys(filter(None, words)))
