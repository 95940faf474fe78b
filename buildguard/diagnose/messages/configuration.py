"""Messages of settings: variables that are not set, values that are wrong, and names of what does not exist."""

from __future__ import annotations

from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.messages.message import KnownMessage

_NAME = r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+"
_SET = "gcloud run services update SERVICE --update-env-vars {name}=VALUE"

# fmt: off
MESSAGES: tuple[KnownMessage, ...] = (
    KnownMessage(
        "variable-of-pydantic", CauseId.MISSING_VARIABLE, "ValidationError",
        r"pydantic_core\._pydantic_core\.ValidationError: (?P<count>\d+) validation errors? for (?P<name>\w*(?:[Ss]ettings|[Cc]onfig)\w*)",
        "{name} misses {count} of its values", "set the variables that the lines below it name: gcloud run services update SERVICE --update-env-vars NAME=VALUE",
    ),
    KnownMessage(
        "variable-of-environs", CauseId.MISSING_VARIABLE, "nvironment variable",
        r"(?:EnvError|EnvValidationError): Environment variable \"(?P<name>\w+)\" not set", "the environment variable {name} is not set", _SET,
    ),
    KnownMessage(
        "variables-of-environs", CauseId.MISSING_VARIABLE, "nvironment variables invalid",
        r"Environment variables invalid: \{[^\n]*not set", "environment variables are not set", _SET,
    ),
    KnownMessage(
        "variable-of-dynaconf", CauseId.MISSING_VARIABLE, "is required in env",
        r"ValidationError: (?P<name>\w+) is required in env", "the setting {name} is not set", _SET,
    ),
    KnownMessage(
        "invalid-variable-of-environs", CauseId.CONFIGURATION, "nvironment variable",
        r"(?:EnvError|EnvValidationError): Environment variable \"(?P<name>\w+)\" invalid|Environment variables invalid: \{['\"](?P<other>\w+)", "the environment variable {name} has an invalid value", _SET,
    ),
    KnownMessage(
        "variable-of-decouple", CauseId.MISSING_VARIABLE, "not found. Declare it as envvar",
        r"UndefinedValueError: (?P<name>\w+) not found\. Declare it as envvar", "the environment variable {name} is not set", _SET,
    ),
    KnownMessage(
        "variable-of-click", CauseId.MISSING_VARIABLE, "env var", r"Missing (?:option|argument|parameter)[^\n]*\(?env var: '?(?P<name>\w+)'?", "the environment variable {name} is not set", _SET,
    ),
    KnownMessage(
        "variable-of-django", CauseId.MISSING_VARIABLE, "",
        r"'(?P<name>DJANGO_SETTINGS_MODULE)' environment variable must be set|You must either define the environment variable (?P<other>DJANGO_SETTINGS_MODULE)"
        r"|ImproperlyConfigured: The (?P<third>SECRET_KEY) setting must not be empty",
        "the environment variable {name} is not set", _SET,
    ),
    KnownMessage(
        "variable-in-words", CauseId.MISSING_VARIABLE, "",
        rf"(?i:(?:missing|required|undefined|unset|set the|no) (?:required |mandatory )?(?:environment|env) ?var(?:iable)?s?(?: not set)?):? ?\(?\[?['\"`]?(?P<name>{_NAME}|[A-Z]{{3,}})\b"
        rf"|(?:[Ss]et the|(?i:environment variable|env var))s? ['\"`]?(?P<other>{_NAME}|[A-Z]{{3,}})['\"`]? (?:environment variable|(?:is |was |are )?(?:not set|not defined|not found|missing|required|undefined|unset|must be))"
        rf"|(?<![\w/.-])['\"`]?(?P<third>{_NAME})['\"`]? (?:(?:environment|env) var(?:iable)?s? )?(?:is |was |has )?(?:not set\b|not been set|not defined|must be set|is required|required but|missing\b|unset\b|undefined\b|not found in (?:the )?environment)"
        rf"|must be set[^\n]{{0,80}} by setting the (?P<eighth>{_NAME}) environment variable"
        rf"|: (?P<fourth>{_NAME}|[A-Z]{{3,}}): (?:unbound variable|parameter (?:null or )?not set)"
        rf"|\.sh: (?:line )?\d+: (?P<seventh>{_NAME}): (?![^\n]*(?:not found|denied|No such))"
        rf"|(?i:missing) (?:required )?(?i:env(?:ironment)?)[^\n]{{0,30}}?\b(?P<fifth>{_NAME})\b"
        rf"|(?:Please|You must|must) (?:set|define|provide|specify|export) (?:the )?(?:value (?:of|for) )?['\"`$]?(?P<sixth>{_NAME})\b",
        "the environment variable {name} is not set", _SET,
    ),
    KnownMessage(
        "no-database-url", CauseId.MISSING_VARIABLE, "Expected string or URL object",
        r"ArgumentError: Expected string or URL object, got None", "the database URL is not set", "gcloud run services update SERVICE --update-env-vars DATABASE_URL=VALUE",
    ),
    # ---- a value that is set, and wrong
    KnownMessage(
        "value-refused", CauseId.CONFIGURATION, "",
        r"SettingsError: error (?:parsing|getting) value for field \"(?P<name>\w+)\"|dynaconf\.validator\.ValidationError|NoSuchModuleError: Can't load plugin: (?P<other>\S+)|You must set settings\.(?P<third>\w+)"
        r"|ImportFromStringError|InvalidSettings?Error|ConfigurationError: (?P<fourth>\S+)|MultipleInvalid|decouple\.\w+Error|ValueError: Not a boolean: (?P<fifth>\S+)",
        "the setting {name} is set, and wrong", "correct it: gcloud run services update SERVICE --update-env-vars {name}=VALUE",
    ),
    KnownMessage(
        "settings-of-a-tool", CauseId.CONFIGURATION, "",
        r"FAILED: No '(?P<name>\w+)' key found|FAILED: Can't locate revision|(?:FAILED: |\[alembic\.util\.messaging\] )(?P<twelfth>Target database is not up to date|New upgrade operations detected)|Can't locate revision identified by '(?P<other>\w+)'|Error: (?:Invalid user name|could not find config file|The [\w.]+ section)[^\n]*|Error: .* in section '(?P<third>[^']+)'|error validating \"(?P<fourth>[^\"]+)\"|no matches for kind \"(?P<fifth>\w+)\"|unable to (?:recognize|decode) \"(?P<sixth>[^\"]+)\"|unknown field \"(?P<seventh>[\w.]+)\""
        r"|env file (?P<eighth>\S+) not found|Couldn't find env file: (?P<ninth>\S+)|Error: (?:No configuration files|Unsupported argument|Missing required argument|Reference to undeclared|Invalid (?:reference|provider|count|for_each))|invalid argument \"(?P<tenth>[^\"]+)\" for|invalid tag|nginx: \[emerg\] (?!bind)|chown: invalid (?:user|group): \W?(?P<eleventh>[\w.:-]+)",
        "the configuration of a tool is not valid: {name}", "correct the file or the option that the message names",
    ),
    KnownMessage(
        "several-heads", CauseId.CONFIGURATION, "", r"Multiple head revisions are present|Conflicting migrations detected; multiple leaf nodes",
        "two branches each brought a migration, and which comes first is undecided", "alembic merge heads, or python manage.py makemigrations --merge, and commit the new migration",
    ),
    KnownMessage(
        "extra-variable", CauseId.CONFIGURATION, "xtra",
        r"Extra inputs are not permitted \[type=extra_forbidden|extra fields not permitted \(type=value_error\.extra\)",
        "the settings have a value that their class does not accept; nothing is missing", 'remove that variable from .env or the service, or allow it: extra="ignore"',
    ),
    KnownMessage(
        "settings-refused", CauseId.CONFIGURATION, "ImproperlyConfigured", r"ImproperlyConfigured: (?P<name>.{1,120})", "the settings are not valid: {name}", "correct that setting on the service", 1,
    ),
    KnownMessage(
        "database-url", CauseId.CONFIGURATION, "URL from",
        r"Could not parse (?:rfc1738|SQLAlchemy) URL from (?:given URL )?string", "the database URL is not a valid one", "gcloud run services update SERVICE --update-env-vars DATABASE_URL=VALUE",
    ),
    KnownMessage(
        "unset-property", CauseId.CONFIGURATION, "",
        r"You must specify a (?P<name>region|project|zone|location|platform)\b|The required property \[(?P<other>[\w/]+)\] is not currently set|argument (?P<third>--?[\w-]+): (?:Must be specified|Invalid|expected)"
        r"|\(gcloud\.[^)]*\) unrecognized arguments:(?: (?P<fourth>\S+))?|Invalid choice: '(?P<seventh>[^']*)'|The \[(?P<eighth>\w+)\] resource is not properly specified|Invalid value for \[(?P<fifth>[^\]]+)\]|Error parsing \[(?P<sixth>[^\]]+)\]",
        "the command has no valid {name}", "pass it as a flag, or gcloud config set it",
    ),
    KnownMessage(
        "conflict-marker", CauseId.MERGE_CONFLICT, "<<<<<<<", r"(?:^(?:[^\n]{0,20}\b\d+ \|)? ?|Invalid requirement: '?|unknown instruction: )<{7}(?: [\w./-]+)?'?$",
        "a conflict of a merge was committed", "git diff --check, and resolve it",
    ),
    KnownMessage(
        "needs-buildkit", CauseId.CONFIGURATION, "requires BuildKit", r"the (?P<name>--[\w-]+) option requires BuildKit",
        "{name} in the Dockerfile needs BuildKit, and this build has the old builder", "env: [DOCKER_BUILDKIT=1] for that step of cloudbuild.yaml",
    ),
    KnownMessage(
        "invalid-dockerfile", CauseId.CONFIGURATION, "",
        r"[Dd]ockerfile parse error(?:[^\n]{0,80}unknown instruction: (?P<sixth>\S+))?|unknown instruction: (?P<name>\S+)|Cannot locate specified Dockerfile|failed to read dockerfile: open (?P<other>\S+): no such file|unable to evaluate symlinks in Dockerfile path(?:: lstat (?P<seventh>[^\s:]+))?|target stage \"?(?P<third>[^\s\"]+)\"? could not be found|invalid from flag value (?P<fourth>[^\s:]+): |with more than one source file, the destination must be|base name \((?P<fifth>[^)]+)\) should not be blank",
        "the Dockerfile is not valid, or not where the build looks for it: {name}", "correct the line that the message names: docker build --check . lists more",
    ),
    KnownMessage(
        "no-such-runtime", CauseId.CONFIGURATION, "",
        r"Failed to download Python version (?P<name>[\d.]+)|invalid Python version specified: failed to resolve version matching: (?P<other>\S+)|Runtime version (?P<third>\S+) for \w+ does not exist",
        "the buildpack has no Python {name}", "GOOGLE_PYTHON_VERSION or .python-version with a version that it has: https://cloud.google.com/docs/buildpacks/python",
    ),
    KnownMessage(
        "no-billing", CauseId.CONFIGURATION, "illing", r"Billing account for project '(?P<name>[^']+)' is not found|Billing must be enabled|billing account [^\n]{0,80}(?:disabled|not open)|requires billing to be enabled",
        "the project has no active billing account", "gcloud billing projects link PROJECT --billing-account=ACCOUNT",
    ),
    KnownMessage(
        "unmatched-substitution", CauseId.CONFIGURATION, "key ", r"key \"(?P<name>\w+)\" in the substitution data is not matched|key in the template \"(?P<other>\w+)\" is not",
        "the substitution {name} is passed and not used, or used and not passed", "declare {name} under substitutions: in cloudbuild.yaml, or options: {substitutionOption: ALLOW_LOOSE}",
    ),
    KnownMessage(
        "invalid-build", CauseId.CONFIGURATION, "",
        r"(?:invalid build|INVALID_ARGUMENT)(?![^\n]*does not have access)[^\n]*(?:substitution|step|build|timeout|image|field|config)|unable to unmarshal|cannot unmarshal string|failed to parse (?:build )?config"
        r"|if 'build\.service_account' is specified|[Rr]equested runtime[^\n]*(?:not (?:available|supported)|does not exist)|unable to prepare context",
        "the build's configuration is not valid", "gcloud builds submit --config cloudbuild.yaml, after correcting the line that the message names",
    ),
    KnownMessage(
        "no-such-repository", CauseId.CONFIGURATION, "", r"name unknown: Repository \"(?P<name>[^\"]+)\" not found|(?<![\w.])(?P<other>[\w.]*gcr\.io) repo does not exist\. Creating on push",
        "Artifact Registry has no repository {name} there", "gcloud artifacts repositories create {name} --repository-format=docker --location=REGION",
    ),
    KnownMessage(
        "no-such-image", CauseId.CONFIGURATION, "",
        r"[Ff]ailed to pull (?:and unpack )?image \"(?P<name>[^\"]+)\"|manifest for (?P<other>\S+) not found|manifest unknown|Unable to find image '(?P<third>[^']+)' locally$|Image '(?P<fourth>[^']+)' not found"
        r"|InvalidImageName|couldn't parse image reference|invalid reference format|failed to resolve (?:source metadata|reference)[^\n]*not found|failed to solve: (?P<seventh>[^\s\"]+): [a-z0-9][\w.-]*(?::\d+)?/\S+: not found|pull access denied for (?P<fifth>[^ ,]+)|repository (?P<sixth>\S+) not found|name unknown: Repository",
        "the image does not exist, or its name or tag is wrong: {name}", "gcloud artifacts docker images list, and deploy one that it names",
    ),
    KnownMessage(
        "image-not-pulled", CauseId.CONFIGURATION, "Image", r"\b(?:ErrImagePull|ImagePullBackOff|ErrImageNeverPull)\b", "the image cannot be pulled", "gcloud artifacts docker images list, and deploy one that it names", 1,
    ),
    KnownMessage(
        "api-disabled", CauseId.CONFIGURATION, "",
        r"(?P<name>\b[A-Z]\w{0,30}(?: \w{1,30}){0,6}) has not been used in project \S+ before or it is disabled(?:[^\n]*?apis/(?:api|library)/(?P<service>[\w.-]+\.googleapis\.com))?|SERVICE_DISABLED", "an API is not enabled in this project: {name}", "gcloud services enable {service}",
    ),
    KnownMessage(
        "api-not-enabled", CauseId.CONFIGURATION, "not enabled", r"API \[(?P<name>[\w.-]+)\] not enabled", "an API is not enabled in this project: {name}", "gcloud services enable {name}",
    ),
    KnownMessage(
        "no-such-secret", CauseId.CONFIGURATION, "",
        r"[Ss]ecret (?:\[|\")?(?P<name>[\w./-]+)(?:\]|\")? (?:was |is )?not found|configmap \"(?P<other>[^\"]+)\" not found|CreateContainerConfigError|couldn't find key (?P<third>\S+) in|Secret Version \[(?P<fifth>[^\]]+)\] (?:not found|is in (?:DISABLED|DESTROYED) state)|Could not open file at path (?P<fourth>\S+?)\. The path is in a mounted secrets volume",
        "a secret or configuration that the service names does not exist, or is disabled: {name}", "gcloud secrets list, and name one of them: gcloud run services update SERVICE --update-secrets NAME=SECRET:latest",
    ),
    KnownMessage(
        "no-vpc-connector", CauseId.CONFIGURATION, "VPC ", r"VPC (?:Access )?[Cc]onnector (?P<name>\S+)(?: \S+)? (?:does not exist|is not ready|is not in (?:a )?READY|was not found)",
        "the VPC connector {name} does not exist in this region, or is not ready", "gcloud compute networks vpc-access connectors describe CONNECTOR --region=REGION, and name one that is READY",
    ),
    KnownMessage(
        "no-such-resource", CauseId.CONFIGURATION, "exceptions.NotFound", r"google\.api_core\.exceptions\.NotFound: 404 (?P<name>[^\n]{1,120})",
        "a resource of Google Cloud that the program names does not exist: {name}", "create it, or correct its name, project and location in the settings of the service", 1,
    ),
    KnownMessage(
        "celery-as-root", CauseId.CONFIGURATION, "superuser privileges", r"Running a worker with superuser privileges when the",
        "celery refuses to run as root where it accepts pickle", "USER in the Dockerfile, or accept_content = ['json'] in celery's settings",
    ),
    KnownMessage(
        "disallowed-host", CauseId.CONFIGURATION, "Invalid HTTP_HOST header", r"Invalid HTTP_HOST header: '(?P<name>[^']*)'", "Django refuses the host {name}", "add {name} to ALLOWED_HOSTS",
    ),
    KnownMessage(
        "invalid-yaml", CauseId.CONFIGURATION, "",
        r"yaml: (?:line \d+|unmarshal errors|mapping values)|yaml\.(?:scanner|parser)\.\w+Error|[Tt]he Compose file '(?P<name>[^']+)' is invalid|services\.\S+ (?:must be|Additional property)|no configuration file provided: not found|error parsing .*YAML",
        "a YAML file is not valid", "correct the line that the message names",
    ),
    KnownMessage(
        "no-credentials-file", CauseId.CONFIGURATION, "DefaultCredentialsError: File", r"DefaultCredentialsError: File (?P<name>\S+) was not found",
        "GOOGLE_APPLICATION_CREDENTIALS names {name}, which is not in the container", "gcloud run services update SERVICE --remove-env-vars GOOGLE_APPLICATION_CREDENTIALS: the service's own account needs no key file",
    ),
    KnownMessage(
        "invalid-pyproject", CauseId.CONFIGURATION, "", r"configuration error: `(?P<name>[\w.-]+)` must|invalid pyproject\.toml config: `(?P<other>[\w.-]+)`",
        "pyproject.toml is not valid: {name}", "correct that field: https://packaging.python.org/specifications/pyproject-toml/",
    ),
    KnownMessage(
        "invalid-toml", CauseId.CONFIGURATION, "", r"TOML parse error at (?P<name>line \d+, column \d+)|TOMLDecodeError: (?P<other>[^\n]{1,120})|Invalid TOML file[^\n]{0,80}",
        "a TOML file is not valid: {name}", "correct that line: python -m tomllib < pyproject.toml names it",
    ),
    KnownMessage(
        "no-secret-for-the-build", CauseId.CONFIGURATION, "secret ", r"(?:failed to solve|ERROR): secret (?P<name>[\w.-]+): not found",
        "the Dockerfile mounts the secret {name}, and the build was given none of that name", "docker build --secret id={name},src=FILE",
    ),
    KnownMessage(
        "no-sql-instance", CauseId.CONFIGURATION, "", r"The Cloud SQL instance does not exist|instanceDoesNotExist",
        "the Cloud SQL instance that the service names does not exist", "gcloud sql instances list, and gcloud run services update SERVICE --set-cloudsql-instances PROJECT:REGION:INSTANCE",
    ),
    KnownMessage(
        "refused-by-gcloud", CauseId.CONFIGURATION, "(gcloud.",
        r"ERROR: \(gcloud\.[\w.-]+\) (?P<name>(?:NOT_FOUND|INVALID_ARGUMENT|ALREADY_EXISTS|Unable to read file|interpreting|Missing required|Could not (?:find|read)|Cannot find|[^\n]*(?:reserved env names|does not exist)|Invalid |(?:spec|metadata)\.(?![^\n]*(?:[Pp]ermission|denied|[Qq]uota|Max instances|maxScale))|ResponseError: status=\[400\](?![^\n]*[Pp]ermission))[^\n]{0,160})",
        "gcloud refuses what it was called with: {name}", "correct what the message names, and run it again",
    ),
)
