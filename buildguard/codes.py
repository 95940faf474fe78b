"""The codes that exist, a title for each, and where its page lies."""

from __future__ import annotations

from pathlib import Path

from buildguard.definitions import StrEnum
from buildguard.errors import UsageError, did_you_mean


class Code(StrEnum):
    """The codes, each with its title as `summary`."""

    summary: str

    def __new__(cls, code: str, summary: str = "") -> Code:  # noqa: PYI034  typing.Self needs a newer Python than the step
        """A member of two values: what it is called, and its title."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.summary = summary
        return member

    BG101 = "BG101", "the target Python rejects the file"
    BG102 = "BG102", "the bytes cannot be decoded as declared"
    BG103 = "BG103", "the target's compiler gives up on the file or crashes"
    BG104 = "BG104", "engines disagree on the same bytes"
    BG105 = "BG105", "the target warns of what a later Python rejects"
    BG106 = "BG106", "the text is not what it looks like"
    BG107 = "BG107", "importing the file and running it as a script end differently"
    BG201 = "BG201", "f-string reuses its own quote inside a replacement field"
    BG202 = "BG202", "backslash inside a replacement field"
    BG203 = "BG203", "comment inside a replacement field"
    BG204 = "BG204", "line break inside a replacement field of a single-quoted f-string"
    BG205 = "BG205", "nested f-string: legal on the target, and one edit away from breaking"
    BG206 = "BG206", "f-string or format spec nested deeper than the target allows"
    BG207 = "BG207", "white space after a conversion"
    BG301 = "BG301", "a file is missing at a later stage"
    BG302 = "BG302", "a file is there that no earlier stage has"
    BG303 = "BG303", "the content of a file changed between two stages"
    BG304 = "BG304", "a file gained or lost its executable bit"
    BG305 = "BG305", "a file became a link, or a link a file"
    BG306 = "BG306", "a git object does not match its id"
    BG401 = "BG401", "the project's own files disagree on the Python version"
    BG402 = "BG402", "the image runs another Python than it is declared to"
    BG403 = "BG403", "works here, breaks there"
    BG404 = "BG404", "base image not pinned by digest"
    BG405 = "BG405", "bytecode in the image that is not its source's"
    BG406 = "BG406", "the build step is not the one that would be written today"
    BG407 = "BG407", "the platform chooses the Python, or lacks the one that is pinned"
    BG409 = "BG409", "a file of requirements that names no exact versions"
    BG410 = "BG410", "the build file cannot be read"
    BG411 = "BG411", "a field that Cloud Build does not know"
    BG412 = "BG412", "a value that Cloud Build cannot take"
    BG413 = "BG413", "something stands twice in the build file"
    BG414 = "BG414", "a build that cannot run as it is written"
    BG415 = "BG415", "a step waits for a missing or later step"
    BG416 = "BG416", "a substitution that is not defined, not used or misnamed"
    BG417 = "BG417", "more than Cloud Build takes"
    BG418 = "BG418", "the path of a volume is reserved or relative"
    BG501 = "BG501", "a required environment variable is missing"
    BG502 = "BG502", "the container does not start"
    BG503 = "BG503", "the revision does not become ready"
    BG504 = "BG504", "a verify command failed, or ran nothing"
    BG601 = "BG601", "module missing from the target's standard library"
    BG602 = "BG602", "name missing from a standard-library module of the target"
    BG603 = "BG603", "third-party module missing from the image, or not declared"
    BG604 = "BG604", "module or name of the project not found"
    BG605 = "BG605", "evaluated at import, and not supported by the target's types"
    BG606 = "BG606", "a locked or local release cannot be installed on the target"
    BG701 = "BG701", "the start command names something that does not exist"
    BG702 = "BG702", "the start command's file cannot be executed"
    BG703 = "BG703", "a COPY or ADD source is not sent"
    BG704 = "BG704", "a file that the start needs does not reach the image"
    BG705 = "BG705", "the server listens where Cloud Run does not reach it"
    BG706 = "BG706", "a variable that the start requires is not set"
    BG707 = "BG707", "a placeholder is sent instead of content"
    BG708 = "BG708", "a secret is copied into the image"


class SourceMark(StrEnum):
    """What is noted among the findings of a source and never reported: a comment that silences some of them."""

    IGNORE = "ignore"


CODES: dict[str, str] = {code.value: code.summary for code in Code}
DOCUMENTATION_URL = ""  # unset until there is a release: no result links to a page that does not exist
# The f-string rules that name what the compiler refuses.
RULE_ERRORS = frozenset({Code.BG201, Code.BG202, Code.BG203, Code.BG204, Code.BG206, Code.BG207})
_UNSILENCEABLE = ("BG1", "BG3")


def page(code: str) -> str:
    """The page of a code, Markdown; raises UsageError for a code that does not exist."""
    name = code.upper()
    if name not in CODES:
        raise UsageError(f"unknown code '{code}'", hint=_every_code())
    return (Path(__file__).with_name("pages") / f"{name}.md").read_text("utf-8")


def meaning(code: str) -> str:
    """The first section of a code's page, as one paragraph of plain text."""
    section = page(code).split("## What it means", 1)[1].split("\n## ", 1)[0].strip()
    return " ".join(section.split("\n\n", 1)[0].split())


def can_be_silenced(code: str) -> bool:
    """BG1xx and BG3xx are facts about the files; no flag, configuration or comment makes them go away."""
    return not code.startswith(_UNSILENCEABLE)


def check_pattern(pattern: str, where: str) -> None:
    """Refuse what `--select` or `--ignore` cannot mean: a code, or the start of some (BG2)."""
    if not pattern or not any(code.startswith(pattern) for code in CODES):
        hint = did_you_mean(pattern.upper(), CODES, _every_code())
        raise UsageError(f"{where}: unknown code '{pattern}'", hint=hint)


def _every_code() -> str:
    codes = list(CODES)
    return f"codes are {codes[0]} to {codes[-1]}: `buildguard explain` lists them"
