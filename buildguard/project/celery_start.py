"""The application of a Celery worker. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from buildguard.definitions import lazy_pattern
from buildguard.project.server_options import OptionRole, ParsedOptions
from buildguard.project.start_command import MODULE, StartCommand, StartContext, read_module
from buildguard.project.start_servers import PINS, searching_folder, text_of

_CELERY_NAMES = lazy_pattern(rb"\b(?:app|celery)\b")  # what celery looks for in a package, before its module `celery`
_COMMENTS = lazy_pattern(rb"#[^\n]*")
_CELERY_PIN = lazy_pattern(
    rb"(?mi)^(?:name = \")?celery(?:\[[^\]\n]*\])?(?:\s*(?:==|~=|<)\s*|\"\r?\nversion = \")(\d+)"
)
_STRICT_CELERY = 5


def apply_celery(start: StartCommand, parsed: ParsedOptions, context: StartContext) -> StartCommand:
    """A start of celery with the application of `-A`."""
    option = parsed.last(OptionRole.APP)
    start = searching_folder(start)
    if option is None:
        return start._replace(undecided="celery gets no application")
    if _names_command_first(start.arguments) and not _has_old_celery(start, context):
        start = start._replace(undecided=f"celery takes {option.source} behind its command up to version 4 only")
    module, colon, attribute = option.value.partition(":")
    if not MODULE.fullmatch(module) or module.partition(".")[0] == "celery":  # its own package is loaded already
        return start._replace(undecided=f"the application '{option.value}' of celery is not understood")
    return start._replace(module=module, attribute=attribute) if colon else _celery_module(start, module, context)


def _names_command_first(arguments: Sequence[str]) -> bool:
    """Whether celery's own options come behind its command."""
    return bool(arguments) and not arguments[0].startswith("-")


def _has_old_celery(start: StartCommand, context: StartContext) -> bool:
    """Whether a celery is pinned that takes its options at any place."""
    texts = (text_of(start, name, context) for name in PINS)
    return any(int(number) < _STRICT_CELERY for text in texts for number in _CELERY_PIN.findall(text))


def _celery_module(start: StartCommand, name: str, context: StartContext) -> StartCommand:
    """A dotted name of celery: a module, an attribute of one, or a package whose module `celery` has the application."""
    content = read_module(start, name, context)
    parent, _, last = name.rpartition(".")
    if content is None and parent and read_module(start, parent, context) is not None:
        return start._replace(module=parent, attribute=last)
    if _CELERY_NAMES.search(content or b"") is None and read_module(start, f"{name}.celery", context) is not None:
        return start._replace(module=f"{name}.celery")
    is_empty = content is not None and not _COMMENTS.sub(b"", content).strip()
    return start._replace(module=name, attribute="celery" if is_empty else "")
