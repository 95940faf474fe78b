"""Python source that only a Dockerfile, a build file or a `.pth` file contains."""

from __future__ import annotations

import pytest

from buildguard.project.snippets.build_file_snippets import build_file_snippets
from buildguard.project.snippets.dockerfile_snippets import dockerfile_snippets
from buildguard.project.snippets.mapped_text import map_whole
from buildguard.project.snippets.pth import LARGEST, pth_snippets
from buildguard.project.snippets.python_command import is_source_name, sources_in_script
from buildguard.project.snippets.shell_script import ScriptWord
from buildguard.project.snippets.snippet import Snippet, SnippetForm
from buildguard.project.snippets.unchecked import UncheckedKind, unchecked_files
from buildguard.project.target import Certainty, ContextBasis, ImageService


def _snippets(text: str, stage: str = "") -> list[Snippet]:
    basis = ContextBasis(Certainty.CONFIRMED, "Dockerfile")
    service = ImageService("app", "Dockerfile", "", basis, stage=stage)
    return list(dockerfile_snippets(text.encode("utf-8"), service))


def _python(snippet: Snippet) -> str:
    assert snippet.python is not None
    return str(snippet.python.version) if snippet.python.version is not None else snippet.python.unknown


@pytest.mark.parametrize(
    ("instruction", "source", "place"),
    [
        ("COPY <<EOF gen.py\nx = 1\nEOF", "x = 1\n", (3, 1)),
        ("COPY <<'EOF' gen.py\nprint('\\n$x')\nEOF", "print('\\n$x')\n", (3, 1)),
        ("COPY <<EOF gen.py\nprint('a\\nb')\nEOF", "print('anb')\n", (3, 1)),  # BuildKit takes the backslash away
        ("ADD <<-EOF /srv/gen.py\n\tx = 1\n\tEOF", "x = 1\n", (3, 2)),
        ("COPY <<gen.py /srv/\nx = 1\ngen.py", "x = 1\n", (3, 1)),
        ("COPY <<EOF tool\n#!/usr/bin/env python3\nEOF", "#!/usr/bin/env python3\n", (3, 1)),
        ("RUN python - <<EOF\nx = 1\nEOF", "x = 1\n", (3, 1)),
        ("RUN python3 <<EOF && echo\nx = '\\$y'\nEOF", "x = '$y'\n", (3, 1)),
        ("RUN python3 -u -W error <<'EOF'\nx = '$y'\nEOF", "x = '$y'\n", (3, 1)),
        ("RUN <<EOF python3\nx = 1\nEOF", "x = 1\n", (3, 1)),
        ("RUN <<EOF\n#!/usr/bin/env python3\nx = '$y'\nEOF", "#!/usr/bin/env python3\nx = '$y'\n", (3, 1)),
        ("RUN <<EOF\ncat > /x.py <<'B'\nx = 1\nB\nEOF", "x = 1\n", (4, 1)),
        ("RUN <<EOF\n#!/bin/bash\npython -c 'x'\nEOF", "x", (4, 12)),
        ("RUN tee /x.py <<EOF\nx\nEOF", "x\n", (3, 1)),
        ('RUN python -c "print(\\"x\\")"', 'print("x")', (2, 16)),
        ("RUN A=1 python -Ic 'x' ; true", "x", (2, 21)),
        ("RUN sudo -u app timeout 5 uv run python -c 'x'", "x", (2, 45)),
        ("RUN uv run - <<EOF\nx\nEOF", "x\n", (3, 1)),
        ("RUN uv run --with a --no-project - <<EOF\nx\nEOF", "x\n", (3, 1)),
        ("RUN cat <<EOF | python3 -\nx\nEOF", "x\n", (3, 1)),
        ("RUN set -e; \\\n  # comment\n  python -c 'x; \\\n  y'", "x;   y", (4, 14)),
        ("RUN bash -c \"python -c 'x'\"", "x", (2, 25)),
        ("RUN v=\"$(python -c 'x')\"", "x", (2, 21)),
        ("RUN if ! python -c 'x'; then exit; fi", "x", (2, 21)),
        ('RUN ["python", "-c", "a\\nb"]', "a\nb", (2, 23)),
        ("RUN --mount=type=cache,target=/x python -c 'x'", "x", (2, 45)),
        ("CMD python -c 'x'", "x", (2, 16)),
        ('ENTRYPOINT ["python"]\nCMD ["-c", "x"]', "x", (3, 13)),
        ("HEALTHCHECK --interval=5s CMD python -c 'x'", "x", (2, 42)),
        ('HEALTHCHECK CMD ["python", "-c", "x"]', "x", (2, 35)),
    ],
)
def test_forms_of_source_in_a_dockerfile(instruction: str, source: str, place: tuple[int, int]) -> None:
    (snippet,) = _snippets(f"FROM python:3.11-slim\n{instruction}\n")

    assert snippet.source.text.text == source
    assert snippet.source.text.place(0) == place
    assert snippet.source.is_known
    assert (_python(snippet), snippet.service) == ("3.11", "app")


@pytest.mark.parametrize(
    "instruction",
    [
        "RUN python x.py <<EOF\ndata\nEOF",
        "RUN python -m json.tool <<EOF\n{}\nEOF",
        "RUN echo python -c 'x'",
        "RUN pip install x && python2 -c 'print 1'",
        "COPY <<EOF app.conf\nx\nEOF",
        "RUN <<EOF\n#!/usr/bin/perl\npython -c 'x'\nEOF",
        'SHELL ["powershell", "-c"]\nRUN python -c "x"',
        "HEALTHCHECK NONE",
        "CMD python -c 'old'\nCMD python app.py",
        "RUN cat <<EOF > x.txt\ndata\nEOF",
        "RUN python -c",
    ],
)
def test_what_is_no_source(instruction: str) -> None:
    assert _snippets(f"FROM python:3.11-slim\n{instruction}\n") == []


