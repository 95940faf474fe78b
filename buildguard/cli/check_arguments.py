"""The arguments of `check` as hooks and people give them most often, parsed without click.

click parses every other command line. `tests/cli/test_check_arguments.py` compares both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from buildguard.definitions import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_DEFAULTS: dict[str, Any] = {
    "paths": (),
    "staged": False,
    "targets": (),
    "engine": "auto",
    "fetch_python": False,
    "image": "",
    "service": "",
    "proof": "compiled",
    "form": None,
    "outputs": (),
    "everything": False,
    "statistics": False,
    "quiet": False,
    "verbose": False,
    "color": "auto",
    "html": None,
    "use_cache": True,
    "jobs": None,
    "select": (),
    "ignore": (),
    "diff_base": "",
    "strict": False,
    "stdin_filename": None,
    "baseline": "",
    "write_baseline": False,
    "config": "",
    "isolated": False,
    "environment": "",
    "proves_start": False,
    "imports_all": False,
    "rehearse": False,
    "project": "",
    "region": "",
    "verify_download": False,
}
_FLAGS: dict[str, tuple[str, bool]] = {
    "--staged": ("staged", True),
    "--strict": ("strict", True),
    "--no-cache": ("use_cache", False),
    "-q": ("quiet", True),
    "--quiet": ("quiet", True),
}
_PROOFS = frozenset({"image", "compiled", "predicted"})
_COMPLETION = "_BUILDGUARD_COMPLETE"  # click's


def parse_check(argv: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any] | None:
    """The keyword arguments of `check`; None for a command line that is click's to parse, or to refuse."""
    if not argv or argv[0] != "check" or _COMPLETION in environment:
        return None
    values, paths, targets = dict(_DEFAULTS), [], []
    words = iter(argv[1:])
    for word in words:
        if word in _FLAGS:
            name, value = _FLAGS[word]
            values[name] = value
        elif word in {"--proof", "--target"}:
            value_word = next(words, None)
            if value_word is None or (word == "--proof" and value_word not in _PROOFS):
                return None
            if word == "--proof":
                values["proof"] = value_word
            else:
                targets.append(value_word)
        elif word.startswith("-"):
            return None
        else:
            paths.append(word)
    return {**values, "paths": tuple(paths), "targets": tuple(targets)}
