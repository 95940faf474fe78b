"""Whether a line of a log proves that something runs, and whether one looks like an error. Pure.

A line that proves is one that a known server, tool or platform prints after it succeeded, from the beginning of the line on:
words in the middle of a line prove nothing. Everything that resembles an error counts as one, for a false "healthy" is
worse than an "unknown".
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnose.line_context import NO_CONTEXT, LineContext

RUNS, BUILD, JOB = "runs", "build", "job"  # what a proof is of
# Levels, process ids and the names of loggers that servers print first.
_PREFIX = r"(?:[\[(]?(?:INFO|DEBUG|NOTICE|Default|(?:uvicorn|hypercorn|werkzeug|waitress|daphne|root)[\w.]*|\d+)[\])]?[:\s|-]+)*"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
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
    r"|INFO/MainProcess\] (?:\S+@\S+ ready\.|Task \S+\[[\w-]+\] succeeded in [\d.]+s: .*)$"  # Celery
    r"|INFO/ForkPoolWorker-\d+\] Task \S+\[[\w-]+\] succeeded in [\d.]+s: .*$"
    r")"
)
_DEPLOYED = (
    "Service [",
    "Ready condition ",
)  # what counts in a build step as well: another server may run in one for a test
# What ends a build (after the last step and the push) or an execution of a job, and is no word of a step.
_ENDS = (
    (BUILD, lazy_pattern(r"(?:DONE|STATUS: SUCCESS)$")),
    (BUILD, lazy_pattern(rf"{_UUID} .* SUCCESS$")),  # gcloud builds, its table
    (JOB, lazy_pattern(r"\s*Execution \[?[\w-]+\]? has (?:completed successfully|successfully completed)\.?$")),
)
_ROW = lazy_pattern(rf"{_UUID} .* [A-Z_]+$")
_OF_BUILD = lazy_pattern(r"(?:FETCHSOURCE|BUILD|PUSH)$|starting build \"")
# What is begun: a proof before it proves nothing of it.
_BEGINS = lazy_pattern(r"starting build \"|FETCHSOURCE$|(?:Building .*|Deploying )container to Cloud Run service ")
_SEVERAL = 2
_OF_YAML = lazy_pattern(r"\s*(?:revision_name|run\.googleapis\.com/execution_name): (\S+)$")
_STARTING, _STARTED = "Waiting for application startup.", "Application startup complete."  # uvicorn
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
    r"|\b\d+ xfailed\b"
)
# A test that passed, as pytest -v and unittest print it: its name, and what stands at the end.
_TEST_NAME = lazy_pattern(r"\s{0,20}(?:[^\s:]{1,300}::\S|\w{1,200} \([\w.]{1,300}\))")
_TEST_PASSED = lazy_pattern(
    r"(?: (?:PASSED|SKIPPED|XFAIL)(?: \([^()]{0,200}\))?(?: {1,99}\[ {0,3}\d{1,3}%\])?| \.\.\. ok)$"
)
_LONGEST_END = 400


class HealthProof(NamedTuple):
    """A line, by its number from 1, that proves that something runs, or how a build or a job ended (`kind`)."""

    line: int
    text: str
    kind: str
    origin: str = ""


def proofs_of(lines: Sequence[str], contexts: Sequence[LineContext] = ()) -> Iterator[HealthProof]:
    """The lines that prove something, in their order."""
    ignored = _ADDRESS if _has_parent(lines) else ""
    is_over, is_of_build = _is_every_build_over(lines), False
    for at, line in enumerate(lines):
        context = contexts[at] if contexts else NO_CONTEXT
        is_of_build = is_of_build or _is_of_build(line, context)
        kind = _ends(line) if not context.is_of_step else ""
        if kind and _is_the_end(line, is_of_build=is_of_build, is_over=is_over):
            yield HealthProof(at + 1, line.strip(), kind, context.origin)
        elif not kind and _runs(line, context, ignored):
            yield HealthProof(at + 1, line.strip(), RUNS, context.origin)


def _has_parent(lines: Iterable[str]) -> bool:
    return any(words in line for line in lines for words in _OF_A_PARENT)


def _is_of_build(line: str, context: LineContext) -> bool:
    return context.is_of_step or _OF_BUILD.match(line) is not None


def _runs(line: str, context: LineContext, ignored: str) -> bool:
    """Whether a line proves that something runs; a server in a step of a build proves nothing of the deploy."""
    if context.is_of_step and not line.startswith(_DEPLOYED):
        return False
    return _PROOFS.match(line) is not None and not (ignored and ignored in line)


def _ends(line: str) -> str:
    """What a line reports as ended well: a build or a job; empty for none."""
    return next((kind for kind, pattern in _ENDS if pattern.match(line)), "")


def _is_the_end(line: str, *, is_of_build: bool, is_over: bool) -> bool:
    """Whether that line is what it looks like: a row of builds that are all over, and a build's own word."""
    return is_of_build if line == "DONE" else is_over or not _ROW.match(line)


