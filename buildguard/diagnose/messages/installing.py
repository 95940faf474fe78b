"""Messages of what was not sent to a build, and of what pip, uv, poetry or a compiler could not install."""

from __future__ import annotations

from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.messages.message import KnownMessage

_DROPS = "buildguard diff commit:HEAD dir:. shows which ignore rule drops it"
_COMPILER = (
    "RUN apt-get update && apt-get install -y build-essential, or python:3.X-slim in place of alpine, which has wheels"
)

# fmt: off
MESSAGES: tuple[KnownMessage, ...] = (
    KnownMessage(
        "no-file-to-run", CauseId.WRONG_FILES_SENT, "",
        r"can't open file '(?P<name>[^']+)': \[Errno 2\]|^Error: '(?P<other>[\w./-]+\.py)' doesn't exist|FAILED: Path doesn't exist: '?(?P<third>[^'\s]+)", "{name} is not in the image",
        "buildguard diff commit:HEAD dir:. shows what ignore rules drop; compare COPY and WORKDIR in the Dockerfile",
    ),
    KnownMessage(
        "not-in-the-context", CauseId.WRONG_FILES_SENT, "failed",
        r"(?:COPY|ADD) failed: (?:file not found in build context or excluded by \.dockerignore: )?(?:stat |lstat )?(?P<name>[^\s:]+?):? ?(?:file does not exist|no such file|not found)|(?:COPY|ADD) failed: forbidden path outside the build context: (?P<fourth>\S+)|(?P<other>no source files were specified)|l?stat (?P<third>\S+?): (?:file does not exist|no such file)",
        "{name} is not in the build context", _DROPS,
    ),
    KnownMessage(
        "not-in-the-context-of-buildkit", CauseId.WRONG_FILES_SENT, "",
        r"failed to (?:calculate checksum of ref \S+|compute cache key).*?\"(?P<name>/[^\"]+)\"?: not found|\"(?P<other>/[^\"]+)\"(?:: | not found: )not found|lstat (?P<third>/\S+): no such file or directory|error building image: [^\n]*(?:lstat|stat) (?P<fourth>\S+): no such file",
        "{name} is not in the build context", _DROPS,
    ),
    KnownMessage(
        "no-buildpack", CauseId.WRONG_FILES_SENT, "buildpack",
        r"No buildpack groups passed detection|no buildpacks participating",
        "no buildpack recognizes what was sent: it has no main.py, requirements.txt or pyproject.toml at its top",
        "gcloud meta list-files-for-upload shows what is sent; deploy from the folder that holds them",
    ),
    KnownMessage(
        "no-requirements", CauseId.WRONG_FILES_SENT, "",
        r"Could not (?:open requirements? file|install packages due to an (?:OSError|EnvironmentError)): \[Errno 2\] No such file or directory: '(?P<name>[^']+)'|error: File not found: `?(?P<other>[^`\s]+)`?|does not appear to be a Python project|is not installable\. Neither|Poetry could not find a pyproject\.toml|No `pyproject\.toml` found|Unable to find lockfile at `(?P<third>[^`]+)`",
        "{name} was not there when the image was built", "COPY it before it is installed, and check .dockerignore and .gcloudignore",
    ),
    KnownMessage(
        "project-not-copied", CauseId.WRONG_FILES_SENT, "",
        r"Readme file does not exist: (?P<name>\S+)|Readme path [`']?(?P<other>[^`'\s]+)[`']? does not exist|Build script does not exist: (?P<third>\S+)|No file/folder found for (?:package|module) (?P<fourth>\S+)|package directory '(?P<fifth>[^']+)' does not exist|(?P<sixth>Unable to determine which files to ship)|Workspace member `(?P<seventh>[^`]+)` is missing a `pyproject\.toml`|Distribution not found at: (?P<eighth>\S+)",
        "the project itself cannot be installed, because a part of it was not there: {name}",
        "COPY it before the install, or leave the project out of it: uv sync --no-install-project, poetry install --no-root",
    ),
    KnownMessage(
        "lfs-pointer", CauseId.WRONG_FILES_SENT, "load key", r"UnpicklingError: invalid load key, 'v'",
        "a Git LFS pointer is in the image in place of the file that is loaded",
        "git lfs pull before the build: actions/checkout with lfs: true, or a step with git-lfs before docker",
    ),
    # ---- installing
    KnownMessage(
        "compiled-for-another-numpy", CauseId.DEPENDENCY_INSTALL, "",
        r"numpy\.\w+ size changed, may indicate binary incompatibility|(?:module|module that was) compiled (?:against|using) (?:(?:ABI|API) version|NumPy) \S+",
        "a package was compiled for another version of NumPy than the image has", "install versions that fit: pip install --force-reinstall --no-cache-dir the package, or pin numpy<2",
    ),
    KnownMessage(
        "protobuf-of-another-version", CauseId.DEPENDENCY_INSTALL, "", r"Descriptors cannot (?:not )?be created directly|Detected (?:incompatible|mismatched) Protobuf Gencode/Runtime",
        "generated code (_pb2.py) is for another version of protobuf than the image has", "pin protobuf to the version that generated it, or generate it again",
    ),
    KnownMessage(
        "numpy-is-broken", CauseId.DEPENDENCY_INSTALL, "rror importing numpy", r"Error importing numpy: you should not try to import numpy from",
        "the numpy in the image is for another Python or processor, or was only copied in part", "RUN pip install --force-reinstall --no-cache-dir numpy in the image that runs it",
    ),
    KnownMessage(
        "python-range-too-wide", CauseId.DEPENDENCY_INSTALL, "does not satisfy",
        r"the requested Python version \([^)]*\) does not satisfy (?:[^\n]*?\b(?P<name>[\w.-]+)[=<>!~]=?\S+ depends on Python)?",
        "requires-python allows a Python that {name} does not support", "raise requires-python in pyproject.toml, or pin a version of {name} that supports all of it",
    ),
    KnownMessage(
        "project-needs-another-python", CauseId.DEPENDENCY_INSTALL, "",
        r"Python version (?P<name>[\d.]+) is not supported by the project|[Cc]urrent Python version \((?P<other>[\d.]+)\) is not allowed by the project|resolved to Python (?P<third>[\d.]+), which is incompatible|Poetry was unable to find a compatible version|No interpreter found for|NoPythonVersion|Python [\d.]+ was not found on your system|[Tt]he current project's (?:supported )?Python (?:requirement|range)",
        "the project requires another Python than the image has: {name}", "FROM python:3.X-slim with a version that requires-python allows, or widen requires-python and lock again",
    ),
    KnownMessage(
        "another-python-required", CauseId.DEPENDENCY_INSTALL, "",
        r"Package '?(?P<name>[\w.-]+)'? requires a different Python: (?P<python>[\d.]+)|[Ii]gnored the following versions that require(?:s)? a different python version|Requires-Python (?P<other>\S+)|(?<![\w.-])(?P<third>[\w.-]+) requires Python '?[<>=!~^]+[^\n]*but the running Python is|current Python version \([\d.]+\) is not (?:allowed|compatible)|your Python version [^\n]* is not compatible",
        "{name} needs another Python than the image has", "pin a version of {name} that supports this Python, or build from another base image",
    ),
    KnownMessage(
        "requirements-conflict", CauseId.DEPENDENCY_INSTALL, "conflicting dependencies", r"Cannot install (?P<name>[^\n]{1,300}?) because these package versions have conflicting dependencies",
        "these requirements exclude each other: {name}", 'loosen one of the versions that pip lists below "The conflict is caused by"',
    ),
    KnownMessage(
        "requirements-conflict-report", CauseId.DEPENDENCY_INSTALL, "", r"ResolutionImpossible|ResolutionTooDeep|SolverProblemError|version solving failed|conflicting dependencies",
        "the requirements exclude each other, or a version does not exist", "loosen one of the versions that the lines around it name", 1,
    ),
    KnownMessage(
        "no-solution-of-uv", CauseId.DEPENDENCY_INSTALL, "No solution found when resolving", r"No solution found when resolving",
        "uv finds no versions that the requirements allow together", "loosen one of the versions that the lines below name", 1,
    ),
    KnownMessage(
        "wheel-of-another-platform", CauseId.DEPENDENCY_INSTALL, "is not a supported wheel", r"(?<![^\s/])(?P<name>[^\s/]+\.whl) is not a supported wheel on this platform",
        "{name} is for another Python, processor or C library than the image has, or this pip is too old for it",
        "RUN pip install --upgrade pip before it, and build the wheel in the image that installs it",
    ),
    KnownMessage(
        "windows-package", CauseId.DEPENDENCY_INSTALL, "", r"(?:satisfies the requirement|distribution found for) (?P<name>pywin32|pypiwin32|windows-curses)\b",
        "{name} exists for Windows only", "{name} ; sys_platform == 'win32' in the requirements, and lock again",
    ),
    KnownMessage(
        "no-matching-version", CauseId.DEPENDENCY_INSTALL, "",
        r"Could not find a version that satisfies the requirement (?P<name>[\w.-]+)|No matching distribution found for (?P<other>[\w.-]+)|no wheels? with a matching|(?<![\w.-])(?P<fourth>[\w.-]+) was not found in the package registry|has no wheels|Because [^\n]* depends on [^\n]*version"
        r"|because there (?:is|are) no versions? of (?P<fifth>[\w.-]+)|(?:Distribution `(?P<sixth>[\w.-]+)[^\n]*)?doesn't have a (?:source distribution|wheel|source distribution or wheel) for the current platform|is not compatible with (?:this|the current) Python",
        "no version of {name} can be installed on this Python", "correct its name or version in the requirements: pip index versions {name}",
    ),
    KnownMessage(
        "no-git", CauseId.DEPENDENCY_INSTALL, "it", r"Git executable not found|Cannot find command 'git'",
        "a requirement comes from a git repository, and the image has no git", "RUN apt-get update && apt-get install -y git, before the install",
    ),
    KnownMessage(
        "no-git-credentials", CauseId.DEPENDENCY_INSTALL, "",
        r"could not read (?:Username|Password) for '(?P<name>[^']+)'|(?P<other>git@[\w.-]+): Permission denied \(publickey|Host key verification failed|terminal prompts disabled",
        "git has no credentials for {name} where this step runs", "RUN --mount=type=secret or --mount=type=ssh for that step, with a token or key that may read the repository",
    ),
    KnownMessage(
        "no-compiler", CauseId.DEPENDENCY_INSTALL, "",
        r"(?:error: )?command '?(?P<name>[\w./-]*(?:gcc|g\+\+|cc|clang|cmake|cargo|rustc|swig|make))'? failed|unable to execute '?(?P<other>[\w./-]+)'?: No such file|fatal error: (?P<third>[\w./+-]+\.h)(?:pp)?: No such file|(?P<fourth>pg_config|mysql_config|xml2-config|curl-config) (?:executable )?not found|pkg-config[^\n]*(?:not found|No such file)|Can not find valid pkg-config|can't find Rust compiler|Rust (?:not found|toolchain)|cargo[^\n]{0,20}not installed|Microsoft Visual C\+\+|CMake must be installed|No CMAKE_C(?:XX)?_COMPILER|cannot find -l\w+|ld: cannot find|Unable to find (?:a )?compiler|Could not find a local HDF5|no acceptable C compiler",
        "a package has no wheel here, and its source needs {name} to compile", _COMPILER,
    ),
    KnownMessage(
        "no-wheel-built", CauseId.DEPENDENCY_INSTALL, "",
        r"[Ff]ailed (?:building|to build) (?:wheel for )?[`']?(?P<name>[\w.=-]+)|Could not build wheels for (?P<other>[\w.-]+)|metadata-generation-failed|subprocess-exited-with-error|python setup\.py (?:egg_info|bdist_wheel)[^\n]* (?:failed|did not run)|error: legacy-install-failure|Getting requirements to build wheel did not|Preparing metadata \([^)]*\) did not run|Failed to download and build `(?P<third>[^`]+)`|Build backend failed|Call to `[\w.:]+` failed|Unable to determine which files to ship|Failed to install",
        "{name} could not be built", _COMPILER, 1,
    ),
    KnownMessage(
        "wheel-is-not-installed", CauseId.DEPENDENCY_INSTALL, "bdist_wheel", r"error: invalid command 'bdist_wheel'",
        "a package is built where setuptools cannot make wheels", "RUN pip install --upgrade pip setuptools wheel, before the requirements",
    ),
    KnownMessage(
        "requirements-in-utf-16", CauseId.ENCODING, "Invalid requirement", r"Invalid requirement: [^\n]{0,80}\\x00",
        "the requirements file is UTF-16", "save it as UTF-8: pip freeze > in PowerShell writes UTF-16",
    ),
    KnownMessage(
        "invalid-requirement", CauseId.DEPENDENCY_INSTALL, "alid ",
        r"Invalid requirement: '?(?P<name>[^'\n]+?)'?(?:: [^\n]*)?(?: \(from line (?P<row>\d+) of (?P<file>[^)\n]+)\)|$)|(?<!\S)(?P<other>\S+) is not a valid editable requirement|(?<!\S)(?P<third>\S+) is not a valid wheel filename",
        "'{name}' is no requirement that pip can read", "correct that line: NAME==VERSION",
    ),
    KnownMessage(
        "hashes-differ", CauseId.DEPENDENCY_INSTALL, "",
        r"DO NOT MATCH THE HASHES|Hash mismatch for `(?P<name>[^`]+)`|Hash for (?P<other>[\w.-]+) \([^)]*\) from archive [^\n]*not found in known hashes",
        "a downloaded package has another hash than the requirements or the lock file lists: {name}",
        "if the new file is expected, write the hashes again: uv lock, poetry lock, or pip-compile --generate-hashes",
    ),
    KnownMessage(
        "hash-is-missing", CauseId.DEPENDENCY_INSTALL, "-hashes", r"Hashes are required in --require-hashes|In --require-hashes mode, all requirements must have",
        "a requirement has no hash, and the others do", "write all of them: pip-compile --generate-hashes or uv pip compile --generate-hashes",
    ),
    KnownMessage(
        "lock-is-unreadable", CauseId.DEPENDENCY_INSTALL, "",
        r"Failed to parse `(?P<name>(?:uv|poetry|pdm)\.lock|pyproject\.toml)`|(?P<other>uv\.lock|poetry\.lock|pdm\.lock)[^\n]{0,60} unsupported (?:schema )?version|lock file is not compatible with the current version of Poetry",
        "the installed tool cannot read {name}", "install the version of the tool that wrote it, or lock again with the one of the image",
    ),
    KnownMessage(
        "lock-is-outdated", CauseId.DEPENDENCY_INSTALL, "ock",
        r"Lock file hash doesn't match|can only install packages when your package\.json and package-lock\.json|Please run `pdm lock`|(?P<name>pyproject\.toml|poetry\.lock|uv\.lock|Pipfile\.lock|lockfile|lock file)[^\n]*(?:out of date|outdated|changed significantly|needs to be updated|not up to date|out-of-date)",
        "the lock file does not belong to the requirements beside it", "lock again (poetry lock, uv lock, pipenv lock or npm install), and commit the file",
    ),
    KnownMessage(
        "npm-refused", CauseId.DEPENDENCY_INSTALL, "npm", r"npm (?:ERR!|error) code (?P<name>ERESOLVE|ETARGET|E404|EBADENGINE|EBADPLATFORM|EINTEGRITY|ENOTFOUND|ETIMEDOUT|ECONNRESET|EUNSUPPORTEDPROTOCOL)",
        "npm cannot install the packages: {name}", "run npm install with the image's version of Node, and commit package-lock.json",
    ),
    KnownMessage(
        "managed-by-the-system", CauseId.DEPENDENCY_INSTALL, "managed", r"externally-managed-environment|This environment is externally managed",
        "pip may not install into the distribution's own Python", "RUN python3 -m venv /venv, and put /venv/bin first in PATH; or build from python:3.X-slim",
    ),
    KnownMessage(
        "no-such-option", CauseId.DEPENDENCY_INSTALL, "", r"no such option: (?P<name>\S+)|pip: error: [^\n]*(?P<other>--[\w-]+)",
        "the installed pip does not know an option: {name}", "remove the option, or RUN pip install --upgrade pip before it",
    ),
    KnownMessage(
        "no-such-group", CauseId.DEPENDENCY_INSTALL, "", r"Group\(s\) not found: (?P<name>[\w.-]+)|(?:Extra|Group) `(?P<other>[^`]+)` is not defined|Extra \[(?P<third>[^\]]+)\] is not specified",
        "the project has no group or extra {name}", "correct the option of the install, or define {name} in pyproject.toml and lock again",
    ),
    KnownMessage(
        "no-such-option-of-poetry", CauseId.DEPENDENCY_INSTALL, "", r"The option \"(?P<name>-[\w-]+)\" does not exist|The requested command (?P<other>[\w-]+) does not exist|unrecognized subcommand '(?P<third>[\w-]+)'|unexpected argument '(?P<fourth>-[\w-]+)' found",
        "the installed tool does not know {name}", "pin the version of the tool that the Dockerfile was written for; poetry 2 has --only main, and export in poetry-plugin-export",
    ),
    KnownMessage(
        "no-system-package", CauseId.DEPENDENCY_INSTALL, "ackage",
        r"E: Unable to locate package (?P<name>\S+)|Package '?(?P<other>[\w.+-]+)'? has no installation candidate|unable to select packages|(?<![\w.+-])(?P<third>[\w.+-]+) \(no such package\)|^E: Package ",
        "the distribution does not have a package: {name}", "apt-get update in the same RUN, and the name that this release of the distribution has",
    ),
    KnownMessage(
        "no-system-repository", CauseId.DEPENDENCY_INSTALL, "",
        r"E: The repository '(?P<name>[^']*)' does not have a Release file|E: Failed to fetch|E: Unable to fetch some archives|E: Release file for (?P<other>\S+) is expired",
        "the distribution's packages cannot be fetched: {name}", "build from a newer base image: repositories of old releases are taken down; else try again",
    ),
    KnownMessage(
        "clock-is-behind", CauseId.DEPENDENCY_INSTALL, "not valid yet", r"E: Release file for \S+ is not valid yet \(invalid for another (?P<name>[^)]+)\)",
        "the clock of the machine that builds is {name} behind", "set it (Docker Desktop: restart it), and build again",
    ),
    KnownMessage(
        "unsigned-repository", CauseId.DEPENDENCY_INSTALL, "", r"E: The repository '(?P<name>[^']*)' is not signed|NO_PUBKEY (?P<other>\w+)",
        "the image lacks the key of a package repository: {name}", "install its current key into /etc/apt/keyrings, and name it with signed-by in the .list file",
    ),
    KnownMessage(
        "no-right-to-install", CauseId.DEPENDENCY_INSTALL, "Could not install packages", r"Could not install packages due to an (?:OSError|EnvironmentError): \[Errno 13\] Permission denied:(?: '(?P<name>[^'\n]+)')?",
        "the user of this step may not write {name}", "RUN pip install before USER in the Dockerfile, or into a virtual environment of that user",
    ),
    KnownMessage(
        "index-not-reached", CauseId.DEPENDENCY_INSTALL, "", r"Failed to fetch: `(?P<name>[^`]+)|invalid peer certificate|Could not fetch URL (?P<other>\S+?):? ",
        "the package index could not be read: {name}", "try again; behind a proxy or with an index of one's own, check its address, its certificate and the build's network",
    ),
    KnownMessage(
        "cannot-be-uninstalled", CauseId.DEPENDENCY_INSTALL, "Cannot uninstall", r"Cannot uninstall '?(?P<name>[\w.-]+)",
        "{name} belongs to the distribution, and pip cannot replace it", "RUN pip install --ignore-installed {name}, or install into a virtual environment",
    ),
    KnownMessage(
        "another-version-installed", CauseId.DEPENDENCY_INSTALL, ", but you",
        r"has requirement (?P<name>[\w.-]+)[^\n]*, but you|but you have (?P<other>[\w.-]+) \S+ which is incompatible",
        "another version of {name} is installed than the other packages need", "lock all of them together (uv lock, poetry lock, pip-compile), and commit the file",
    ),
    KnownMessage(
        "requirements-refused", CauseId.DEPENDENCY_INSTALL, "",
        r"ERROR: Could not install packages(?! due to an (?:OSError|EnvironmentError): \[Errno (?:28|122)\])|pip: error: |invalid-installed-package"
        r"|Unable to satisfy the following requirements|PackagesNotFoundError|LibMambaUnsatisfiableError|UnsatisfiableError",
        "the packages cannot be installed as they are pinned", "lock them again (uv lock, poetry lock, pip-compile), and commit the file",
    ),
)
