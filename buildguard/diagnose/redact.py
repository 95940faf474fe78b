"""Values that look like secrets, masked before anything of a log or a source is written. Pure.

A mask keeps the length of what it hides, so that columns in a line of source stay where they are.
"""

from __future__ import annotations

import re

from buildguard.diagnose.hypotheses import Diagnosis
from buildguard.diagnose.verdict import Hypothesis

_MASK = "\u2022"
_NAME = r"[\w.-]*(?:passw(?:or)?d|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key|credential|authorization|cookie|dsn)\w*"
# A value that is no reference to one: not code, not a variable, not the name of a secret.
_VALUE = r"(?![A-Z][A-Z0-9_]*(?::\w+)?(?:\b|$)(?![a-z]))(?!projects/|\$|<|\.\.\.|os\.|env\b|None\b|null\b|true\b|false\b|True\b|False\b)[^\s\"'`,;&|<>()\[\]{}]{4,}"
_TOKENS = (
    r"gh[pousr]_\w{16,}|github_pat_\w{16,}|xox[abprs]-[\w-]{10,}|sk-[\w-]{16,}|AKIA[0-9A-Z]{12,}|ASIA[0-9A-Z]{12,}|AIza[\w-]{20,}|ya29\.[\w.-]+"
    r"|glpat-[\w-]{10,}|eyJ[\w-]{8,}\.[\w-]+\.?[\w-]*|SG\.[\w-]{10,}\.[\w-]+|npm_\w{20,}|pypi-\w{20,}"
)
_SECRETS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?i:\b{_NAME})[\"']?\s*(?:=|:(?!:))\s*[\"'](?P<quoted>[^\"'\n]{{4,}})[\"']",
        rf"(?i:\b{_NAME})[\"']?=(?P<bare>{_VALUE})(?![\w.]*[(\[])",
        rf"(?i:\b{_NAME})[\"']?: (?P<after>(?=\S*\d){_VALUE})",
        r"(?i:\b(?:bearer|basic) )(?P<header>[\w.~+/=-]{8,})",
        r"://[^\s/:@]*:(?P<login>[^\s/@]+)@",
        rf"(?P<token>\b(?:{_TOKENS}))",
        r"(?P<key>-----BEGIN[^-\n]*PRIVATE KEY-----[\s\S]*?(?:-----END[^-\n]*-----|$))",
        r"input_value='(?P<input>[^'\n]{4,})'",
    )
)


def redact(text: str) -> str:
    """A text with masks in place of what looks like a secret."""
    for pattern in _SECRETS:
        text = pattern.sub(_masked, text)
    return text


def redact_diagnosis(diagnosis: Diagnosis) -> Diagnosis:
    """The same of everything that a diagnosis says."""
    return diagnosis._replace(
        sentence=redact(diagnosis.sentence),
        hypotheses=tuple(_redact_hypothesis(hypothesis) for hypothesis in diagnosis.hypotheses),
        remedies=tuple(redact(remedy) for remedy in diagnosis.remedies),
        quote=redact(diagnosis.quote),
        notes=tuple(redact(note) for note in diagnosis.notes),
        imports=tuple(finding._replace(message=redact(finding.message)) for finding in diagnosis.imports),
    )


def _redact_hypothesis(hypothesis: Hypothesis) -> Hypothesis:
    evidence = tuple(redact(words) for words in hypothesis.evidence)
    return hypothesis._replace(evidence=evidence, reason=redact(hypothesis.reason))


def _masked(match: re.Match[str]) -> str:
    name = match.lastgroup or 0
    start, end = match.start(name) - match.start(), match.end(name) - match.start()
    return match[0][:start] + "".join(char if char == "\n" else _MASK for char in match[name]) + match[0][end:]
