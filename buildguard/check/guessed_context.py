"""Files that a guessed build context may hold: what the target rejects of them is unproven, and no finding. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from buildguard.codes import Code
from buildguard.diagnostic import DisplayPath, Finding, Severity, Unproven
from buildguard.project.target import Target

# What is wrong with a text whichever Python reads it.
_OF_ANY_PYTHON = frozenset({Code.BG102, Code.BG106})


def split_by_context(
    findings: Sequence[Finding], path: bytes, shown: DisplayPath, target: Target
) -> tuple[list[Finding], list[Unproven]]:
    """The findings in a file that stand, and what is unproven because it is unknown whether the target runs the file."""
    if not target.may_cover(path):
        return [*findings], []
    standing = [finding for finding in findings if finding.code in _OF_ANY_PYTHON]
    errors = [
        finding for finding in findings if finding.severity is Severity.ERROR and finding.code not in _OF_ANY_PYTHON
    ]
    if not errors:
        return standing, []
    return standing, [Unproven(shown, target.python, _reason(errors[0], target))]


def _reason(finding: Finding, target: Target) -> str:
    file = target.basis.by if target.basis is not None else target.found_in
    line = f"line {finding.range.line}: " if finding.range.line else ""
    candidates = f"{target.context or 'the root'} or {target.reach or 'the root'}"
    return (
        f"the build context of {file} may be {candidates}; Python {target.python} rejects this file ({line}{finding.message});"
        " declare the context: context in [[tool.buildguard.service]], or a compose file"
    )
