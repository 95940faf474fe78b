"""Messages of what could not be started, found, imported or listened on."""

from __future__ import annotations

from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.messages.message import KnownMessage

_COMPARE = "compare CMD, ENTRYPOINT, WORKDIR and COPY in the Dockerfile: buildguard diff commit:HEAD image:REF"
_INSTALL = "add it to the requirements that the Dockerfile installs, or correct CMD and PATH"

# fmt: off
MESSAGES: tuple[KnownMessage, ...] = (
    # ---- line ends first: they are why a command is not found
    KnownMessage(
        "windows-line-ends", CauseId.ENCODING, "",
        r"(?:env: \W?(?:python3?|bash|sh)(?:\\r|\r)\W?: No such file|can't open file '[^']*\\r'|No module named '?[\w.]+\\r|\$'\\r': command not found|bad interpreter: \S+\^M|\\r': (?:command not found|No such file)|\^M: (?:not found|bad interpreter)|exec: \"[^\"]*\\r\")",
        "a script in the image has Windows line ends", "*.sh text eol=lf in .gitattributes, then git add --renormalize .",
    ),
    # ---- the command
    KnownMessage(
        "other-architecture", CauseId.PLATFORM, "xec format error", r"(?i:exec format error)",
        "the image was built for another processor than the one that runs it", "docker build --platform linux/amd64; a script needs a #! line that names its shell",
    ),
    KnownMessage(
        "not-executable", CauseId.START_COMMAND, "ermission denied",
        r"(?:^|[\s\"/'])(?:ba|da|a|z)?sh: (?:line )?(?:\d+: )?(?:exec: )?(?P<name>[^:\s][^:\n]{0,200}): [Pp]ermission denied|exec: \\?\"(?P<other>[^\"\\]+)\\?\": permission denied|(?:^|\s)exec (?P<third>/\S+): permission denied",
        "{name} is not executable in the image", "RUN chmod +x {name} in the Dockerfile, or git update-index --chmod=+x for that file",
    ),
    KnownMessage(
        "executable-not-found", CauseId.START_COMMAND, "exec",
        r"exec: \\?\"(?P<name>[^\"\\]+)\\?\": (?:executable file not found|stat \S+ ?no such file|permission denied|is a directory|cannot run executable|no such file)|exec: (?P<other>[\w./-]+(?: [^:\n]+)?): (?:not found|cannot execute|Permission denied)"
        r"|(?:^|\s|\")exec(?:ve)? \"?(?P<third>[\w./-]+)\"?: (?:no such file or directory|permission denied|is a directory)|exec user process caused[: \"]+(?P<fourth>no such file or directory|permission denied)|exec (?P<sixth>\S+) failed: (?:No such file|Permission denied|Exec format)",
        "{name} cannot be executed in the image: not found, not executable, or its interpreter is missing", _COMPARE,
    ),
    KnownMessage(
        "not-loaded", CauseId.START_COMMAND, "ailed to load /", r"[Ff]ailed to load (?P<name>/\S+): (?:fork/exec: )?(?:no such file|permission denied|not found)",
        "{name} cannot be executed in the image: not found, not executable, or its interpreter is missing", _COMPARE,
    ),
    KnownMessage(
        "not-in-the-path", CauseId.START_COMMAND, "inding executable", r"error finding executable \"(?P<name>[^\"]+)\" in PATH",
        "the command {name} is nowhere in the image's PATH", _INSTALL,
    ),
    KnownMessage(
        "invalid-entrypoint", CauseId.START_COMMAND, "nvalid ", r"Invalid ENTRYPOINT|\"Command \\?\"(?P<name>[^\"\\\n]+)\\?\": invalid mode",
        "the image's ENTRYPOINT cannot be executed: {name} is not found, or not executable", "RUN chmod +x {name} in the Dockerfile, or git update-index --chmod=+x for that file",
    ),
    KnownMessage(
        "no-function-source", CauseId.WRONG_FILES_SENT, "GOOGLE_FUNCTION_SOURCE", r"missing (?P<name>\S+) and GOOGLE_FUNCTION_SOURCE not specified",
        "{name}, in which the function is looked for, was not sent", "gcloud meta list-files-for-upload shows what is sent; deploy from the folder that has it, or set GOOGLE_FUNCTION_SOURCE",
    ),
    KnownMessage(
        "no-folder-to-start-in", CauseId.START_COMMAND, "", r"\bcd: (?:can't cd to (?P<other>[^\s:]+)|(?P<third>/[^\s:]+): No such file)|chdir to cwd \(\\?\"(?P<name>[^\"\\]+)\\?\"\) set in config\.json failed",
        "the folder {name}, in which the container starts, is missing or closed to its user", _COMPARE,
    ),
    KnownMessage(
        "command-not-found", CauseId.START_COMMAND, "",
        r"(?:^|[\s\"/'])(?:ba|da|a|z)?sh: (?:line )?(?:\d+: )?(?:exec: )?(?P<name>[^:\s][^:\n]{0,200}): (?:command )?(?:not found|[Pp]ermission denied|No such file or directory|Is a directory|cannot execute[^\n]*)"
        r"|\.sh: (?:exec: )?(?:line )?\d+: (?:exec: )?(?P<other>[^:\n]{1,200}): (?:command )?(?:not found|[Pp]ermission denied|No such file or directory|cannot execute[^\n]*)"
        r"|env: ['\"]?(?P<third>[\w./-]+)['\"]?: (?:No such file|Permission denied)|bad interpreter: (?P<fourth>[^:\n]*)|: cannot execute(?:: required file not found| binary file)|can't find command '(?P<sixth>[^']+)'|(?:sudo|tini|dumb-init|gosu|exec|nohup|timeout|supervisor)\b[^\n]{0,40}?['\" ](?P<fifth>[\w./-]+)['\"]?[: ]+(?:command not found|executable file not found|No such file or directory|can't find command)",
        "the command {name} cannot be executed in the image", _INSTALL,
    ),
    KnownMessage(
        "no-user", CauseId.START_COMMAND, "no matching entries in", r"unable to find (?:user|group) (?P<name>[^:\s]+): no matching entries",
        "the image has no user {name}, which USER names", "RUN useradd {name} in the final stage of the Dockerfile, before USER",
    ),
    KnownMessage(
        "asgi-under-wsgi", CauseId.START_COMMAND, "", r"__call__\(\) missing 1 required positional argument: '(?P<name>send)'",
        "a WSGI server runs an ASGI application", "CMD exec gunicorn -k uvicorn.workers.UvicornWorker --bind :$PORT main:app, or uvicorn",
    ),
    KnownMessage(
        "wsgi-under-asgi", CauseId.START_COMMAND, "", r"__call__\(\) missing 1 required positional argument: '(?P<name>start_response)'",
        "an ASGI server runs a WSGI application", "CMD exec gunicorn --bind :$PORT main:app",
    ),
    KnownMessage(
        "application-not-found", CauseId.START_COMMAND, "",
        r"Error loading ASGI app factory: |Error loading ASGI app\. (?:Could not import module|Attribute \"(?P<app>[^\"]+)\" not found in module|Import string) \"(?P<name>[^\"]+)\"|Failed to find attribute '(?P<other>[^']+)' in '[^']+'|Failed to parse '(?P<third>[^']+)' as an attribute name|Failed to find application(?: object)?:? '(?P<fourth>[^']+)'"
        r"|Could not import module \"(?P<sixth>[^\"]+)\"|Attribute \"(?P<seventh>[^\"]+)\" not found in module|Import string \"(?P<eighth>[^\"]+)\" must be in format|Failed to find Flask application or factory in module '(?P<ninth>[^']+)'|Could not import '(?P<tenth>[^']+)'|Could not locate a Flask application|No application module specified|class uri '?(?P<fifth>[^']+)'? invalid or not found|(?:gunicorn|uvicorn): error: (?!unrecognized arguments|argument |the following)|NoAppFound|NoAppException|NoAppError|AppImportError|is not callable\.? *$|Application object must be callable"
        r"|is expected to contain a function named '?(?P<eleventh>\w+)|MissingTargetException|MissingSourceException|that is expected to define function doesn't exist|unable to load app \d+ \(mountpoint|no python application found, check your startup logs|Unable to load celery application|Invalid value: File does not exist: (?P<twelfth>\S+)|Could not find a (?:FastAPI|default file)|Error: Missing argument '(?:APP|FILE)'|No such option:? '?-|No such command '(?P<thirteenth>[^']+)'|Unknown command: '[^']+'|Procfile does not exist|invalid choice: '[^']*' \(choose from|Got unexpected extra argument",
        "the server cannot find the application that its command names: {name}", "correct the module and attribute in CMD, such as gunicorn main:app, and WORKDIR",
    ),
    KnownMessage(
        "folder-as-a-program", CauseId.START_COMMAND, "",
        r"can't find '__main__' module in '(?P<name>[^']+)'|No module named (?P<other>[\w.]+)\.__main__; '?[\w.]+'? is a package|can't open file '(?P<third>[^']+)': \[Errno (?:13|21)\]",
        "{name} is a folder or cannot be read, and no program", _COMPARE,
    ),
    KnownMessage(
        "no-entrypoint", CauseId.START_COMMAND, "ntrypoint",
        r"an entrypoint must be manually set|missing-entrypoint|[Pp]rovide a main\.py|no (?:entrypoint|start command)|Error response from daemon: No command specified|failed to find (?:an )?entrypoint|entrypoint not found|[Cc]ouldn't determine entrypoint",
        "the buildpack finds no command that starts the program", "echo 'web: gunicorn -b :$PORT main:app' > Procfile",
    ),
    KnownMessage(
        "unknown-flag-of-a-server", CauseId.START_COMMAND, "error: ",
        r"^(?:\S+ )?(?P<name>[\w.-]+)(?: \S+)?: error: (?:unrecognized arguments: |argument \S+: |the following arguments are required: )",
        "{name} does not accept the arguments of its command", "correct CMD: {name} --help lists the arguments of the version in the image",
    ),
    KnownMessage(
        "no-default-process", CauseId.START_COMMAND, "determine start command", r"determine start command: ",
        "the image of the buildpack has no process that it starts by itself", "echo 'web: gunicorn -b :$PORT main:app' > Procfile, and build again",
    ),
    KnownMessage(
        "no-command", CauseId.START_COMMAND, "o command specified", r"[Nn]o command specified", "the image has no command", "CMD in the Dockerfile",
    ),
    KnownMessage(
        "no-module-to-run", CauseId.START_COMMAND, "Error while finding module specification", r"Error while finding module specification for '(?P<name>[^']+)'",
        "the module {name} does not exist where python -m looks for it", _COMPARE,
    ),
    KnownMessage(
        "no-module-for-python", CauseId.START_COMMAND, "No module named", r"^\S*python[\d.]*(?:\.exe)?: No module named '?(?P<name>[\w.]+)'?", "python -m does not find the module {name}", _INSTALL,
    ),
    # ---- not importable
    KnownMessage(
        "no-optional-package", CauseId.NOT_IMPORTABLE, "install",
        r"requires [\"'`](?P<name>[\w.-]+)[\"'`] to be installed|[Pp]lease install [\"'`](?P<other>[\w.-]+\[[\w,-]+\])|Missing optional dependency '(?P<third>[\w.-]+)'|is not installed, run `pip install (?P<fourth>[^`\s]+)`",
        "the image has no package {name}", "add {name} to the requirements that the Dockerfile installs",
    ),
    KnownMessage(
        "moved-in-pydantic", CauseId.NOT_IMPORTABLE, "PydanticImportError", r"PydanticImportError: `(?P<name>[\w.:]+)` has been (?:moved|removed)",
        "the installed pydantic has no {name} any more", "pydantic<2 in the requirements, or change the import as the message says",
    ),
    KnownMessage(
        "no-standard-library", CauseId.PLATFORM, "encodings", r"No module named '?encodings'?",
        "Python does not find its own standard library", "unset PYTHONHOME, and copy a whole Python: a virtual environment needs the one that made it, at the same path",
    ),
    KnownMessage(
        "no-module", CauseId.NOT_IMPORTABLE, "No module named", r"(?:ModuleNotFoundError: |ImportError: |^\S*python\S*: |: |\b)No module named (?:[\"'](?P<name>[\w.]+)[\"']|(?P<other>[\w.]+);?(?:\s|$))",
        "the image has no module {name}", "add {name} to the requirements that the Dockerfile installs",
    ),
    KnownMessage(
        "no-such-name", CauseId.NOT_IMPORTABLE, "cannot import name", r"ImportError: cannot import name '(?P<name>[^']+)' from (?:partially initialized module )?'(?P<module>[^']+)'",
        "{module} has no {name}: another version of it is installed than the code needs, or two modules import each other", "pin {module} to the version that the code was tested with",
    ),
    KnownMessage(
        "no-such-name-before-37", CauseId.NOT_IMPORTABLE, "cannot import name", r"ImportError: cannot import name '?(?P<name>\w+)'?",
        "a module has no {name}: another version is installed than the code needs, or two modules import each other", "pin the module to the version that the code was tested with",
    ),
    KnownMessage(
        "no-shared-library-for-ctypes", CauseId.NOT_IMPORTABLE, "cannot open shared object file", r"OSError: (?P<name>[\w.+-]+): cannot open shared object file|OSError: (?:no library called|cannot load library) \"?'?(?P<other>[\w.+-]+)",
        "the image has no {name}", "install the Debian package that has {name} in the final stage",
    ),
    KnownMessage(
        "relative-import", CauseId.NOT_IMPORTABLE, "relative import", r"attempted relative import (?:with no known parent package|beyond top-level package)",
        "a module of a package was started as a file, so its relative imports fail", "python -m PACKAGE.MODULE in CMD",
    ),
    # ---- the port
    KnownMessage(
        "port-in-use", CauseId.PORT, "", r"\[Errno (?:98|48)\]|Error R10 \(Boot timeout\)|failed to bind to \$PORT|bind\(\) to \S+ failed|error while attempting to bind(?![^\n]*(?i:permission denied))|[Aa]ddress already in use|Connection in use: |port is already allocated|EADDRINUSE", "the port is already in use", "start one server only, on the port in $PORT",
    ),
    KnownMessage(
        "port-not-opened", CauseId.PORT, "", r"Can't connect to \('[^']*', (?P<name>\d+)\)|error while attempting to bind on address \('[^']*', (?P<other>\d+)[^)]*\): (?i:permission denied)", "the server cannot listen on port {name}: it is in use, or below 1024 and the user is not root", "listen on the port in $PORT, above 1023", 1,
    ),
    KnownMessage(
        "no-valid-port", CauseId.PORT, "", r"(?:'?\$\{?PORT\}?'?|'') is not a valid (?:port|integer|int)|Invalid value for '--port'", "the command has no valid port: a CMD without a shell does not expand $PORT", "CMD exec gunicorn --bind :$PORT main:app",
    ),
    # ---- tests and linters of a build
    KnownMessage(
        "test-failed", CauseId.APPLICATION_ERROR, "", r"^FAILED (?P<name>[\w./-]+\.py(?:::\S+)?)|^FAIL: (?P<other>\w+ \([\w.]+\))",
        "a test failed, and with it the step that ran it: {name}", "run that test at the commit that was built, and correct the code or the test", 1,
    ),
    KnownMessage(
        "checked-sources-refused", CauseId.APPLICATION_ERROR, "", r"^FAIL (?P<name>Required test coverage of \S+ not reached)|Coverage failure: (?P<other>total of \S+ is less than fail-under=\S+)|^Found \d+ errors?(?: in \d+ files? \(checked|\.$)",
        "a check of the sources failed, and with it the step that ran it: {name}", "correct what it names above", 1,
    ),
    # ---- reports that something failed, and not why
    KnownMessage("not-listening", "", "listen on the port", r"[Ff]ailed to start and (?:then )?listen on the port", "the container did not start"),
    KnownMessage("probe-failed", "", "", r"(?:Readiness|Liveness|Startup) probe failed|(?:STARTUP|LIVENESS|READINESS) (?:TCP|HTTP|GRPC) probe failed|failed the configured startup probe checks|CrashLoopBackOff|Back-off restarting failed container", "the container did not become ready"),
    KnownMessage("worker-failed", "", "Worker failed to boot", r"Worker failed to boot", "a worker did not start"),
    KnownMessage("not-executable-exit", CauseId.START_COMMAND, "", r"(?i:exit(?:ed)?(?: status| code| with code| with status)?|code)[:= (]*(?P<name>126|127)\b", "the command was not found or not executable (exit {name})", _COMPARE, 1),
    KnownMessage("called-exit", "", "Container called exit", r"Container called exit\((?P<name>\d+)\)", "the container ended"),
    KnownMessage("step-failed", "", "step exited with non-zero status", r"build step \d+ .*failed: step exited with non-zero status", "a build step failed"),
)
