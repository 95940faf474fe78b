"""Python source in the steps of a build file: scripts with a shebang, `python -c`, and heredocs of shells. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from buildguard.definitions import lazy_pattern
from buildguard.project import image_reference, yaml
from buildguard.project.cloudbuild.fields import flat, value_of
from buildguard.project.snippets.aligned import align, align_block
from buildguard.project.snippets.mapped_text import MappedText, TextBuilder, map_whole
from buildguard.project.snippets.python_command import (
    PROGRAM,
    is_python_script,
    sources_in_argv,
    sources_in_script,
)
from buildguard.project.snippets.shell_script import LONGEST, ScriptWord
from buildguard.project.snippets.snippet import (
    EmbeddedSource,
    Snippet,
    SnippetForm,
    SnippetPython,
    python_of_program,
)

# What Cloud Build replaces in the arguments of a step; `$$` is a dollar sign.
_SUBSTITUTION = lazy_pattern(r"\$\$|\$(?:\{[A-Z_][A-Z0-9_]*[^}]*\}|[A-Z_][A-Z0-9_]*)")
_SUBSTITUTED = "\ue000"  # stands for a value that is known in the build only
_SHEBANG_PROGRAM = lazy_pattern(r"#!\s*(?:\S*/env\s+(?:-S\s+)?)?(\S+)")


def build_file_snippets(data: bytes, path: str) -> Iterator[Snippet]:
    """The Python source in the steps of a build file; raises InvalidYamlError, a UsageError."""
    text = data.decode("utf-8", "replace")
    for step in value_of(flat(yaml.read(data, path)), "steps").items():
        fields = flat(step)
        image = value_of(fields, "name")
        for source in _of_step(fields, text):
            place = f"{path}:{image.line}"
            yield Snippet(path, source, python_of_program(_python_of_image(image.text(), place), source.program, place))


def _python_of_image(image: str, place: str) -> SnippetPython:
    version = image_reference.promised_version(image)
    unknown = "" if version is not None else image_reference.why_version_unknown(image)
    return SnippetPython(version, place, image if version is not None else None, unknown=unknown)


def _of_step(fields: Mapping[str, yaml.Node], text: str) -> Iterator[EmbeddedSource]:
    script = value_of(fields, "script")
    if script.text():
        yield from _of_script(_mapped(script, text))
        return
    entrypoint = value_of(fields, "entrypoint")
    words = [
        _substituted(_mapped(node, text)) for node in (entrypoint, *value_of(fields, "args").items()) if node.text()
    ]
    is_python = image_reference.is_python(value_of(fields, "name").text())
    if words and is_python and not entrypoint.text() and words[0].text.text.startswith("-"):
        words = [ScriptWord(map_whole("python")), *words]
    for source in sources_in_argv(words):
        yield source._replace(is_known=source.is_known and _SUBSTITUTED not in source.text.text)


def _of_script(script: MappedText) -> Iterator[EmbeddedSource]:
    """A script is no subject of substitutions; its shebang says what runs it."""
    match = _SHEBANG_PROGRAM.match(script.text)
    if is_python_script(script.text):
        program = match[1] if match is not None else ""
        name = program.rpartition("/")[2]
        yield EmbeddedSource(script, SnippetForm.FILE, program if PROGRAM.fullmatch(name) else "")
    elif match is None or match[1].rpartition("/")[2].endswith("sh"):
        yield from sources_in_script(ScriptWord(script))


def _mapped(node: yaml.Node, text: str) -> MappedText:
    """The value of a scalar with the places of its characters; nothing of one that is longer than any script."""
    if len(node.text()) > LONGEST:
        return MappedText()
    raw = map_whole(text[node.place.start : node.place.end], node.place.line, node.place.column)
    if raw.text.startswith("|"):
        return align_block(node.text(), raw)
    start = raw.text.find("\n") + 1 if raw.text.startswith(">") else len(raw.text) - len(raw.text.lstrip("\"'"))
    part = raw.cut(min(start, max(0, len(raw.text) - 1)))
    return align(node.text(), part, escapes=raw.text.startswith('"'))


def _substituted(word: MappedText) -> ScriptWord:
    builder, at = TextBuilder(), 0
    for match in _SUBSTITUTION.finditer(word.text):
        is_escape = match[0] == "$$"
        builder.add_part(word, at, match.start() + is_escape)
        if not is_escape:
            builder.add(_SUBSTITUTED, *word.place(match.start()))
        at = match.end()
    builder.add_part(word, at, len(word.text))
    return ScriptWord(builder.build())
