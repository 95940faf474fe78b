"""What `check` refuses before anything runs, whoever parsed its options."""

from __future__ import annotations

import pytest

from buildguard.cli.check_arguments import parse_check
from buildguard.cli.check_command import run_check
from buildguard.errors import UsageError


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"quiet": True, "verbose": True}, "-q and -v cannot be combined"),
        ({"statistics": True, "form": "json"}, "--statistics needs the format text"),
        ({"config": "x.toml", "isolated": True}, "--config and --isolated cannot be combined"),
        ({"paths": ("-",)}, "stdin needs a file name"),
        ({"imports_all": True}, "--imports executes an image"),
    ],
)
def test_options_that_contradict_each_other_are_refused(changes: dict[str, object], refusal: str) -> None:
    options = parse_check(["check"], {})
    assert options is not None

    with pytest.raises(UsageError, match=refusal):
        run_check(**{**options, **changes})
