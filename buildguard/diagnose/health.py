"""Whether a line of a log proves that something runs, and whether one looks like an error. Pure.

A line that proves is one that a known server, tool or platform prints after it succeeded, from the beginning of the line on:
words in the middle of a line prove nothing. Everything that resembles an error counts as one, for a false "healthy" is
worse than an "unknown".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from buildguard.definitions import lazy_pattern

# Levels, process ids and the names of loggers that servers print first.
_PREFIX = r"(?:[\[(]?(?:INFO|DEBUG|NOTICE|Default|(?:uvicorn|hypercorn|werkzeug|waitress|daphne|root)[\w.]*|\d+)[\])]?[:\s|-]+)*"
_METHODS = r"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)"
_PROOFS = lazy_pattern(
    rf"\s*{_PREFIX}(?:"
    r"Application startup complete\.$"  # uvicorn, after the application was imported and started
    r"|Uvicorn running on \S+(?: \(Press CTRL\+C to quit\))?$"
    r"|(?:\* )?Running on (?:all addresses|https?://\S+)(?: \(\S.*\))?$"  # Flask, Hypercorn, Quart
    r"|Serving on https?://\S+$"  # waitress
    r"|Listening on TCP address \S+$"  # Daphne
    r"|Starting development server at https?://\S+$"  # Django
    r"|WSGI app \d+ \(mountpoint='[^']*'\) ready in \d+ seconds\b.*$"  # uWSGI
    rf"|(?:\S+ )?(?:\S+ \S+ \[[^\]]*\]|\S+ -) \"{_METHODS} \S+ HTTP/[\d.]+\" [23]\d\d\b[^\"]*(?:\"[^\"]*\"[^\"]*)*$"  # an access log
    r"|Service \[[\w.-]+\] revision \[[\w.-]+\] has been deployed and is serving [1-9]\d* percent of traffic\.$"
    r"|Ready condition status changed to True for \w+ \S+.*$"  # Cloud Run
    r"|DONE$"  # Cloud Build, after the last step and the push
    r"|STATUS: SUCCESS$"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} .* SUCCESS$"  # gcloud builds, its table
    r")"
)
# With workers or a reloader, uvicorn's parent prints its address before a child has imported the application.
_OF_A_PARENT = ("Started parent process", "Started reloader process")
_ADDRESS = "Uvicorn running on"

_WORDS = (
    "abort", "already in use", "assert", "back-off", "backoff", "broken", "cancel", "can not", "cannot", "conflict",
    "core dump", "corrupt", "could not", "crash", "deadline", "denied", "disconnect", "double free",
    "eacces", "eaddr", "econnreset", "einval", "emergency", "emfile", "enoent", "enomem", "eperm", "epipe", "erreur",
    "error", "exceed", "exception", "exhaust", "exit", "expired", "fail", "fatal", "fehler", "forbidden", "gave up",
    "give up", "giving up", "hangup", "illegal", "impossible", "incompatible", "incorrect", "interrupt", "introuvable", "no matching",
    "invalid", "kill", "malformed", "mismatch", "missing", "must be", "n't", "nicht", "no app", "no module", "no python",
    "no solution", "no space", "no such", "non-zero", "nonzero", "null pointer", "nil pointer", "oom-kill", "oomkill", "out of memory", "overflow",
    "panic", "permission", "problem", "quota", "rate limit", "refus", "reject", "reset by peer", "restarting", "retrying", "segfault",
    "segmentation", "shut down", "shutdown", "shutting down", "signal", "smashing", "stack trace", "stacktrace", "stalled",
    "stopped", "stopping", "terminat", "throttl", "timed out", "timeout", "too large", "too many", "traceback", "unable",
    "unauthenticated", "unauthori", "unavailable", "undefined", "unexpected", "unhandled", "unhealthy", "unknown",
    "unreachable", "unrecogni", "unresolved", "unsupported", "usage:", "violat", "wrong",
)  # fmt: skip
# Further ones, each after a lower-case text that every such line has: a plain search is quick.
_INSIDE = tuple(
    (needle, re.compile(pattern))
    for needle, pattern in (
        ("not", r"(?i)\bnot\b"),
        ("bad", r"(?i)\bbad\b"),
        ("trap", r"(?i)\btrap\b"),
        ("oom", r"(?i)\boom\b"),
        ("err", r"\bERR\b|\[err\]"),
        ("[e]", r"\[E\]"),
        ("crit", r"\bCRIT(?:ICAL)?\b|\[crit\]"),
        ("emerg", r"\bEMERG\b|\[emerg\]"),
        ("alert", r"\bALERT\b|\[alert\]"),
        ("severe", r"\bSEVERE\b"),
        ("level", r"(?i)level\w*\W{1,4}(?:[4-8]0|[4-8]00|e|err|crit|critical|alert|emerg)\b"),
        ("severity", r"(?i)severity\W{1,4}(?:[5-8]00|critical|alert)\b"),
        ("sig", r"\bSIG[A-Z]{3,}"),
        ("http/", r"\bHTTP/[\d.]+\"? [45]\d\d\b"),
        (" /", rf"\b{_METHODS} \S+ [45]\d\d\b"),
        ("status", r"(?i)\bstatus(?:[_ ]?code)?\W{1,4}[45]\d\d\b"),
        ("sh: ", r"\b(?:ba|da|a|z|k)?sh: "),
        ("python", r"\bpython[\d.]*: "),
        ("exec ", r"(?:^|\s)exec \S+: "),
        ("env: ", r"(?:^|\s)env: "),
        ("standard_init", r"standard_init_linux\.go"),
        (".go:", r"(?:^|\s)[EF]\d{4} \d\d:\d\d"),  # klog
        (".sh:", r"\.sh: (?:line )?\d+: "),
        ("e: ", r"(?:^|\s)E: [A-Z]"),  # apt
        ("changed significantly", r"changed significantly since"),  # poetry
        (", but you have", r", but you have \S+ \d"),  # pip
        ("requires ", r"\brequires\b"),
        ("superuser", r"\bsuperuser\b"),  # celery
        ("<<<<<<<", r"<{7}"),  # a conflict of a merge
        ("returned", r"(?i)\breturned (?:a )?(?:code |status )?-?[1-9]"),
    )
)
# What healthy logs hold of those words, as the tools print it.
_HARMLESS = lazy_pattern(
    r"\b(?:uvicorn|gunicorn|hypercorn)\.error\b"
    r"|(?<![\w.-])0 (?:errors?|failures?|failed|exceptions?)(?=$|[,;.)\]])"
    r"|WARNING: This is a development server\. Do not use it in a production deployment\.(?: Use a production WSGI server instead\.)?"
    r"|WARNING: Running pip as the 'root' user can result in broken permissions and conflicting behaviou?r with the system package manager.*$"
    r"|debconf: delaying package configuration, since apt-utils is not installed$"
    r"|^\s*(?:Collecting|Using cached|Downloading) \S+(?: \([^()]*\))?$"
    r"|^\s*(?:Installing collected packages:|Successfully installed) [\w.,+ -]+$"
    r"|\b(?:libgpg-error\w*|liberror-perl)\b"
)


def proof_of(lines: Sequence[str]) -> str:
    """The last line that proves that something runs, or that a build succeeded; empty if none does."""
    has_parent = any(words in line for line in lines for words in _OF_A_PARENT)
    for line in reversed(lines):
        if _PROOFS.match(line) and not (has_parent and _ADDRESS in line):
            return line.strip()
    return ""


def error_numbers(lines: Sequence[str]) -> list[int]:
    """The indexes of the lines that look like an error, ascending."""
    text = "\n".join(lines).lower()
    words = [word for word in _WORDS if word in text]
    inside = [(needle, pattern) for needle, pattern in _INSIDE if needle in text]
    return [number for number, line in enumerate(lines) if _is_error(line, words, inside)]


def looks_like_error(line: str) -> bool:
    """Whether a line looks like an error."""
    return _is_error(line, _WORDS, _INSIDE)


def _is_error(line: str, words: Iterable[str], inside: Iterable[tuple[str, re.Pattern[str]]]) -> bool:
    if not _resembles(line, words, inside):
        return False
    rest = _HARMLESS.sub("", line)
    return rest == line or _resembles(rest, words, inside)


def _resembles(line: str, words: Iterable[str], inside: Iterable[tuple[str, re.Pattern[str]]]) -> bool:
    lowered = line.lower()
    return any(word in lowered for word in words) or any(
        needle in lowered and pattern.search(line) is not None for needle, pattern in inside
    )
