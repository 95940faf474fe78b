"""Imports that a text stands for: a framework imports the module or the object that it names. Pure."""

from __future__ import annotations

from buildguard.imports.records import ImportForm, ImportStatement


def import_of_module(text: str, line: int) -> ImportStatement:
    """The import of a module that a text names."""
    return ImportStatement(line, 1, ImportForm.IMPORT, text)


def import_of_object(text: str, line: int) -> ImportStatement:
    """The import of what a dotted text names in a module, which may be a module as well."""
    module, _dot, last = text.rpartition(".")
    return ImportStatement(line, 1, ImportForm.FROM, module, (last,)) if module else import_of_module(text, line)
