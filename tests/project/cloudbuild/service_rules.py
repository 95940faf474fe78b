"""What the service refuses and accepts, one small build for each rule: whole builds, most of which gcloud lets pass.

`CONTRARY` names the cases in which our rules differ on purpose, with the reason; docs/cloud-build.md lists them too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Build = dict[str, Any]


class Rule(NamedTuple):
    """A build in JSON's terms, and whether the service refuses it when it is submitted."""

    name: str
    build: Build
    refused: bool


_KEY = "projects/p/locations/global/keyRings/r/cryptoKeys/k"


def _steps(*steps: Build, **rest: Any) -> Build:
    return {"steps": [{"name": "bash", **step} for step in steps] or [{"name": "bash"}], **rest}


def _args(*words: str, **rest: Any) -> Build:
    return _steps({"args": list(words)}, **rest)


def _kms(**names: str) -> list[Build]:
    return [{"kmsKeyName": _KEY, "secretEnv": names}]


def _kms_of(number: int) -> list[Build]:
    return _kms(**{f"S{index}": "YWJj" for index in range(number)})


def _uses(*names: str, **rest: Any) -> Build:
    return _steps({"secretEnv": list(names), **rest}, secrets=_kms(TOKEN="YWJj"))


def _vol(name: str = "cache", path: str = "/cache") -> Build:
    return {"name": name, "path": path}


def _volumes(*steps: list[Build], shared: list[Build] | None = None) -> Build:
    options = {"options": {"volumes": shared}} if shared is not None else {}
    return _steps(*({"volumes": volumes} if volumes else {} for volumes in steps), **options)


def _objects(**objects: Any) -> Build:
    return _steps(artifacts={"objects": objects})


def _options(*steps: Build, **options: Any) -> Build:
    return _steps(*steps, options=options)