def _is_every_build_over(lines: Iterable[str]) -> bool:
    return all(line.endswith(" SUCCESS") for line in lines if _ROW.match(line))


def proof_of(lines: Sequence[str]) -> str:
    """The last line that proves that something runs, or that a build succeeded; empty if none does."""
    proof = last_proof(lines, list(proofs_of(lines)))
    return proof.text if proof is not None else ""


def last_proof(
    lines: Sequence[str], proofs: Sequence[HealthProof], contexts: Sequence[LineContext] = ()
) -> HealthProof | None:
    """The last of the lines that prove something.

    None counts where something was begun after it, or where another revision or execution in the log has none.
    """
    if not proofs or _is_begun(lines[proofs[-1].line :]) or _is_starting(lines):
        return None
    others = _origins(contexts) - {proof.origin for proof in proofs}
    is_alone = len(_origins(contexts)) == 1 or not others
    return proofs[-1] if is_alone and len(_origins_in_yaml(lines)) < _SEVERAL else None


def _origins(contexts: Iterable[LineContext]) -> set[str]:
    return {context.origin for context in contexts} - {""}


def _origins_in_yaml(lines: Iterable[str]) -> set[str]:
    """The revisions or executions that YAML names on lines of their own: whose text is whose is unknown."""
    matches = (_OF_YAML.match(line) for line in lines if "_name: " in line)
    return {match[1] for match in matches if match}


def _is_begun(lines: Iterable[str]) -> bool:
    """Whether a build or a deploy begins."""
    return any(_BEGINS.match(line) for line in lines)


def _is_starting(lines: Iterable[str]) -> bool:
    """Whether a server starts and does not come to its end."""
    starting = 0
    for line in lines:
        if _STARTING in line:
            starting += 1
        elif _STARTED in line:
            starting = max(0, starting - 1)
    return starting > 0


def is_more_than_chatter(line: str) -> bool:
    """Whether a line has words beside those that servers and tools print into every healthy log."""
    return _HARMLESS.sub("", line).strip() != ""


def is_passed_test(line: str) -> bool:
    """Whether a line reports a test that passed; its name may hold any words."""
    return _TEST_NAME.match(line) is not None and _TEST_PASSED.search(line[-_LONGEST_END:]) is not None


def error_numbers(lines: Sequence[str]) -> list[int]:
    """The indexes of the lines that look like an error, ascending."""
    text = "\n".join(lines).lower()
    words = [word for word in _WORDS if word in text]
    inside = [(needle, pattern) for needle, pattern in _INSIDE if needle in text]
    possible = _numbers_with(text, [*words, *(needle for needle, _pattern in inside)], len(lines))
    return [number for number in possible if _is_error(lines[number], words, inside)]


def _numbers_with(text: str, needles: Iterable[str], lines: int) -> Iterable[int]:
    """The indexes of the lines of a text that have one of some needles: found by plain searches, which are quick."""
    ends = [match.start() for match in re.finditer("\n", text)] + [len(text)]
    if len(ends) != lines:
        return range(lines)  # a line has a line break in it
    found: set[int] = set()
    for needle in needles:
        found.update(_lines_with(text, needle, ends))
    return sorted(found)


def _lines_with(text: str, needle: str, ends: Sequence[int]) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        number = bisect_left(ends, at)
        yield number
        at = text.find(needle, ends[number])


def looks_like_error(line: str) -> bool:
    """Whether a line looks like an error."""
    return _is_error(line, _WORDS, _INSIDE)


def _is_error(line: str, words: Iterable[str], inside: Iterable[tuple[str, re.Pattern[str]]]) -> bool:
    if not _resembles(line, words, inside) or is_passed_test(line):
        return False
    rest = _HARMLESS.sub("", line)
    return rest == line or _resembles(rest, words, inside)


def _resembles(line: str, words: Iterable[str], inside: Iterable[tuple[str, re.Pattern[str]]]) -> bool:
    lowered = line.lower()
    return any(word in lowered for word in words) or any(
        needle in lowered and pattern.search(line) is not None for needle, pattern in inside
    )
