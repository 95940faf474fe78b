"""Writes the bill of materials of what the lock installs, as CycloneDX 1.6 JSON: `python scripts/sbom.py > sbom.json`."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from buildguard import __version__

_REPOSITORY = Path(__file__).resolve().parents[1]
_PIN = re.compile(r"^([a-z0-9.-]+)==([^\s;\\]+)", re.MULTILINE)


def bom(lock: str, files: list[Path]) -> Bom:
    """What a lock pins, and the files of a release with their SHA-256."""
    product = Component(
        name="buildguard-gcp",
        version=__version__,
        type=ComponentType.APPLICATION,
        purl=PackageURL("pypi", None, "buildguard-gcp", __version__),
        components=[_file(file) for file in files],
    )
    result = Bom(components=_pinned(lock))
    result.metadata.component = product
    result.register_dependency(product, result.components)
    return result


def _pinned(lock: str) -> Iterator[Component]:
    for name, version in _PIN.findall(lock):
        purl = PackageURL("pypi", None, name, version)
        yield Component(name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl))


def _file(path: Path) -> Component:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Component(
        name=path.name, type=ComponentType.FILE, hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)]
    )


def main() -> None:
    """Write the bill for the lock and the files that are named."""
    files = [Path(name) for name in sys.argv[1:]]
    print(JsonV1Dot6(bom((_REPOSITORY / "requirements.txt").read_text("utf-8"), files)).output_as_string(indent=2))


if __name__ == "__main__":
    main()
