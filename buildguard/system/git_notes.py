"""What git hides or substitutes in a repository, in one line each: buildguard reads what is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from buildguard.diagnostic import count, display_path
from buildguard.system.git_directory import GitDir

_FEW = 3


def on_substitutes(folder: GitDir) -> list[str]:
    """Replace refs and grafts."""
    lines = []
    if replaced := _replaced(folder):
        lines.append(
            f"{count(len(replaced), 'replace ref')} not followed: git shows other objects for {_listed(replaced)}"
        )
    grafts = folder.parts.common_dir / "info/grafts"
    if grafts.is_file() and grafts.stat().st_size:
        lines.append("grafts (.git/info/grafts) not followed: git shows another history")
    return lines


def _replaced(folder: GitDir) -> list[str]:
    common = folder.parts.common_dir
    packed = common / "packed-refs"
    in_use = (common / "refs/replace").exists() or (common / "reftable").exists()
    if not in_use and not (packed.is_file() and b" refs/replace/" in packed.read_bytes()):
        return []
    output = folder.ask_here("for-each-ref", "--format=%(refname:lstrip=2)", "refs/replace").stdout
    return [line[:12] for line in output.decode("ascii", "replace").splitlines()]


def on_marked(mark: str, paths: Sequence[bytes]) -> str:
    """The files that a mark of the index hides from `git status`; empty where it marks none."""
    if not paths:
        return ""
    names = _listed([display_path(path) for path in paths])
    return f"{count(len(paths), 'file')} marked {mark}, so git status hides changes there: {names}"


def on_case(untracked: Iterable[bytes], tracked: Iterable[bytes]) -> str:
    """The untracked files that `core.ignoreCase` hides from `git status`; empty where there are none."""
    folded = {path.lower() for path in tracked}
    hidden = [display_path(path) for path in untracked if path.lower() in folded]
    return f"core.ignoreCase is set, so git status hides {_listed(hidden)}" if hidden else ""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _FEW
    return ", ".join(names[:_FEW]) + (f" and {more} more" if more > 0 else "")
