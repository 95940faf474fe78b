"""What the shell commands of a RUN may remove: rather too much than too little."""

from __future__ import annotations

import pytest

from buildguard.project import removals


@pytest.mark.parametrize(
    ("command", "patterns"),
    [
        ("rm -rf /app/tests", ["/app/tests"]),
        ("pip install x && rm -f a.py b.py", ["*/a.py", "*/b.py"]),
        ("/bin/rm '/app/a.py'", ["/app/a.py"]),
        ("mv /app/a.py /app/b.py /old", ["/app/a.py", "/app/b.py"]),
        ("echo rm", ["*"]),  # no operand: `xargs rm` and the like
        ("ls | xargs rm", ["*"]),
        ("rm -r ${HOME}/x", ["*/*/x"]),
        ("rm -r $(cat list)", ["*"]),
        ("rm -r .", ["*"]),
        ("rm -r ../x", ["*"]),
        ("rm -rf /", ["*"]),
        ("find /app -name '*.py' -delete", ["*/*.py"]),
        ("find /app -name tests -o -iname docs -exec rm {} +", ["*/tests", "*/docs"]),
        ("find /app -name tests | xargs rm", ["*"]),
        ("find /app -type f -delete", ["*"]),
        ("find /app -name '*.py'", []),
        ("./clean", ["*"]),
        ("sh clean.sh", ["*"]),
        ("make install", ["*"]),
        ("pip install -r requirements.txt", []),
        ("", []),
    ],
)
def test_patterns_of_a_command(command: str, patterns: list[str]) -> None:
    assert removals.patterns(command) == patterns


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("/app/tests", "/app/tests", True),
        ("/app/tests", "/app/tests/deep/a.py", True),
        ("/app/tests", "/app/tests2/a.py", False),
        ("*/a.py", "/app/deep/a.py", True),
        ("*/a.py", "/app/ba.py", False),
        ("*", "/app/a.py", True),
    ],
)
def test_a_pattern_covers_a_path_and_what_is_below_it(pattern: str, path: str, covered: bool) -> None:
    assert removals.covers(["/other", pattern], path) is covered