_A, _B = {"id": "a"}, {"id": "b"}
_SUBSTITUTIONS = [
    Rule("no substitutions", _steps(substitutions={}), False),
    Rule("a substitution in use", _args("$_NAME_1", substitutions={"_NAME_1": "v"}), False),
    Rule("a digit behind the underscore", _args("$_1NAME", substitutions={"_1NAME": "v"}), False),
    Rule("braces", _args("a${_X}b", substitutions={"_X": "v"}), False),
    Rule("an empty value", _args("$_X", substitutions={"_X": ""}), False),
    Rule("a value that is too long", _args("$_X", substitutions={"_X": "v" * 4001}), True),
    Rule("a value as long as it may be", _args("$_X", substitutions={"_X": "v" * 4000}), False),
    Rule("a name that is too long", _args("$_" + "X" * 100, substitutions={"_" + "X" * 100: "v"}), True),
    Rule("a name as long as it may be", _args("$_" + "X" * 99, substitutions={"_" + "X" * 99: "v"}), False),
    Rule("mixed case", _args("$Name", substitutions={"Name": "v"}), True),
    Rule("lower case behind the underscore", _steps(substitutions={"_name": "v"}), True),
    Rule("a hyphen", _steps(substitutions={"_NAME-1": "v"}), True),
    Rule("no underscore", _args("$NAME", substitutions={"NAME": "v"}), True),
    Rule("an underscore alone", _steps(substitutions={"_": "v"}), True),
    Rule(
        "201 substitutions",
        _args(*(f"$_X{n}" for n in range(100)), *[], substitutions={f"_X{n}": "v" for n in range(201)}),
        True,
    ),
    Rule(
        "101 substitutions",
        _args(" ".join(f"$_X{n}" for n in range(101)), substitutions={f"_X{n}": "v" for n in range(101)}),
        True,
    ),
    Rule("a project of one's own", _args("$PROJECT_ID", substitutions={"PROJECT_ID": "v"}), True),
    Rule("a build id of one's own", _args("$BUILD_ID", substitutions={"BUILD_ID": "v"}), True),
    *(
        Rule(f"{name} of one's own", _args(f"${name}", substitutions={name: "v"}), False)
        for name in ("REPO_NAME", "BRANCH_NAME", "TAG_NAME", "REVISION_ID", "COMMIT_SHA", "SHORT_SHA")
    ),
    *(
        Rule(f"{name} built in", _args(f"x-${name}"), False)
        for name in (
            "PROJECT_ID",
            "BUILD_ID",
            "REPO_NAME",
            "BRANCH_NAME",
            "TAG_NAME",
            "REVISION_ID",
            "COMMIT_SHA",
            "SHORT_SHA",
        )
    ),
    Rule("two dollars", _args("$$NAME"), False),
    Rule("two dollars and braces", _args("$${_NAME}"), False),
    Rule("a lower-case shell variable", _args("$name"), False),
    Rule("undefined", _args("$_NAME"), True),
    Rule("unused", _steps(substitutions={"_NAME": "v"}), True),
    Rule("undefined and another unused", _args("$_OTHER", substitutions={"_NAME": "v"}), True),
    Rule("neither ours nor built in", _args("$NAME"), True),
    Rule("neither ours nor built in, loose", _args("$NAME", options={"substitutionOption": "ALLOW_LOOSE"}), True),
    Rule("undefined, loose", _args("$_NAME", options={"substitutionOption": "ALLOW_LOOSE"}), False),
    Rule("unused, loose", _steps(substitutions={"_NAME": "v"}, options={"substitutionOption": "ALLOW_LOOSE"}), False),
    Rule("undefined, and it must match", _args("$_NAME", options={"substitutionOption": "MUST_MATCH"}), True),
    Rule("used in the image of a step", _steps({"name": "$_X"}, substitutions={"_X": "v"}), False),
    Rule("used in a variable", _steps({"env": ["A=$_X"]}, substitutions={"_X": "v"}), False),
    Rule("used in a folder", _steps({"dir": "$_X"}, substitutions={"_X": "v"}), False),
    Rule("used in an entrypoint", _steps({"entrypoint": "$_X"}, substitutions={"_X": "v"}), False),
    Rule("used in an image", _steps(substitutions={"_X": "v"}, images=["a:$_X"]), False),
    Rule("used in a tag", _steps(substitutions={"_X": "v"}, tags=["$_X"]), False),
    Rule("used in artifacts", {**_objects(location="gs://b/$_X", paths=["$_X"]), "substitutions": {"_X": "v"}}, False),
    Rule("undefined in an image", _steps(images=["a:$_X"]), True),
    Rule("undefined in a folder", _steps({"dir": "$_X"}), True),
]
_STEPS = [
    Rule("a name alone", _steps(), False),
    Rule("no steps", {"steps": []}, True),
    Rule("nothing at all", {"images": ["a"]}, True),
    Rule("a step without a name", {"steps": [{"args": ["a"]}]}, True),
    Rule("the second step without a name", {"steps": [{"name": "a"}, {"id": "b"}]}, True),
    Rule(
        "everything that a step has",
        _steps({"env": ["A=b", "C=1"], "args": ["a", "b"], "dir": "a/b", "id": "x", "waitFor": ["-"]}),
        False,
    ),
    Rule("an absolute folder", _steps({"dir": "/srv/app"}), False),
    Rule("a folder above", _steps({"dir": "../lib"}), False),
    Rule("a folder above, in the middle", _steps({"dir": "a/../../lib"}), False),
    Rule("a folder that is too long", _steps({"dir": "d" * 1001}), True),
    Rule("a name that is too long for a step", _steps({"name": "n" * 1001}), True),
    Rule("101 arguments", _args(*["a"] * 101), True),
    Rule("100 arguments", _args(*["a"] * 100), False),
    Rule("an argument of 4,001 characters", _args("a" * 4001), True),
    Rule("an argument of 4,000 characters", _args("a" * 4000), False),
    Rule("101 steps", {"steps": [{"name": "a"}] * 101}, True),
    Rule("301 steps", {"steps": [{"name": "a"}] * 301}, True),
    Rule("100 steps", {"steps": [{"name": "a"}] * 100}, False),
    Rule("the id of a dash", _steps({"id": "-"}), True),
    Rule("one id for two", _steps(_A, {"id": "b"}, {"id": "a"}), True),
    Rule("ids that differ in case", _steps(_A, {"id": "A"}), False),
]
_WAITS = [
    Rule(
        "one behind the other",
        _steps({"id": "a", "waitFor": ["-"]}, {"id": "b", "waitFor": ["a"]}, {"waitFor": ["b"]}),
        False,
    ),
    Rule("two behind one", _steps(_A, {"waitFor": ["a"]}, {"waitFor": ["a"]}), False),
    Rule("all at the start", _steps({"waitFor": ["-"]}, {"waitFor": ["-"]}), False),
    Rule(
        "one behind two",
        _steps({"id": "a", "waitFor": ["-"]}, {"id": "b", "waitFor": ["-"]}, {"waitFor": ["a", "b"]}),
        False,
    ),
    Rule("an empty list", _steps(_A, {"waitFor": []}), False),
    Rule("a dash and an id", _steps(_A, {"waitFor": ["-", "a"]}), False),
    Rule("a missing step", _steps(_A, {"waitFor": ["c"]}), True),
    Rule("a later step", _steps({"waitFor": ["b"]}, _B), True),
    Rule("each other", _steps({"id": "a", "waitFor": ["b"]}, {"id": "b", "waitFor": ["a"]}), True),
    Rule("itself", _steps({"id": "a", "waitFor": ["a"]}), True),
    Rule("another case", _steps(_A, {"waitFor": ["A"]}), True),
]
_TIMES = [
    Rule("a day", _steps(timeout="86400s"), False),
    Rule("more than a day", _steps(timeout="86401s"), True),
    Rule("a step of a day", _steps({"timeout": "86400s"}), False),
    Rule("a step of more than a day", _steps({"timeout": "86401s"}), True),
    Rule("a step within the build", _steps({"timeout": "1s"}, timeout="10s"), False),
    Rule("a step as long as the build", _steps({"timeout": "10s"}, timeout="10s"), False),
    Rule("a step beyond the build", _steps({"timeout": "10s"}, timeout="1s"), True),
    Rule("minutes beyond seconds", _steps({"timeout": "10m"}, timeout="60s"), True),
    Rule("minutes", _steps(timeout="20m"), False),
    Rule("hours and minutes of a step", _steps({"timeout": "1h30m"}), False),
    Rule("a negative time", _steps(timeout="-1s"), True),
    Rule("a negative time of a step", _steps({"timeout": "-1s"}), True),
    Rule("no unit", _steps(timeout="600"), True),
]
_ENV = [
    Rule("a variable", _steps({"env": ["A=b"]}), False),
    Rule("a variable with an equals sign in it", _steps({"env": ["A=b=c"]}), False),
    Rule("an empty variable", _steps({"env": ["A="]}), False),
    Rule("no equals sign", _steps({"env": ["AB"]}), True),
    Rule("100 variables", _steps({"env": [f"A{n}=b" for n in range(100)]}), False),
    Rule("101 variables", _steps({"env": [f"A{n}=b" for n in range(101)]}), True),
    Rule("100 variables for all", _options(env=[f"A{n}=b" for n in range(100)]), False),
    Rule("101 variables for all", _options(env=[f"A{n}=b" for n in range(101)]), True),
    Rule("a variable of 1,000 characters", _steps({"env": ["A=" + "b" * 998]}), False),
    Rule("a variable of 1,002 characters", _steps({"env": ["A=" + "b" * 1000]}), True),
    Rule("a variable for all, of 1,000 characters", _options(env=["A=" + "b" * 998]), False),
    Rule("a variable for all, of 1,002 characters", _options(env=["A=" + "b" * 1000]), True),
]
_VALID = (
    "gcr.o/works/folder:tag",
    "gcr.io/z",
    "eu.gcr.io/p/a/b",
    "gcr.io/p:tag",
    "gcr.io/p/a:Tag",
    "ubuntu",
    "ubuntu:latest",
    "a/b@sha256:00ff",
    "localhost:5000/a:1",
)
_INVALID = (
    "gcr.io/p/a@sha256:",
    "gcr.io/p/a@sha56:00",
    "ubuntu::latest",
    "gcr.io/:broken",
    "gcr.io/p/Api",
    "UBUNTU:latest",
    "a b",
    "_a",
    "a:",
    "https://gcr.io/p/a",
    "a:b:c",
    "gcr.io/p/a@sha256:00:b",
)
_IMAGES = [
    *(Rule(f"a step of {name}", _steps({"name": name}), False) for name in _VALID),
    *(Rule(f"a step of no image: {name}", _steps({"name": name}), True) for name in _INVALID),
    *(Rule(f"an image {name}", _steps(images=[name]), False) for name in _VALID),
    *(Rule(f"no image: {name}", _steps(images=[name]), True) for name in _INVALID),
    Rule("101 images", _steps(images=["a"] * 101), True),
    Rule("100 images", _steps(images=["a"] * 100), False),
    Rule("an image that is too long", _steps(images=["a" * 1001]), True),
]
_ARTIFACTS = [
    Rule("images of artifacts", _steps(artifacts={"images": ["a", "b"]}), False),
    Rule("the same images twice", _steps(images=["a", "b"], artifacts={"images": ["a", "b"]}), False),
    Rule("other images", _steps(images=["c", "b"], artifacts={"images": ["a", "b"]}), True),
    Rule("objects", _objects(location="gs://b", paths=["a"]), False),
    Rule("objects in a folder", _objects(location="gs://b/", paths=["a", "b/*.xml"]), False),
    Rule("objects for nowhere", _objects(paths=["a"]), True),
    Rule("objects without the scheme", _objects(location="bucket", paths=["a"]), True),
    Rule("objects at a web address", _objects(location="https://b", paths=["a"]), True),
    Rule("no objects", _objects(location="gs://b/"), True),
    Rule("an empty list of objects", _objects(location="gs://b/", paths=[]), True),
    Rule("101 objects", _objects(location="gs://b/", paths=[f"a{n}" for n in range(101)]), True),
    Rule("100 objects", _objects(location="gs://b/", paths=[f"a{n}" for n in range(100)]), False),
    Rule("an object twice", _objects(location="gs://b/", paths=["a", "b", "a"]), True),
    Rule("a blank in an object", _objects(location="gs://b/", paths=["a", "-n a"]), True),
]
_VOLUMES = [
    Rule("a volume for two", _volumes([_vol()], [_vol()]), False),
    Rule("a volume for three", _volumes([_vol()], [_vol()], [_vol()]), False),
    Rule("a volume for one", _volumes([_vol()]), True),
    Rule("a volume for one beside another", _volumes([_vol()], [_vol("other")], [_vol("other")]), True),
    Rule("two paths for a volume", _volumes([_vol()], [_vol(path="/other")]), False),
    Rule("no name for a volume", _volumes([_vol("@#(")], [_vol("@#(")]), True),
    Rule("one letter for a volume", _volumes([_vol("c")], [_vol("c")]), True),
    Rule("no path for a volume", _volumes([_vol(path=")(!*")], [_vol()]), True),
    Rule("a reserved path", _volumes([_vol(path="/workspace")], [_vol()]), True),
    Rule("a reserved path with a slash", _volumes([_vol(path="/builder/home/")], [_vol()]), True),
    Rule("the socket", _volumes([_vol(path="/var/run/docker.sock")], [_vol()]), True),
    Rule("below /cloudbuild", _volumes([_vol(path="/cloudbuild/x")], [_vol()]), True),
    Rule("a relative path", _volumes([_vol()], [_vol(path="cache")]), True),
    Rule("one name for two volumes", _volumes([_vol(), _vol(path="/b")], [_vol()]), True),
    Rule("one path for two volumes", _volumes([_vol(), _vol("other")], [_vol(), _vol("other", "/b")]), True),
    Rule("a volume for all", _volumes([], [], shared=[_vol()]), False),
    Rule("a volume for all, and one step", _volumes([], shared=[_vol()]), True),
    Rule("one path for two volumes of all", _volumes([], [], shared=[_vol(), _vol("other")]), True),
    Rule("one name for two volumes of all", _volumes([], [], shared=[_vol(), _vol(path="/b")]), True),
    Rule("a relative path for all", _volumes([], [], shared=[_vol(path="cache")]), True),
    Rule("no name for a volume of all", _volumes([], [], shared=[_vol("@#(")]), True),
    Rule("a reserved path for all", _volumes([], [], shared=[_vol(path="/workspace")]), True),
    Rule("below /cloudbuild for all", _volumes([], [], shared=[_vol(path="/cloudbuild/x")]), True),
    Rule("the path of all again", _volumes([_vol("other")], [_vol("other")], shared=[_vol()]), True),
    Rule("the name of all again", _volumes([_vol(path="/b")], [_vol(path="/b")], shared=[_vol()]), True),
]
_SECRETS = [
    Rule("no secrets", _steps(secrets=[]), False),
    Rule("a secret, used once", _uses("TOKEN"), False),
    Rule("a secret that is not used", _steps(secrets=_kms(TOKEN="YWJj")), True),
    Rule("a secret that is not defined", _steps({"secretEnv": ["TOKEN"]}), True),
    Rule("a secret for all that is not defined", _options(secretEnv=["TOKEN"]), True),
    Rule("a secret for all", {**_options(secretEnv=["TOKEN"]), "secrets": _kms(TOKEN="YWJj")}, False),
    Rule(
        "a secret of two keys",
        _steps({"secretEnv": ["T"]}, secrets=[*_kms(T="YWJj"), {"kmsKeyName": "k2", "secretEnv": {"T": "YWJj"}}]),
        True,
    ),
    Rule("a key without secrets", _steps(secrets=[{"kmsKeyName": _KEY}]), True),
    Rule("a key twice", _steps({"secretEnv": ["T", "U"]}, secrets=[*_kms(T="YWJj"), *_kms(U="YWJj")]), True),
    Rule("a secret twice in a step", _uses("TOKEN", "TOKEN"), True),
    Rule("a secret of more than 64 KiB", _steps({"secretEnv": ["T"]}, secrets=_kms(T="YWFh" * 21_846)), True),
    Rule("100 secrets", _steps({"secretEnv": [f"S{n}" for n in range(100)]}, secrets=_kms_of(100)), False),
    Rule("101 secrets", _steps({"secretEnv": [f"S{n}" for n in range(101)]}, secrets=_kms_of(101)), True),
    Rule("a secret and a variable", _uses("TOKEN", env=["TOKEN=a"]), True),
    Rule("a secret and a variable of all", {**_uses("TOKEN"), "options": {"env": ["TOKEN=a"]}}, True),
    Rule(
        "a secret of all and a variable",
        {**_steps({"env": ["T=a"]}, secrets=_kms(T="YWJj")), "options": {"secretEnv": ["T"]}},
        True,
    ),
    Rule(
        "a secret and a variable, both of all",
        {**_steps(secrets=_kms(T="YWJj")), "options": {"secretEnv": ["T"], "env": ["T=a"]}},
        True,
    ),
    Rule("a secret twice for all", {**_steps(secrets=_kms(T="YWJj")), "options": {"secretEnv": ["T", "T"]}}, True),
    Rule("a secret of all again in a step", {**_uses("TOKEN"), "options": {"secretEnv": ["TOKEN"]}}, True),
    Rule(
        "a secret and a variable in two steps",
        _steps({"env": ["T=a"]}, {"secretEnv": ["T"]}, secrets=_kms(T="YWJj")),
        False,
    ),
]
_TAGS = [
    Rule("no tags", _steps(tags=[]), False),
    Rule("a tag of everything", _steps(tags=["AZaz09._-"]), False),
    Rule("a tag of an underscore", _steps(tags=["_"]), False),
    Rule("a percent sign", _steps(tags=["%"]), True),
    Rule("a tag of 129 letters", _steps(tags=["t" * 129]), True),
    Rule("a tag of 128 letters", _steps(tags=["t" * 128]), False),
    Rule("65 tags", _steps(tags=[f"t{n}" for n in range(65)]), True),
    Rule("an empty tag", _steps(tags=[""]), False),
    Rule("empty tags among others", _steps(tags=["a", "", "b", ""]), False),
    Rule("a tag twice", _steps(tags=["a", "b", "a"]), False),
]  # fmt: skip
RULES = [*_SUBSTITUTIONS, *_STEPS, *_WAITS, *_TIMES, *_ENV, *_IMAGES, *_ARTIFACTS, *_VOLUMES, *_SECRETS, *_TAGS]
_RAISED = "the published limit is higher today: a warning"
_GCLOUD = "gcloud refuses the key in a build file, whatever the service would do"
CONTRARY = {
    "101 substitutions": _RAISED,
    "101 steps": _RAISED,
    "an argument of 4,001 characters": _RAISED,
    "a variable of 1,002 characters": _RAISED,
    "a variable for all, of 1,002 characters": _RAISED,
    **{
        f"{name} of one's own": _GCLOUD
        for name in ("REPO_NAME", "BRANCH_NAME", "TAG_NAME", "REVISION_ID", "COMMIT_SHA", "SHORT_SHA")
    },
}
