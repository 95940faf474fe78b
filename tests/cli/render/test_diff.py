"""`diff` for people and for programs."""

from __future__ import annotations

import json

import click
import pytest

from buildguard.cli.render.diff import chain_json, chain_text, verdict
from buildguard.compare.causes import CauseKind
from buildguard.compare.chain import Chain, Hop
from buildguard.compare.diff import DiffResult
from buildguard.compare.difference import ChangeKind, Difference
from buildguard.compare.upload_risks import UploadPlan, UploadRisk
from buildguard.diagnostic import DisplayPath, RelativePath, Unproven
from buildguard.stages.git_objects import HOW_TO_REPAIR
from buildguard.stages.snapshot import StageKind
from tests.cli.render.records import chain, snapshot
from tests.conftest import schema

_CHANGED = Difference(RelativePath(b"a.py"), ChangeKind.CHANGED, CauseKind.LINE_ENDINGS, "CRLF became LF\nline 1")
_EXPECTED = Difference(
    RelativePath(b"a.py"), ChangeKind.CHANGED, CauseKind.LOCAL_EDIT, finding=False, explained="the worktree"
)


def _lines(result: DiffResult, *, most: bool = True) -> list[str]:
    return click.unstyle(chain_text(result, most=most)).splitlines()


def test_a_difference_has_code_cause_and_evidence() -> None:
    lines = _lines(DiffResult(chain(_CHANGED)))

    assert lines[0] == "commit:HEAD → dir:.  1 path differs (1 entry)"
    assert lines[1] == "  a.py  BG303 changed: line-endings — CRLF became LF"
    assert lines[2] == "      line 1"
    assert lines[-1] == "first changed at hop commit:HEAD → dir:.: a.py (line-endings)"


def test_what_a_filter_makes_again_is_not_restored() -> None:
    def is_restored(difference: Difference) -> bool:
        [hop] = chain(difference).hops
        checkout = Chain((hop._replace(after=hop.after._replace(kind=StageKind.WORKTREE)),))
        return any("git restore a.py undoes" in line for line in _lines(DiffResult(checkout)))

    assert is_restored(_CHANGED)
    assert not is_restored(_CHANGED._replace(explained="text, eol=crlf"))


def test_json_follows_the_published_schema() -> None:
    risk = UploadRisk("crlf", b"run.sh", "Windows line endings")
    answer = json.loads(chain_json(DiffResult(chain(_CHANGED), UploadPlan((b"a.py",), (), (risk,)))))

    schema("diff").validate(answer)
    assert answer["exit_code"] == 1
    assert answer["first_changed_hop"] == 0
    assert answer["hops"][0]["differences"][0]["cause"] == "line-endings"
    assert answer["upload"]["warnings"] == [{"kind": "crlf", "path": "run.sh", "message": "Windows line endings"}]


def test_a_damaged_object_is_not_restored_over_the_only_copy() -> None:
    damaged = Difference(RelativePath(b"a.py"), ChangeKind.DAMAGED, CauseKind.DAMAGED, "it does not match its id")
    before, after = snapshot("commit:HEAD", "a.py"), snapshot("dir:.", "a.py")
    kinds = before._replace(kind=StageKind.COMMIT), after._replace(kind=StageKind.WORKTREE)
    hints = {change.change: _lines(DiffResult(Chain((Hop(*kinds, (change,)),))))[-2] for change in (damaged, _CHANGED)}
    answer = json.loads(chain_json(DiffResult(Chain((Hop(*kinds, (damaged,)),)))))

    assert hints[ChangeKind.DAMAGED] == f"hint: {HOW_TO_REPAIR}; buildguard explain BG306"
    assert hints[ChangeKind.CHANGED].startswith("hint: git restore a.py undoes the change")
    schema("diff").validate(answer)
    (row,) = answer["hops"][0]["differences"]
    assert (row["change"], row["cause"], row["code"]) == ("changed", "content", "BG306")


def test_a_long_list_is_cut_and_says_so() -> None:
    many = chain(*(Difference(RelativePath(b"%d.py" % number), ChangeKind.CHANGED) for number in range(30)))

    assert "  … and 10 more; --all or --format json shows them" in _lines(DiffResult(many))
    assert sum("BG303 changed" in line for line in _lines(DiffResult(many), most=False)) == 30


def test_only_the_first_risks_of_a_kind_are_listed() -> None:
    risks = tuple(UploadRisk("crlf", b"%d.sh" % number, "Windows line endings") for number in range(7))
    lines = _lines(DiffResult(chain(), UploadPlan((b"a.py",), (), risks)))

    assert sum("Windows line endings" in line for line in lines) == 5
    assert "  … and 2 more like this; --all shows them" in lines


def test_a_path_cannot_write_to_the_terminal() -> None:
    text = chain_text(DiffResult(chain(Difference(RelativePath(b"\x1b[2Ja.py"), ChangeKind.CHANGED))))

    assert "\x1b[2J" not in text


@pytest.mark.parametrize(
    ("compared", "expected"),
    [
        (chain(), "identical through 1 hop"),
        (chain(_CHANGED), "first changed at hop"),
        (chain(_EXPECTED), "only expected changes through 1 hop"),
        (chain(_EXPECTED, strict=True), "first changed at hop"),
        (chain(strict=True, notes=("modes differ",)), "the contents are identical through 1 hop"),
    ],
)
def test_the_verdict_fits_the_chain(compared: Chain, expected: str) -> None:
    assert verdict(compared).startswith(expected)


def test_what_could_not_be_read_is_never_identical() -> None:
    before = snapshot("commit:HEAD", "a.py")._replace(unproven=(Unproven(DisplayPath("b.py"), None, "not readable"),))
    compared = Chain((Hop(before, snapshot("dir:.", "a.py"), ()),))

    assert verdict(compared).startswith("unproven: 1 thing")
    assert _lines(DiffResult(compared))[0] == "commit:HEAD → dir:.  unproven (1 entry)"
