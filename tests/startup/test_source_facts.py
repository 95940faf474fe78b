"""The facts of the sources that a start loads: kept for every walk over them, and complete."""

from __future__ import annotations

import ast

from buildguard.startup.source_facts import read_facts
from buildguard.startup.source_nodes import all_nodes


def test_the_sources_of_a_large_start_are_read_once() -> None:
    sources = [f"x = {number}  # read once\n".encode() for number in range(600)]
    facts = [read_facts(data) for data in sources]

    again = [read_facts(data) for data in sources]

    assert all(before is after for before, after in zip(facts, again, strict=True))


def test_what_any_function_declares_global_is_a_name_of_the_module() -> None:
    text = "class A:\n    def f(self):\n        def g():\n            global db\n            db = 1\n        g()\n"

    facts = read_facts(text.encode())

    assert facts is not None
    assert facts.binds("db")
    assert facts.binds("g") is False


def test_every_node_that_a_reader_asks_for() -> None:
    tree = ast.parse("import a\nx = a.b(1)[2] + y if z else [q for q in w]\n")
    left_out = (ast.expr_context, ast.operator)

    assert all_nodes(tree) == [node for node in ast.walk(tree) if not isinstance(node, left_out)]
