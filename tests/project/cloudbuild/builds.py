"""Build files in which something is wrong, or right and odd: what the rules have to say of each, by code and line."""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """A build file, the errors in it by code and line, and whether gcloud accepts it all the same.

    `builds` is the kind of build that runs it, empty where that is unknown.
    """

    name: str
    text: str
    errors: tuple[tuple[str, int], ...] = ()
    beyond: bool = False
    builds: str = ""


_X = "steps: [{name: x}]\n"
CASES = [
    Case("plain", _X),
    Case("snake case", "steps:\n- name: x\n  wait_for: ['-']\n  allow_failure: true\n"),
    Case("an anchor and a merge", "steps:\n- &a {name: x}\n- <<: *a\n  id: b\n"),
    Case("an alias as a step", "steps:\n- &a {name: x}\n- *a\n"),
    Case("a field without a value", "timeout:\nimages: ~\nsteps: [{name: x}]\noptions:\nsource:\n"),
    Case("one instead of a list", "steps: {name: x, env: A=1, args: b, waitFor: '-', allowExitCodes: 3}\nimages: x\ntags: a\n", builds="submit"),
    Case("one instead of a list, and perhaps a trigger", "steps:\n- name: x\n  args: b\nimages: z\n", (("BG412", 3), ("BG412", 4)), beyond=True),
    Case("a step instead of a list", "steps: {name: x}\n", (("BG412", 1),), beyond=True, builds="trigger"),
    Case("numbers as text", "steps: [{name: x, allowExitCodes: ['1']}]\noptions: {diskSizeGb: '100'}\n"),
    Case("enumerations as numbers", f"options: {{logging: 1, machineType: 1}}\n{_X}"),
    Case("yes for true", "steps: [{name: x, allowFailure: yes}]\n"),
    Case("a tag of YAML", "steps:\n- name: !!str 3\n"),
    Case("YAML 1.2, and it says so", "%YAML 1.2\n---\nsteps: [{name: on}]\n"),
    Case("a byte order mark", f"\ufeff{_X}"),
    Case("an answer's fields", f"status: SUCCESS\nid: x\nprojectId: p\n{_X}"),
    Case("fractions of a second", "steps: [{name: x, timeout: 1.5s}]\n"),
    Case("fetched before", f"dependencies: [{{empty: true}}]\n{_X}"),
    Case("a secret of KMS", "secrets: [{kmsKeyName: a, secretEnv: {A: YWJj}}]\nsteps: [{name: x, secretEnv: [A]}]\n"),
    # ---- read at all
    Case("no YAML", "steps:\n- name: x\n  args: [a,, b]\n", (("BG410", 3),)),
    Case("a quote is never closed", 'steps:\n- name: x\n  args:\n    - "-c\n', (("BG410", 4),)),
    Case("a bracket is never closed", "steps:\n- name: x\n  args: [a, b\nimages: [c]\n", (("BG410", 3),)),
    Case("a tab", "steps:\n- \tname: x\n", (("BG410", 2),)),
    Case("tabs in JSON", '{\n\t"steps": [{"name": "x"}]}', (("BG410", 2),)),
    Case("two documents", f"{_X}---\n{_X}", (("BG410", 2),)),
    Case("a list", "[]", (("BG410", 1),)),
    Case("nothing", "", (("BG410", 1),)),
    Case("comments only", "# steps:\n", (("BG410", 1),)),
    Case("a private tag", "steps: [{name: !foo x}]\n", (("BG412", 1),)),
    # ---- fields
    Case("a misspelt field", "steps:\n- name: x\n  agrs: [b]\n", (("BG411", 3),)),
    Case("a misspelt field at the top", f"step:\n- name: x\n{_X}", (("BG411", 1),)),
    Case("capitals", "steps:\n- name: x\n  Args: [b]\n", (("BG411", 3),)),
    Case("a field in the wrong place", "steps:\n- name: x\n  logging: NONE\n", (("BG411", 3),)),
    Case("a number as a field", f"1: x\n{_X}", (("BG411", 1),)),
    Case("somewhere to keep anchors", "a: &a {name: x}\nsteps: [*a]\n", (("BG411", 1),)),
    Case("in a volume", "steps:\n- {name: x, volumes: [{name: va, path: /b, foo: c}]}\n- {name: z, volumes: [{name: va, path: /b}]}\n", (("BG411", 2),)),
    Case("in secrets", f"{_X}availableSecrets: {{secretManager: [{{versionName: a, env: B, x: y}}]}}\n", (("BG411", 2),)),
    Case("a source", f"source: {{}}\n{_X}", (("BG411", 1),)),
    # ---- values
    Case("y as a name", "steps:\n- name: y\n", (("BG412", 2),)),
    Case("on as a name", "steps:\n- name: on\n", (("BG412", 2),)),
    Case("a number as a name", "steps:\n- name: 3\n", (("BG412", 2),)),
    Case("a time as a name", "steps:\n- name: 12:30:45\n", (("BG412", 2),)),
    Case("hexadecimal", "steps:\n- name: 0x1F\n", (("BG412", 2),)),
    Case("a date", f"logsBucket: 2020-01-01\n{_X}", (("BG412", 1),)),
    Case("numbers among arguments", "steps:\n- name: x\n  args: [a, 1, true]\n", (("BG412", 3), ("BG412", 3))),
    Case("nothing among arguments", "steps:\n- name: x\n  args:\n  - a\n  -\n", (("BG412", 5),)),
    Case("infinity", "steps:\n- name: x\n  args: [.inf]\n", (("BG412", 3),)),
    Case("a version as a tag", f"tags: [1.5]\n{_X}", (("BG412", 1),)),
    Case("a mapping for variables", "steps:\n- name: x\n  env: {A: b}\n", (("BG412", 3),)),
    Case("pairs for variables", "steps:\n- name: x\n  env: [A: b]\n", (("BG412", 3),)),
    Case("a list for a script", "steps:\n- name: x\n  script: [a]\n", (("BG412", 3),)),
    Case("a list for a name", "steps:\n- name: [x]\n", (("BG414", 2), ("BG412", 2))),
    Case("a text for options", f"options: a\n{_X}", (("BG412", 1),)),
    Case("a list for substitutions", f"substitutions: [a]\n{_X}", (("BG412", 1),)),
    Case("a step that is a text", "steps: [x]\n", (("BG412", 1),)),
    Case("a step that is a list", "steps: [[{name: x}]]\n", (("BG412", 1),)),
    Case("an empty step", "steps:\n- name: x\n-\n", (("BG412", 3),)),
    Case("a number of seconds", f"timeout: 600\n{_X}", (("BG412", 1),)),
    Case("minutes", "steps:\n- name: x\n  timeout: 10m\n"),
    Case("hours and minutes", f"timeout: 1h30m\n{_X}"),
    Case("no unit", f"timeout: '600'\n{_X}", (("BG412", 1),), beyond=True),
    Case("less than nothing", f"timeout: -5s\n{_X}", (("BG412", 1),), beyond=True),
    Case("a text for true", "steps:\n- name: x\n  allowFailure: 'true'\n", (("BG412", 3),)),
    Case("one for true", "steps:\n- name: x\n  allowFailure: 1\n", (("BG412", 3),)),
    Case("letters for a number", f"options: {{diskSizeGb: a}}\n{_X}", (("BG412", 1),)),
    Case("a fraction for a number", f"options: {{diskSizeGb: 1.5}}\n{_X}", (("BG412", 1),)),
    Case("an unknown machine", f"options: {{machineType: FOO}}\n{_X}", (("BG412", 1),)),
    Case("small letters", f"options: {{substitutionOption: allow_loose}}\n{_X}", (("BG412", 1),)),
    Case("an unknown hash", f"options: {{sourceProvenanceHash: [sha256]}}\n{_X}", (("BG412", 1),)),
    Case("one hash", f"options: {{sourceProvenanceHash: SHA256}}\n{_X}", (("BG412", 1),)),
    Case("no base64", "secrets: [{kmsKeyName: a, secretEnv: {A: YWJ}}]\nsteps: [{name: x, secretEnv: [A]}]\n", (("BG412", 1),)),
    Case("a number as a substitution", "substitutions: {_A: 1}\nsteps: [{name: x$_A}]\n", (("BG412", 1),)),
    Case("a variable without a value", "steps:\n- name: x\n  env: ['A']\n", (("BG412", 3),), beyond=True),
    Case("a tag with a blank", f"tags: ['a b']\n{_X}", (("BG412", 1),), beyond=True),
    # ---- twice
    Case("steps twice", f"{_X}steps: [{{name: z}}]\n", (("BG413", 2),), beyond=True),
    Case("a field of a step twice", "steps:\n- name: x\n  timeout: 6s\n  timeout: 7s\n", (("BG413", 4),), beyond=True),
    Case("in two spellings", "steps:\n- name: x\n  waitFor: ['-']\n  wait_for: ['-']\n", (("BG413", 4),), beyond=True),
    Case("an id twice", "steps:\n- {name: x, id: a}\n- {name: x, id: a}\n", (("BG413", 3),), beyond=True),
    # ---- steps
    Case("no steps", "steps: []\n", (("BG414", 1),)),
    Case("nothing but images", "images: [x]\n", (("BG414", 1),)),
    Case("a step without a name", "steps:\n- id: x\n", (("BG414", 2),), beyond=True),
    Case("a script with arguments", "steps:\n- name: x\n  script: a\n  args: [b]\n", (("BG414", 4),), beyond=True),
    Case("a script with an entrypoint", "steps:\n- name: x\n  script: a\n  entrypoint: b\n", (("BG414", 4),), beyond=True),
    Case("an undefined secret", "steps:\n- name: x\n  secretEnv: [A]\n", (("BG414", 3),), beyond=True),
    Case("a volume for one step", "steps:\n- name: x\n  volumes: [{name: va, path: /a}]\n", (("BG414", 3),), beyond=True),
    Case("a service account", f"serviceAccount: a\n{_X}", (("BG414", 1),), beyond=True),
    Case("a service account with logs", f"serviceAccount: a\noptions: {{logging: CLOUD_LOGGING_ONLY}}\n{_X}"),
    Case("an id of a dash", "steps:\n- name: x\n  id: '-'\n", (("BG414", 3),), beyond=True),
    Case("longer than the build", "timeout: 60s\nsteps:\n- name: x\n  timeout: 2m\n", (("BG414", 4),), beyond=True),
    Case("capitals in a name", "steps:\n- name: gcr.io/a/Api\n", (("BG412", 2),), beyond=True),
    Case("two colons in an image", f"images: ['a::b']\n{_X}", (("BG412", 1),), beyond=True),
    Case("names with substitutions", "steps: [{name: '$_R/a/${_I}:$TAG_NAME'}, {name: 'x@${_D}'}, {name: $_I}]\n"),
    Case("a secret that nothing uses", "secrets: [{kmsKeyName: a, secretEnv: {A: YWJj}}]\nsteps: [{name: x}]\n", (("BG414", 1),), beyond=True),
    Case("artifacts for nowhere", f"artifacts: {{objects: {{paths: [a]}}}}\n{_X}", (("BG414", 1),), beyond=True),
    # ---- waiting
    Case("waiting for an unknown step", "steps:\n- {name: x, id: tests}\n- name: x\n  waitFor: [test]\n", (("BG415", 4),), beyond=True),
    Case("waiting for itself", "steps:\n- name: x\n  id: a\n  waitFor: [a]\n", (("BG415", 4),), beyond=True),
    Case("a circle", "steps:\n- {name: x, id: a, waitFor: [b]}\n- {name: x, id: b, waitFor: [a]}\n", (("BG415", 2),), beyond=True),
    Case("a hidden circle", "steps:\n- {name: x, id: a, waitFor: [c]}\n- {name: x}\n- {name: x, id: c}\n", (("BG415", 2),), beyond=True),
    Case("side by side", "steps:\n- {name: x, id: a, waitFor: ['-']}\n- {name: x, id: b, waitFor: ['-']}\n- {name: x, waitFor: [a, b]}\n"),
    # ---- substitutions
    Case("an undefined substitution", "steps:\n- name: x\n  args:\n  - a\n  - ${_B}\n", (("BG416", 5),), beyond=True, builds="submit"),
    Case("in a text of several lines", "steps:\n- name: x\n  args:\n  - |\n    a\n    b $_B\n", (("BG416", 6),), beyond=True, builds="submit"),
    Case("an unused substitution", "steps: [{name: x}]\nsubstitutions:\n  _A: a\n", (("BG416", 3),), beyond=True, builds="submit"),
    Case("used in a script only", "steps: [{name: x, script: echo $_A}]\nsubstitutions:\n  _A: a\n", (("BG416", 3),), beyond=True, builds="submit"),
    Case("mapped into the script", "options: {automapSubstitutions: true}\nsteps: [{name: x, script: echo $_A}]\nsubstitutions: {_A: a}\n"),
    Case("allowed to be loose", "options: {substitution_option: ALLOW_LOOSE}\nsteps: [{name: x, args: [$_B]}]\nsubstitutions: {_A: a}\n"),
    Case("a misnamed substitution", f"substitutions: {{A: x}}\n{_X}", (("BG416", 1),)),
    Case("undefined, and perhaps a trigger", "steps: [{name: x, args: [$_B]}]\nsubstitutions: {_A: a}\n"),
    Case("a variable of the shell from a trigger", "steps:\n- name: x\n  args: [$HOME]\n", (("BG416", 3),), beyond=True, builds="trigger"),
    Case("a variable of the shell, loose", "options: {substitutionOption: ALLOW_LOOSE}\nsteps: [{name: x, args: [$HOME]}]\n", (("BG416", 2),), beyond=True),
    Case("PATH in a value is text", "steps: [{name: x, args: [$_A]}]\nsubstitutions: {_A: '$PATH:/x'}\n", builds="submit"),
    Case("one value in another", "options: {dynamicSubstitutions: true}\nsteps: [{name: x, args: [$_A]}]\nsubstitutions: {_A: '$_B/x', _B: z}\n", builds="submit"),
    Case("an expansion is text where nothing is dynamic", "steps: [{name: x, args: ['${_A:-b}']}]\nsubstitutions: {_A: c}\n", (("BG416", 2),), beyond=True, builds="submit"),
    Case("a commit of one's own", f"substitutions: {{COMMIT_SHA: x}}\n{_X}", (("BG416", 1),)),
    Case("a small letter", f"substitutions: {{_a: x}}\n{_X}", (("BG416", 1),)),
    Case("a variable of the shell", "steps:\n- name: x\n  args: [-c, 'echo $HOME']\n", (("BG416", 3),), beyond=True),
    Case("written twice", "steps:\n- name: x\n  args: [-c, 'echo $$HOME $$_B $${_C} $(date) $i']\n"),
    Case("Cloud Build's own", "steps: [{name: x, args: [$BUILD_ID, '${PROJECT_ID}', $COMMIT_SHA, $_PR_NUMBER]}]\n"),
    Case("with a value of its own", "options: {dynamicSubstitutions: true}\nsteps: [{name: x, args: ['${_A:-b}']}]\n"),
    # ---- limits and paths
    Case("too many steps", "steps:\n" + "- {name: x}\n" * 301, (("BG417", 2),), beyond=True),
    Case("a long argument", f"steps:\n- name: x\n  args: [{'a' * 10_001}]\n", (("BG417", 3),), beyond=True),
    Case("many tags", f"tags: [{', '.join(f't{number}' for number in range(65))}]\n{_X}", (("BG417", 1),), beyond=True),
    Case("more than a day", f"timeout: 86401s\n{_X}", (("BG417", 1),), beyond=True),
    Case("out of the workspace", "steps:\n- name: x\n  dir: ../..\n- name: x\n  dir: /\n"),
    Case("inside of the workspace", "steps: [{name: x, dir: a/../b}, {name: x, dir: /workspace/c}, {name: x, dir: $_D}]\nsubstitutions: {_D: e}\n"),
    Case("a reserved path", "steps:\n- {name: x, volumes: [{name: va, path: /workspace}]}\n- {name: x, volumes: [{name: va, path: /workspace/}]}\n", (("BG418", 2), ("BG418", 3)), beyond=True),
    Case("a relative path", "steps:\n- {name: x, volumes: [{name: va, path: b}]}\n- {name: x, volumes: [{name: va, path: /c}]}\n", (("BG418", 2),), beyond=True),
]  # fmt: skip