def test_a_variable_leaves_a_snippet_open() -> None:
    text = "FROM python:3.11\nRUN python -c \"print('$V')\"\nRUN python <<EOF\n$(x)\nEOF\nCOPY <<EOF a.py\n${V}\nEOF\n"

    assert [snippet.source.is_known for snippet in _snippets(text)] == [False, False, False]


def test_each_stage_has_its_own_python() -> None:
    text = (
        "FROM python:3.9 AS build\nRUN python -c 'a'\nFROM python:3.8 AS unused\nRUN python -c 'b'\n"
        "FROM ubuntu AS other\nRUN python -c 'c'\nRUN python3.10 -c 'd'\nRUN pypy3 -c 'e'\n"
        "FROM python:3.12\nCOPY --from=build /x /x\nCOPY --from=other /y /y\nRUN /usr/bin/python3 -c 'f'\nRUN python -c 'g'\n"
    )

    pythons = {snippet.source.text.text: (_python(snippet), snippet.service) for snippet in _snippets(text)}

    assert pythons["a"] == ("3.9", None)
    assert "b" not in pythons
    assert "unknown" in pythons["c"][0]
    assert pythons["d"] == ("3.10", None)
    assert pythons["e"] == ("pypy3 runs it, and buildguard asks CPython only", None)
    assert pythons["f"][0] == "/usr/bin/python3 is the Python of the distribution, not of python:3.12"
    assert pythons["g"] == ("3.12", "app")
    assert [snippet.source.text.text for snippet in _snippets(text, "unused")] == ["b"]


_BUILD = """\
steps:
- name: python:3.9
  script: |
    #!/usr/bin/env python3
    x = 1
- name: 'python:3.11'
  entrypoint: bash
  args: [-c, "python -c 'a'; echo $PROJECT_ID"]
- name: python:3.12
  args: ["python", "-c", "print(\\"a\\", 1)"]
- {name: gcr.io/cloud-builders/gcloud, entrypoint: python3, args: ['-c', 'b']}
- {name: gcr.io/x/y, script: "set -e\\npython3 - <<'E'\\nc\\nE\\n"}
- {name: python:3.12, args: ['-c', 'd $$x']}
- {name: python:3.12, args: [python, '-c', 'e $_X']}
- {name: python:3.12, script: "#!/usr/bin/perl\\npython -c x"}
"""


def test_source_in_the_steps_of_a_build_file() -> None:
    snippets = list(build_file_snippets(_BUILD.encode(), "cloudbuild.yaml"))

    rows = [
        (each.source.text.text, each.source.text.place(0), each.source.is_known, _python(each)[:4]) for each in snippets
    ]
    assert rows == [
        ("#!/usr/bin/env python3\nx = 1\n", (4, 5), True, "3.9"),
        ("a", (8, 26), True, "3.11"),
        ('print("a", 1)', (10, 27), True, "3.12"),
        ("b", (11, 75), True, "the "),
        ("c\n", (12, 56), True, "the "),
        ("d $x", (13, 37), True, "3.12"),
        ("e \ue000", (14, 45), False, "3.12"),
    ]
    place = snippets[2].source.text.place(snippets[2].source.text.text.index("1"))
    assert place == (10, 27 + len('print(\\"a\\", '))


def test_import_lines_of_a_pth_file() -> None:
    snippets = list(pth_snippets(b"folder\nimport a; b\n# import\nimport\tc\n", "x.pth"))

    assert [(each.source.text.text, each.line, each.source.form) for each in snippets] == [
        ("import a; b", 2, SnippetForm.PTH),
        ("import\tc", 4, SnippetForm.PTH),
    ]
    for data in (b"PK\3\4\0import a", b"import a\n" * LARGEST, b"import \xff"):
        assert list(pth_snippets(data, "model.pth")) == []


def test_files_that_are_not_compiled() -> None:
    paths = ["a.py.j2", "b.j2", "page.html.j2", "n.ipynb", "x/c.whl", "d.pyx", "setup.py.in", "nginx.conf.in", "e.py"]

    assert [(each.kind, each.path) for each in unchecked_files(paths)] == [
        (UncheckedKind.TEMPLATE, "a.py.j2"),
        (UncheckedKind.TEMPLATE, "b.j2"),
        (UncheckedKind.NOTEBOOK, "n.ipynb"),
        (UncheckedKind.ARCHIVE, "x/c.whl"),
        (UncheckedKind.CYTHON, "d.pyx"),
        (UncheckedKind.TEMPLATE, "setup.py.in"),
    ]


def test_a_script_with_an_expansion_has_no_known_source() -> None:
    (source,) = sources_in_script(ScriptWord(map_whole("python -c 'x'"), is_known=False))

    assert not source.is_known
    assert is_source_name("a.pyw")
    deep = "x"
    for _ in range(9):
        deep = f"bash -c {deep!r}"
    assert list(sources_in_script(ScriptWord(map_whole(deep)))) == []


@pytest.mark.parametrize(
    "instruction",
    [
        "RUN python -c 'x'\n" * 300,
        "RUN echo " + "${" * 20_000,
        "RUN " + "$(" * 20_000,
        "RUN cat " + "<<E " * 2000,
        "RUN " + "`a" * 20_001,
        "RUN " + "$'" * 20_001,
        'CMD ["python", "-c", ' + '"a", ' * 2000 + '"b"]',
    ],
)
def test_hostile_instructions_are_read_to_their_end(instruction: str) -> None:
    assert len(_snippets(f"FROM python:3.11\n{instruction}\n")) in {0, 1, 300}
