"""What a failure's words say of the standard library, by the Python that ran."""

from __future__ import annotations

import pytest

from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.standard_library import _table, explain
from buildguard.imports import standard_names

OLDER, NEWER = CauseId.TARGET_OLDER, CauseId.CODE_OLDER


@pytest.mark.parametrize(
    ("words", "ran", "cause"),
    [
        ("NameError: name 'ExceptionGroup' is not defined", 10, OLDER),
        ("NameError: name 'anext' is not defined", 9, OLDER),
        ("AttributeError: 'int' object has no attribute 'bit_count'", 9, OLDER),
        ("AttributeError: module 'gettext' has no attribute 'bind_textdomain_codeset'", 11, NEWER),
        ("AttributeError: 'OrderTest' object has no attribute 'assertEquals'", 12, NEWER),
        ("AttributeError: type object 'datetime.datetime' has no attribute 'fromisocalendar'", 7, OLDER),
        ("TypeError: glob() got an unexpected keyword argument 'root_dir'", 9, OLDER),
        ("TypeError: Path.unlink() got an unexpected keyword argument 'missing_ok'", 7, OLDER),
        ("TypeError: zip() takes no keyword arguments", 9, OLDER),
        ("TypeError: unsupported operand type(s) for |: 'dict' and 'dict'", 8, OLDER),
        ("ImportError: cannot import name 'batched' from 'itertools' (unknown location)", 11, OLDER),
        ("ModuleNotFoundError: No module named 'tomllib'", 10, OLDER),
        ("ModuleNotFoundError: No module named 'pipes'", 13, NEWER),
        ("AttributeError: module 'ast' has no attribute 'Num'", 14, NEWER),
    ],
)
def test_a_change_explains_it(words: str, ran: int, cause: CauseId) -> None:
    """A name that the Python that ran does not have yet, or no longer has."""
    explained = explain(words, ran)
    assert explained is not None
    assert explained[0] == cause


@pytest.mark.parametrize(
    ("words", "ran"),
    [
        ("NameError: name 'ExceptionGroup' is not defined", 11),
        ("NameError: name 'settings' is not defined", 10),
        ("AttributeError: 'Order' object has no attribute 'bit_count'", 9),
        ("TypeError: render() got an unexpected keyword argument 'root_dir'", 9),
        ("ModuleNotFoundError: No module named 'pipes'", 12),
        ("ModuleNotFoundError: No module named 'tomllib'", None),
        ("ImportError: cannot import name 'Order' from 'shop.models' (/app/shop/models.py)", 11),
    ],
)
def test_what_did_not_change_is_not_explained(words: str, ran: int | None) -> None:
    """A Python that has the name, a name of the program's own, and a Python that is unknown."""
    assert explain(words, ran) is None


def test_top_level_modules_are_in_one_place() -> None:
    assert not [name for name in _table()["modules"] if "." not in name]
    assert standard_names.versions_of("tomllib") == (11, 0)
    assert standard_names.versions_of("imp") == (0, 11)
    assert standard_names.versions_of("os") is None
