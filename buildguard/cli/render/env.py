"""The contract with the environment, as a table, as JSON and as a `.env.example`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from buildguard.definitions import lazy_pattern
from buildguard.diagnostic import count
from buildguard.startup.variables.survey import ContractVariable, ImageContract, Need

_NEEDS = {Need.START: "required at start", Need.LATER: "required later", Need.OPTIONAL: "optional"}
_LITERAL = lazy_pattern(r"""(['"])(?P<text>[^'"\\\n]*)\1|(?P<number>-?\d+(?:\.\d+)?)""")


def as_text(contracts: Sequence[ImageContract]) -> str:
    """One table for each image."""
    return "\n".join("\n".join(_table(contract)) + "\n" for contract in contracts)


def _table(contract: ImageContract) -> Iterator[str]:
    yield f"{contract.name}: {count(len(contract.variables), 'variable')}"
    rows = [
        (" or ".join(each.names), _NEEDS[each.need], _set_by(each), ", ".join(each.places))
        for each in contract.variables
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, (*widths, 0), strict=True))
        yield f"  {'  '.join(cells)}".rstrip()
    for reason in contract.undecided:
        yield f"  undecided: {reason}"
    unset = ", ".join(" or ".join(each.names) for each in contract.missing)
    if unset and contract.is_known:
        yield f"  not set: {unset} (BG706)"
    elif unset:
        yield f"  set these where the service is deployed: {unset}"


def _set_by(variable: ContractVariable) -> str:
    if variable.set_by:
        return f"set by {variable.set_by}"
    return f"default {variable.default}" if variable.default else "not set here"


def as_json(contracts: Sequence[ImageContract]) -> str:
    """Schema 1; docs/schemas/env.json describes it."""
    images = [
        {
            "name": contract.name,
            "template_known": contract.is_known,
            "variables": [_variable(each) for each in contract.variables],
            "undecided": list(contract.undecided),
        }
        for contract in contracts
    ]
    return json.dumps({"schema": 1, "images": images, "exit_code": 0}, indent=1, ensure_ascii=True) + "\n"


def _variable(variable: ContractVariable) -> dict[str, object]:
    return {
        "name": variable.names[0],
        "aliases": list(variable.names[1:]),
        "required": str(variable.need),
        "default": variable.default or None,
        "readers": list(variable.readers),
        "places": list(variable.places),
        "set_by": variable.set_by or None,
    }


def as_dotenv(contracts: Sequence[ImageContract]) -> str:
    """Lines for a `.env.example`: what is required without a value; as comments what is optional, and what is set already.

    An empty value would replace the one that the Dockerfile or a template sets.
    """
    lines: list[str] = []
    named: dict[str, bool] = {}  # and whether it was a comment: another image may require it
    for contract in contracts:
        lines.append(f"# {contract.name}")
        for variable in contract.variables:
            name, is_comment = variable.names[0], _is_comment(variable)
            is_new = name not in named or (named[name] and not is_comment)
            if is_new and variable.set_by not in {"the platform", "the code"}:
                named[name] = is_comment
                lines += _assignment(variable, is_comment=is_comment)
    return "\n".join(lines) + "\n"


def _is_comment(variable: ContractVariable) -> bool:
    return variable.need is Need.OPTIONAL or bool(variable.set_by)


def _assignment(variable: ContractVariable, *, is_comment: bool) -> Iterator[str]:
    others = f", also {', '.join(variable.names[1:])}" if variable.names[1:] else ""
    setter = f", set by {variable.set_by}" if variable.set_by else ""
    yield f"# {_NEEDS[variable.need]}{setter}: {variable.places[0]}{others}"
    yield f"{'# ' if is_comment else ''}{variable.names[0]}={_default_value(variable)}"


def _default_value(variable: ContractVariable) -> str:
    match = _LITERAL.fullmatch(variable.default)
    return (match["text"] or match["number"] or "") if match is not None else ""
