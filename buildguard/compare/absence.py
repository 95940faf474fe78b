"""Why a path is on one side of a hop only. Pure."""

from __future__ import annotations

from buildguard.compare.causes import CauseKind
from buildguard.compare.difference import ChangeKind, Difference
from buildguard.compare.hop_evidence import HopContext
from buildguard.compare.name_index import NameIndex

_SOURCES = (b".py", b".pyw", b".pyi")


def explain_absence(difference: Difference, names: NameIndex, hop: HopContext) -> Difference:
    """An added or removed path with its cause."""
    removed = difference.change is ChangeKind.REMOVED
    if removed and hop.is_to_image:
        explained = _explain_removed(difference, hop)
        if not explained.finding:
            return explained  # the same content elsewhere is no reason to miss it here
    cause = names.find_normalized(difference) or names.find_collision(difference) or names.find_moved(difference)
    if cause is not None:
        return difference._replace(cause=cause.name, evidence=cause.evidence)
    return _explain_removed(difference, hop) if removed else _explain_added(difference, hop)


def _explain_added(difference: Difference, hop: HopContext) -> Difference:
    assert difference.after is not None
    commit = hop.evidence.older.get((difference.path, difference.after.blob))
    if commit:
        words = f"it is from commit {commit}, and was removed since"
        return difference._replace(cause=CauseKind.STALE, evidence=words)
    if hop.is_checkout:
        return difference._replace(cause=CauseKind.LOCAL_EDIT, evidence=f"not in {hop.before.stage}")
    built = hop.is_to_image and not difference.path.endswith(_SOURCES)
    explained = "made by the build" if built else ""
    return difference._replace(evidence=f"only in {hop.after.stage}", finding=not built, explained=explained)


def _explain_removed(difference: Difference, hop: HopContext) -> Difference:
    evidence, path = hop.evidence, difference.path
    if rule := evidence.drops.get(path):
        return _ignored(difference, CauseKind.IGNORED, f"dropped by {rule}", rule, hop)
    missing = f"not in {hop.after.stage}"
    if path in evidence.doubts:
        return difference._replace(evidence=missing, finding=False, undecided=evidence.doubts[path])
    if hop.is_to_image and evidence.copied is not None and path not in evidence.copied:
        words = "the Dockerfile copies it nowhere, or removes it"
        return _ignored(difference, CauseKind.IGNORED, words, words, hop)
    if path in evidence.unexported:
        words = "git's attribute export-ignore"
        return _ignored(difference, CauseKind.EXPORT_IGNORE, words, words, hop)
    if hop.is_checkout:
        return difference._replace(cause=CauseKind.LOCAL_EDIT, evidence="deleted in the working tree")
    return difference._replace(evidence=missing)


def _ignored(difference: Difference, cause: CauseKind, evidence: str, rule: str, hop: HopContext) -> Difference:
    return difference._replace(cause=cause, evidence=evidence, finding=_is_needed(difference.path, hop), explained=rule)


def _is_needed(path: bytes, hop: HopContext) -> bool:
    """Whether a path matters although a rule leaves it out: as code, or as something that the Dockerfile copies.

    A .dockerignore is about the image, so what it leaves out of that is intended; docker never saw what gcloud dropped.
    """
    if hop.is_to_image:
        return False
    return path.endswith(_SOURCES) or (hop.evidence.copied is not None and path in hop.evidence.copied)
