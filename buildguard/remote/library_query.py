"""Questions about the standard library, answered by the Python that runs this: which modules and names it has.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks. Modules are looked up by the
finders first. What is there is imported in a child, as only that tells whether it loads; names by `hasattr`. Under
`-I -S` and in an empty folder nothing but the standard library can be met.

In:  JSON, `[[module, [name, …]], …]`.
Out: JSON, `{"platform": …, "answers": {module: [verdict, words, {name: verdict}]}}`; a verdict is "yes", "no" (`words`
     is the exception) or "unknown".
"""

import os
import sys

# Importing these does more than defining names: a browser opens, a window, a run of tests.
LIVELY = ("antigravity", "idlelib", "test", "this", "turtledemo", "lib2to3.tests", "unittest.__main__")


def answer_questions(data: bytes) -> bytes:
    """The answers to some questions, as JSON."""
    import json

    questions = [(str(module), [str(name) for name in names]) for module, names in json.loads(data.decode("utf-8"))]
    answers = {}
    asked = []
    for module, names in questions:
        if not is_found(module):
            answers[module] = ["no", "", {}]
        elif is_lively(module):
            answers[module] = ["yes", "", dict.fromkeys(names, "unknown")]
        else:
            asked.append((module, names))
    while asked:
        lines = ask_child(asked)
        answers.update(zip((module for module, _names in asked), lines))
        if len(lines) < len(asked):  # it died of this one
            answers[asked[len(lines)][0]] = ["unknown", "", {}]
        asked = asked[len(lines) + 1 :]
    return json.dumps({"platform": sys.platform, "answers": answers}).encode("ascii")


def is_lively(module):
    """Whether importing a module does something."""
    return module.split(".")[-1] == "__main__" or any(
        module == name or module.startswith(name + ".") for name in LIVELY
    )


def is_found(module):
    """Whether the finders know a module, level by level."""
    from importlib import machinery

    path = None
    name = ""
    for part in module.split("."):
        name = name + "." + part if name else part
        spec = None
        if path is None:
            spec = machinery.BuiltinImporter.find_spec(name) or machinery.FrozenImporter.find_spec(name)
        spec = spec or machinery.PathFinder.find_spec(name, path)
        if spec is None:
            return path is not None and not list(path)  # no package: only importing it tells, as with `os.path`
        path = spec.submodule_search_locations or []
    return True


def ask_child(asked):
    """The answers of one child, in order, as many as it lived to give."""
    import json

    incoming, outgoing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(incoming)
            serve_child(asked, outgoing)
        finally:
            os._exit(0)
    os.close(outgoing)
    with os.fdopen(incoming, "rb") as answers:
        lines = answers.read().split(b"\n")[:-1]
    os.waitpid(process, 0)
    return [json.loads(line.decode("ascii")) for line in lines]


def serve_child(asked, outgoing):
    """Import and look, in a process that does nothing else."""
    import json
    import warnings

    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    for module, names in asked:
        answer = json.dumps(look_at(module, names)).encode("ascii") + b"\n"
        while answer:
            answer = answer[os.write(outgoing, answer) :]


def look_at(module, names):
    """Whether a module of the standard library loads, and which names it has."""
    try:
        found = loaded(module)
    except BaseException as error:
        return ["no", words_of(error), {}]
    verdicts = {}
    for name in names:
        try:
            if hasattr(found, name):
                verdicts[name] = "yes"
            else:
                loaded(module + "." + name)
                verdicts[name] = "yes"
        except BaseException:
            verdicts[name] = "no"
    return ["yes", "", verdicts]


def loaded(module):
    """A module, imported."""
    __import__(module)
    return sys.modules[module]


def words_of(error):
    """An exception in words: its kind, and the module that it misses."""
    return "%s: %s" % (getattr(error, "name", None) or "", error)
