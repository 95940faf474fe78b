"""The Python that a Linux distribution's own package installs, by the image of the distribution. Pure."""

from __future__ import annotations

import re

from buildguard.definitions import lazy_pattern
from buildguard.project import image_reference
from buildguard.project.target import PythonVersion

_UBUNTU = {"18.04": 6, "20.04": 8, "22.04": 10, "24.04": 12, "26.04": 14}
_DEBIAN = {"10": 7, "11": 9, "12": 11, "13": 13}
_ALPINE = {"3.17": 10, "3.18": 11, "3.19": 11, "3.20": 12, "3.21": 12, "3.22": 12}
_CODE_NAMES = {
    "bionic": 6,
    "focal": 8,
    "jammy": 10,
    "noble": 12,
    "buster": 7,
    "bullseye": 9,
    "bookworm": 11,
    "trixie": 13,
}
_ENTERPRISE = {"8": 6, "9": 9, "10": 12}  # Red Hat and what is rebuilt from it: `python3`
_AMAZON = {"2": 7, "2023": 9}
_FEDORA = {"38": 11, "39": 12, "40": 12, "41": 13, "42": 13, "43": 14}
_RELEASES = {
    "ubuntu": _UBUNTU,
    "debian": _DEBIAN,
    "alpine": _ALPINE,
    "almalinux": _ENTERPRISE,
    "rockylinux": _ENTERPRISE,
    "oraclelinux": _ENTERPRISE,
    "amazonlinux": _AMAZON,
    "fedora": _FEDORA,
}
_RED_HAT = lazy_pattern(r"(?:^|/)ubi(?P<release>8|9|10)(?:-minimal|-micro|-init)?(?:/|$)")
_RELEASE = lazy_pattern(r"\d+(?:\.\d+)?")
_NAMED_ALPINE = lazy_pattern(r"alpine(?P<release>\d+\.\d+)$")
_NAMED_UBUNTU = lazy_pattern(r"ubuntu-?(?P<release>\d\d\.04)$")
_NAMED_DEBIAN = lazy_pattern(r"(?:^|-)debian(?P<release>1\d)$")
_SHORT_UBUNTU = lazy_pattern(r"ubuntu_?(?P<year>\d\d)_?0_?4$")  # google/ubuntu2204, gcp-runtimes/ubuntu_20_0_4


def python_of(reference: str) -> PythonVersion | None:
    """The version of `python3` in the packages of an image's distribution; None where the release is unknown."""
    minor = _minor(image_reference.parse(reference))
    return None if minor is None else PythonVersion(minor)


def _minor(ref: image_reference.ImageRef) -> int | None:
    red_hat = _RED_HAT.search(ref.name)
    if red_hat is not None:
        return _ENTERPRISE[red_hat["release"]]
    # node:20-bookworm-slim, golang:1.22-alpine3.20, ubuntu:jammy-20240101
    parts = re.split(r"[-_]", ref.tag)
    by_name = next((_CODE_NAMES[part] for part in parts if part in _CODE_NAMES), None)
    if by_name is not None:
        return by_name
    alpine = _NAMED_ALPINE.search(ref.tag)
    if alpine is not None:
        return _ALPINE.get(alpine["release"])
    ubuntu = _NAMED_UBUNTU.search(ref.tag)
    return _UBUNTU.get(ubuntu["release"]) if ubuntu is not None else _by_release(ref)


def _by_release(ref: image_reference.ImageRef) -> int | None:
    short = _SHORT_UBUNTU.search(ref.last)
    if short is not None:
        return _UBUNTU.get(f"{short['year']}.04")
    named = _NAMED_DEBIAN.search(ref.last)
    if named is not None:
        return _DEBIAN.get(named["release"])
    releases = _RELEASES.get(ref.last)
    release = _RELEASE.match(ref.tag)
    if releases is None or release is None:
        return None
    return releases.get(release[0], releases.get(release[0].partition(".")[0]))
