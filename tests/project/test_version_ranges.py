"""Ranges of Python versions: each form of poetry and of PEP 440 is read."""

import pytest

from buildguard.project.target import PythonVersion, admits, lowest
from buildguard.project.version_ranges import to_pep440


@pytest.mark.parametrize(
    ("text", "first", "let_in", "left_out"),
    [
        ("3.11.7", "3.11", "3.11.7", "3.11.8"),
        ("3.11.7 || 3.12.1", "3.11", "3.12.1", "3.12.2"),
        ("3.12.1|3.11.7", "3.11", "3.11.7", "3.10.1"),
        (">=3.9,<3.11 || >=3.12", "3.9", "3.13", "3.11"),
        ("2.7 || ^3.9", "3.9", "3.11", "3.8"),
        ("^3.11.2", "3.11", "3.12", "3.11.1"),
        ("~3.11", "3.11", "3.11.4", "3.12"),
        ("~3.11.2", "3.11", "3.11.4", "3.11.1"),
        ("3.11", "3.11", "3.11.4", "3.12"),
        ("v3.11.x", "3.11", "3.11.4", "3.12"),
        ("3.11.*", "3.11", "3.11.4", "3.10"),
        (">=3.9 <4.0", "3.9", "3.15", "3.8"),
        (">= 3.9 , < 4.0", "3.9", "3.15", "3.8"),
        (">=3.9,!=3.9.1", "3.9", "3.9.2", "3.9.1"),
        (">=3.8, !=3.9.*", "3.8", "3.10", "3.9"),
        ("== 3.11.4", "3.11", "3.11.4", "3.11.5"),
        ("=3.11.4", "3.11", "3.11.4", "3.11.5"),
        ("===3.11.4", "3.11", "3.11.4", "3.11.5"),
        ("~= 3.11.2", "3.11", "3.11.3", "3.12"),
        (">=3.14.0rc1", "3.14", "3.15", "3.13"),
        (">=3.8.*", "3.8", "3.9", "3.7"),
        ("<>3.9.1,^3.9", "3.9", "3.9.2", "3.9.1"),
    ],
)
def test_a_range_is_read(text: str, first: str, let_in: str, left_out: str) -> None:
    specifier = to_pep440(text)

    assert str(lowest(specifier)) == first
    assert admits(specifier, _version(let_in))
    assert not admits(specifier, _version(left_out))


@pytest.mark.parametrize("text", ["*", "3", "~3", "^3", "!=3.9.1", "x", "^3.11 || *"])
def test_a_range_without_a_lowest_version_that_counts(text: str) -> None:
    specifier = to_pep440(text)

    assert lowest(specifier) is None
    assert admits(specifier, PythonVersion(11))


@pytest.mark.parametrize("text", ["three", "a range", ">=3.9,<", "3.9 && 3.10", "latest", "!=*"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="is no version range"):
        lowest(to_pep440(text))


def _version(text: str) -> PythonVersion:
    version = PythonVersion.parse(text)
    assert version is not None
    return version
