"""Known failure messages, as data: a pattern, the cause that it speaks for, what it means, and what to do.

`cause` is an id of a hypothesis (DESIGN's), or empty for a message that only says that something failed, and not why.
Each has a test with a real message. `{name}` in texts is a group of the pattern.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class KnownMessage(NamedTuple):
    """A message that people have met before; `needle` is a text that every such message holds."""

    id: str
    cause: str
    needle: str
    pattern: str
    says: str
    remedy: str = ""


# The more specific before the less: of two that match one line, the first speaks.
KNOWN: tuple[KnownMessage, ...] = (
    # ---- the Python that runs is older than the code
    KnownMessage(
        "union-of-types",
        "target-older-than-code",
        "unsupported operand type(s) for |",
        r"TypeError: unsupported operand type\(s\) for \|: '(?:type|NoneType|_GenericAlias|GenericAlias|EnumMeta|ABCMeta|ModelMetaclass)'",
        "X | Y between types needs Python 3.10",
        "from __future__ import annotations, or a newer base image",
    ),
    KnownMessage(
        "subscript-of-type",
        "target-older-than-code",
        "object is not subscriptable",
        r"TypeError: 'type' object is not subscriptable",
        "list[int] and the like need Python 3.9",
        "from __future__ import annotations, or a newer base image",
    ),
    KnownMessage(
        "module-of-a-newer-python",
        "target-older-than-code",
        "No module named",
        r"ModuleNotFoundError: No module named '(?P<name>tomllib|zoneinfo|graphlib|annotationlib|compression|concurrent\.interpreters)'",
        "{name} is in the standard library of newer Pythons only (tomllib since 3.11, zoneinfo and graphlib since 3.9)",
        "a newer base image, or the backport from the package index",
    ),
    KnownMessage(
        "name-of-a-newer-python",
        "target-older-than-code",
        "cannot import name",
        r"ImportError: cannot import name '(?P<name>StrEnum|verify|UTC|Self|Never|LiteralString|assert_never|assert_type|reveal_type|NotRequired|Required"
        r"|TypeVarTuple|Unpack|override|TypeAliasType|TypeIs|ReadOnly|NoDefault|batched|pairwise|TypeAlias|ParamSpec|Concatenate|TypeGuard"
        r"|Annotated|TaskGroup|timeout|Buffer|ExceptionGroup|deprecated)' from '(?:enum|datetime|typing|itertools|asyncio|collections\.abc|warnings)'",
        "{name} is in the standard library of newer Pythons only",
        "a newer base image, or typing_extensions",
    ),
    # ---- another interpreter, or its leftovers
    KnownMessage(
        "bad-magic-number",
        "stray-bytecode",
        "bad magic number",
        r"ImportError: bad magic number in '(?P<name>[^']*)'",
        "the bytecode of {name} was made by another Python than the one that runs",
        "keep __pycache__ and *.pyc out of the image (.dockerignore), and build it again",
    ),
    KnownMessage(
        "removed-from-python",
        "other-interpreter",
        "No module named",
        r"ModuleNotFoundError: No module named '(?P<name>distutils|imp|asynchat|asyncore|smtpd|cgi|cgitb|crypt|imghdr|mailcap|msilib|nntplib|pipes"
        r"|sndhdr|spwd|sunau|telnetlib|uu|xdrlib|lib2to3)(?:\.[^']*)?'",
        "{name} was removed from Python (distutils, imp and asyncore in 3.12, cgi, telnetlib and more in 3.13): the image runs a newer one",
        "the base image that the code was written for, or a package in its place (setuptools brings distutils)",
    ),
    # ---- a variable
    KnownMessage(
        "variable-of-pydantic",
        "missing-variable",
        "pydantic_core._pydantic_core.ValidationError",
        r"ValidationError: (?P<count>\d+) validation errors? for (?P<name>\w*(?:[Ss]ettings|[Cc]onfig)\w*)",
        "{name} misses {count} of its values",
        "set the variables that the lines below it name on the service, as they are on the one that serves",
    ),
    KnownMessage(
        "variable-of-environs",
        "missing-variable",
        "nvironment variable",
        r"(?:EnvError|EnvValidationError): Environment variable \"(?P<name>\w+)\" (?:not set|invalid)",
        "the environment variable {name} is not set",
        "set {name} on the service",
    ),
    KnownMessage(
        "variable-of-decouple",
        "missing-variable",
        "not found. Declare it as envvar",
        r"UndefinedValueError: (?P<name>\w+) not found\. Declare it as envvar",
        "the environment variable {name} is not set",
        "set {name} on the service",
    ),
    KnownMessage(
        "variable-in-words",
        "missing-variable",
        "nviron",
        r"(?i)(?:missing|required|undefined|unset) (?:required )?environment variables?:? '?\"?(?P<name>[A-Z][A-Z0-9_]+)"
        r"|(?:[Ss]et the|environment variable|env var) '?\"?(?P<other>[A-Z][A-Z0-9_]+)'?\"? (?:environment variable|(?:is )?(?:not set|missing|required|undefined))",
        "the environment variable {name} is not set",
        "set {name} on the service",
    ),
    # ---- not importable
    KnownMessage(
        "no-module-to-run",
        "not-importable",
        "Error while finding module specification",
        r"Error while finding module specification for '(?P<name>[^']+)'",
        "there is no module {name} where the image looks for one",
        "compare WORKDIR, COPY and the command in the Dockerfile",
    ),
    KnownMessage(
        "no-module",
        "not-importable",
        "No module named",
        r"(?:ModuleNotFoundError: |^\S*python\S*: |: )No module named '?(?P<name>[\w.]+)'?",
        "the image has no module {name}",
        "add {name} to the requirements that the Dockerfile installs",
    ),
    KnownMessage(
        "no-such-name",
        "not-importable",
        "cannot import name",
        r"ImportError: cannot import name '(?P<name>[^']+)' from (?:partially initialized module )?'(?P<module>[^']+)'",
        "{module} has no {name}: another version of it is installed than the code wants, or two modules import each other",
        "pin {module} to the version that the code was tested with",
    ),
    # ---- the wrong files
    KnownMessage(
        "no-file-to-run",
        "wrong-files-sent",
        "can't open file",
        r"can't open file '(?P<name>[^']+)': \[Errno 2\]",
        "{name} is not in the image",
        "buildguard diff commit:HEAD dir:. shows what ignore rules drop; compare COPY and WORKDIR in the Dockerfile",
    ),
    KnownMessage(
        "not-in-the-context",
        "wrong-files-sent",
        "COPY failed",
        r"COPY failed: (?:file not found in build context or excluded by \.dockerignore: )?stat (?P<name>\S+?): (?:file does not exist|no such file)",
        "{name} is not in the build context",
        "buildguard diff commit:HEAD dir:. shows which ignore rule drops it",
    ),
    KnownMessage(
        "not-in-the-context-of-buildkit",
        "wrong-files-sent",
        "not found",
        r"failed to (?:calculate checksum of ref \S+|compute cache key).*?\"(?P<name>/[^\"]+)\": not found",
        "{name} is not in the build context",
        "buildguard diff commit:HEAD dir:. shows which ignore rule drops it",
    ),
    KnownMessage(
        "no-requirements",
        "wrong-files-sent",
        "Could not open requirements file",
        r"Could not open requirements file: \[Errno 2\] No such file or directory: '(?P<name>[^']+)'",
        "{name} was not there when the image was built",
        "COPY it before pip runs, and see that no ignore file drops it",
    ),
    # ---- encoding and line ends
    KnownMessage(
        "windows-line-ends",
        "encoding",
        "\\r",
        r"(?:env: \W?(?:python3?|bash|sh)(?:\\r|\r)\W?: No such file|\$'\\r': command not found|bad interpreter: \S+\^M)",
        "a script in the image has Windows line ends",
        "*.sh text eol=lf in .gitattributes, then git add --renormalize .",
    ),
    KnownMessage(
        "no-utf-8",
        "encoding",
        "codec can't decode",
        r"UnicodeDecodeError: '(?P<name>[\w-]+)' codec can't decode byte 0x(?P<byte>[0-9a-f]{2})",
        "a text is not {name}: byte 0x{byte}",
        "save it as UTF-8; where the locale of the image is at fault: ENV PYTHONUTF8=1",
    ),
    KnownMessage(
        "source-no-utf-8",
        "encoding",
        "Non-UTF-8 code",
        r"SyntaxError: (?:\(unicode error\) )?Non-UTF-8 code starting with '(?P<byte>[^']+)' in file (?P<name>\S+)",
        "{name} is not UTF-8",
        "save it as UTF-8",
    ),
    KnownMessage(
        "source-with-nul",
        "encoding",
        "null bytes",
        r"(?:SyntaxError|ValueError): source code (?:string )?cannot contain null bytes",
        "a source holds NUL bytes: it is UTF-16, or damaged",
        "git checkout that file, or save it as UTF-8",
    ),
    KnownMessage(
        "invisible-character",
        "encoding",
        "invalid non-printable character",
        r"SyntaxError: invalid non-printable character U\+(?P<name>[0-9A-F]{4})",
        "a source holds the invisible character U+{name}",
        "remove it; a second byte order mark comes from joining files",
    ),
    # ---- the machine
    KnownMessage(
        "other-architecture",
        "platform",
        "exec format error",
        r"exec(?:ve|user process caused)?[^\n]*: exec format error|exec format error",
        "the image was built for another processor than the one that runs it",
        "docker build --platform linux/amd64",
    ),
    KnownMessage(
        "musl-or-glibc",
        "platform",
        "GLIBC_",
        r"version [`']GLIBC_(?P<name>[\d.]+)' not found",
        "something in the image wants glibc {name}, and the image has an older one",
        "build it in the image that runs it, or take a newer base image",
    ),
    KnownMessage(
        "no-loader",
        "platform",
        "Error loading shared library",
        r"Error loading shared library (?P<name>[\w.+-]+): No such file",
        "{name} is missing: something for glibc was put into an image with musl (Alpine)",
        "a -slim image in place of -alpine, or packages built for musl",
    ),
    KnownMessage(
        "no-shared-library",
        "platform",
        "cannot open shared object file",
        r"ImportError: (?P<name>[\w.+-]+): cannot open shared object file",
        "the image has no {name}",
        "install the Debian package that holds {name} in the final stage",
    ),
    # ---- memory, time, disk
    KnownMessage(
        "memory-of-cloud-run",
        "resources",
        "emory limit",
        r"Memory limit of (?P<name>[\d.]+ ?\w+) exceeded with (?P<used>[\d.]+ ?\w+) used",
        "the container had {name} of memory and took {used}",
        "gcloud run services update SERVICE --memory 1Gi",
    ),
    KnownMessage(
        "worker-killed",
        "resources",
        "SIGKILL",
        r"Worker \(pid:\d+\) was sent SIGKILL! Perhaps out of memory\?",
        "a worker was killed, most likely for want of memory",
        "more memory, or fewer workers",
    ),
    KnownMessage(
        "out-of-memory",
        "resources",
        "OOMKilled",
        r"\bOOMKilled\b",
        "the container was killed for want of memory",
        "more memory",
    ),
    KnownMessage(
        "killed",
        "resources",
        "137",
        r"(?:[Ee]xit(?:ed)? (?:status|code|with code)|non-zero (?:status|code)):? ?137\b",
        "something was killed (137), most likely for want of memory",
        "options: {machineType: E2_HIGHCPU_8} for a build, more memory for a service",
    ),
    KnownMessage(
        "no-memory", "resources", "MemoryError", r"^\s*MemoryError\b", "Python ran out of memory", "more memory"
    ),
    KnownMessage(
        "worker-timeout",
        "resources",
        "WORKER TIMEOUT",
        r"\[CRITICAL\] WORKER TIMEOUT",
        "a worker did not answer in time",
        "find what blocks at start; --timeout 0 where the platform limits requests itself",
    ),
    KnownMessage(
        "no-disk",
        "resources",
        "No space left on device",
        r"No space left on device",
        "the disk is full",
        "options: {diskSizeGb: 200} in cloudbuild.yaml",
    ),
    KnownMessage(
        "build-timeout",
        "resources",
        "TIMEOUT",
        r"^\s*(?:ERROR: )?(?:build )?TIMEOUT(?:: |$)",
        "the build took longer than it may",
        "timeout: 3600s in cloudbuild.yaml",
    ),
    KnownMessage(
        "deadline",
        "resources",
        "context deadline exceeded",
        r"context deadline exceeded",
        "something took longer than it may",
        "timeout: 3600s in cloudbuild.yaml, for a build",
    ),
    # ---- Google's own trouble
    KnownMessage(
        "internal-error",
        "service-trouble",
        "INTERNAL",
        r"(?:status|ERROR|code)\W{0,3}:? ?\"?INTERNAL(?:_ERROR)?\b",
        "Google's service failed by itself",
        "try again in a few minutes",
    ),
    KnownMessage(
        "internal-error-of-an-api",
        "service-trouble",
        "generic::internal",
        r"generic::internal\b",
        "Google's service failed by itself",
        "try again in a few minutes",
    ),
    KnownMessage(
        "unavailable",
        "service-trouble",
        "currently unavailable",
        r"[Tt]he service is currently unavailable|UNAVAILABLE: ",
        "Google's service was not available",
        "try again in a few minutes",
    ),
    KnownMessage(
        "quota",
        "service-trouble",
        "uota",
        r"RESOURCE_EXHAUSTED|[Qq]uota exceeded for (?:quota metric|metric)|due to quota restrictions",
        "a quota is used up",
        "another region, or ask for more on the quotas page of the project",
    ),
    KnownMessage(
        "source-not-fetched",
        "service-trouble",
        "source",
        r"(?:[Cc]ould not|failed to) (?:fetch|unpack) (?:the )?source",
        "Cloud Build could not fetch the source",
        "submit it again",
    ),
    KnownMessage(
        "source-not-fetched-by-its-code",
        "service-trouble",
        "FETCH_SOURCE_FAILED",
        r"FETCH_SOURCE_FAILED",
        "Cloud Build could not fetch the source",
        "submit it again",
    ),
    # ---- what says that something failed, and not why
    KnownMessage(
        "not-listening",
        "",
        "failed to start and listen on the port",
        r"failed to start and listen on the port",
        "the container did not start",
    ),
    KnownMessage("worker-failed", "", "Worker failed to boot", r"Worker failed to boot", "a worker did not start"),
    KnownMessage(
        "called-exit", "", "Container called exit", r"Container called exit\((?P<name>\d+)\)", "the container ended"
    ),
    KnownMessage(
        "step-failed",
        "",
        "step exited with non-zero status",
        r"build step \d+ .*failed: step exited with non-zero status",
        "a build step failed",
    ),
)
# Exceptions that come of another one: they lead nowhere.
CONSEQUENCES = frozenset(
    {"HaltServer", "SystemExit", "KeyboardInterrupt", "CalledProcessError", "ChildFailedError", "CancelledError"}
)


class KnownMessageMatch(NamedTuple):
    """A known message in a log: which one, on which of its lines, the line itself, and the groups of its pattern."""

    message: KnownMessage
    line: int
    text: str
    groups: dict[str, str]

    @property
    def says(self) -> str:
        """What it means."""
        return self._filled(self.message.says)

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return self._filled(self.message.remedy)

    def _filled(self, text: str) -> str:
        for name, value in self.groups.items():
            text = text.replace(f"{{{name}}}", value)
        return text


def match_messages(lines: tuple[str, ...]) -> list[KnownMessageMatch]:
    """The known messages among some lines, at most one for each line."""
    text = "\n".join(lines)
    possible = [known for known in KNOWN if known.needle in text]
    matches = []
    for number, line in enumerate(lines, 1):
        for known in possible:
            match = re.search(known.pattern, line) if known.needle in line else None
            if match is not None:
                groups = {key: value for key, value in match.groupdict().items() if value is not None}
                if "other" in groups:
                    groups["name"] = groups["other"]
                matches.append(KnownMessageMatch(known, number, line.strip(), groups))
                break
    return matches
