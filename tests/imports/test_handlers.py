"""Imports in handlers: they run where the target's library lacks what the `try` imports."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from buildguard.imports.handlers import decide_handlers
from buildguard.imports.library_answers import Availability, LibraryAnswer, Question
from buildguard.imports.records import Guard, extract

_ANSWERS = {
    "tomllib": LibraryAnswer(Availability.MISSING, "new in Python 3.11"),
    "json": LibraryAnswer(Availability.PRESENT),
    "typing": LibraryAnswer(Availability.PRESENT, "", {"Self": Availability.MISSING, "Any": Availability.PRESENT}),
    "zoneinfo": LibraryAnswer(Availability.UNDECIDED),
}


def _guards(text: str, brings: str = "") -> list[tuple[str, Guard]]:
    """Each import of a module by name, and its guard once handlers are decided."""
    asked: list[set[Question]] = []

    def ask(questions: set[Question]) -> Mapping[str, LibraryAnswer]:
        asked.append(questions)
        return {module: _ANSWERS[module] for module, _names in questions}

    facts = decide_handlers({"a.py": extract(text.encode(), (3, 10)), "b.py": None}, ask, lambda _module: brings)

    assert facts["b.py"] is None
    assert len(asked) <= 1
    known = facts["a.py"]
    assert known is not None
    return [(row.module, row.guard) for row in known.imports]


@pytest.mark.parametrize(
    ("text", "guard"),
    [
        ("try:\n    import tomllib\nexcept ImportError:\n    import x\n", Guard.NONE),
        ("try:\n    import json, tomllib\nexcept ImportError:\n    import x\n", Guard.NONE),
        ("try:\n    from typing import Any, Self\nexcept ImportError:\n    import x\n", Guard.NONE),
        ("try:\n    import tomllib\nexcept ImportError:\n    if y:\n        import x\n", Guard.CONDITIONAL),
        ("try:\n    import tomllib\nexcept (OSError, ModuleNotFoundError):\n    import x\n", Guard.NONE),
        ("try:\n    from typing import Any\nexcept ImportError:\n    pass\nelse:\n    import x\n", Guard.NONE),
        # what the answers leave open, and what another handler takes
        ("try:\n    import json\nexcept ImportError:\n    import x\n", Guard.HANDLER),
        ("try:\n    import zoneinfo\nexcept ImportError:\n    import x\n", Guard.HANDLER),
        ("try:\n    import ujson\nexcept ImportError:\n    import x\n", Guard.HANDLER),
        ("try:\n    from .json import a\nexcept ImportError:\n    import x\n", Guard.HANDLER),
        ("try:\n    from typing import Self\nexcept ModuleNotFoundError:\n    import x\n", Guard.HANDLER),
        ("try:\n    from typing import *\nexcept ImportError:\n    import x\n", Guard.HANDLER),
        ("try:\n    import tomllib\nexcept ImportError:\n    pass\nexcept OSError:\n    import x\n", Guard.HANDLER),
        ("try:\n    import zoneinfo\nexcept ImportError:\n    pass\nelse:\n    import x\n", Guard.HANDLER),
        ("try:\n    import json\n    y()\nexcept ImportError:\n    pass\nelse:\n    import x\n", Guard.HANDLER),
        ("try:\n    y()\n    import tomllib\nexcept ImportError:\n    import x\n", Guard.HANDLER),
        ("try:\n    if y:\n        import tomllib\nexcept ImportError:\n    import x\n", Guard.HANDLER),
        ("try:\n    import tomllib\nexcept ImportError:\n    raise\n    import x\n", Guard.FALSE),
        ("try:\n    import tomllib\nexcept ImportError:\n    import x\n    raise\n", Guard.CONDITIONAL),
    ],
)
def test_a_handler_runs_where_the_library_lacks_an_import(text: str, guard: Guard) -> None:
    assert _guards(text)[-1] == ("x", guard)


def test_handlers_in_handlers_need_each_try_to_fail() -> None:
    inner = "    try:\n        import {}\n    except ImportError:\n        import x\n"
    text = "try:\n    import tomllib\nexcept ImportError:\n" + inner

    assert dict(_guards(text.format("tomllib")))["x"] is Guard.NONE
    assert dict(_guards(text.format("json")))["x"] is Guard.HANDLER


def test_what_a_package_brings_may_work() -> None:
    text = "try:\n    import tomllib\nexcept ImportError:\n    import x\n"

    assert _guards(text, "requirements.txt names tomli") == [("tomllib", Guard.EXCEPT), ("x", Guard.HANDLER)]


def test_modules_without_handlers_ask_nothing() -> None:
    facts = {"a.py": extract(b"try:\n    import tomllib\nexcept ImportError:\n    pass\n", (3, 10))}

    assert decide_handlers(facts, _fail, str) == facts


def _fail(_questions: set[Question]) -> Mapping[str, LibraryAnswer]:
    raise AssertionError
