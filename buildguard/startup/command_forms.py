"""BG701: a CMD or ENTRYPOINT that is written like a list, and that Docker refuses or gives to a shell as a text."""

from __future__ import annotations

import ast
import json

from buildguard.codes import Code
from buildguard.project.dockerfile import is_refused_list
from buildguard.project.image_model import CommandForm, ImageCommand
from buildguard.project.start_command import is_shell
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart

_LONGEST = 1000  # characters of a command for which a correction is written
_STRAIGHT = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "\u2018": "'", "\u2019": "'"})
_EXAMPLE = '["python", "main.py"]'


def check_form(image: ImageStart, findings: StartupFindings) -> bool:
    """Whether what starts is written in one of the two forms; a list that Docker takes for a text is reported."""
    start = image.start
    model = image.tree.model
    for name, command in (("ENTRYPOINT", model.entrypoint), ("CMD", model.cmd)):
        is_it = command is not None and start is not None and start.place == (image.dockerfile, command.line, False)
        if command is None or not is_it:
            continue
        if _is_refused(image, command, name):
            message = f"{name} has a value that is no string, and Docker refuses to build that"
            findings.add(
                Code.BG701, FindingPlace(image.dockerfile, command.line), message, "put every word in double quotes"
            )
            return False
        if not is_broken_list(command):
            continue
        message = (
            f"{name} is not valid JSON, so a shell gets its text, and finds no program {_first_word(command.text)}"
        )
        hint = f"write {name} {_corrected(command.text) or _EXAMPLE}: words in double quotes, separated by commas"
        findings.add(Code.BG701, FindingPlace(image.dockerfile, command.line), message, hint)
        return False
    return True


def _is_refused(image: ImageStart, command: ImageCommand, name: str) -> bool:
    steps = (step for stage in image.stages for step in stage.instructions)
    texts = (step.text for step in steps if (step.line, step.name) == (command.line, name))
    return any(map(is_refused_list, texts))


def is_broken_list(command: ImageCommand) -> bool:
    """Whether a command was meant as a list of words, and a shell gets it; `[ -f x ]` is a command of the shell."""
    text = command.text
    if command.form is not CommandForm.SHELL or not is_shell(command.words[0]) or not text.startswith("["):
        return False
    if text.startswith("[["):
        return False
    return not text[1:2].isspace() or (text.endswith("]") and "," in text)


def _first_word(text: str) -> str:
    """What a shell looks for: the first word, without quotes."""
    words = text.split(maxsplit=1)
    return words[0].translate(_STRAIGHT).replace('"', "").replace("'", "")


def _corrected(text: str) -> str:
    """The list in JSON; empty where it is not known."""
    if len(text) > _LONGEST:
        return ""
    try:
        words = ast.literal_eval(text.translate(_STRAIGHT))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""
    is_list = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return json.dumps(words, ensure_ascii=False) if is_list and words else ""
