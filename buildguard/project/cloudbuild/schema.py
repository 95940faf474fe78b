"""What a build file may hold: Cloud Build's fields and their types, enumerations, limits and built-in names, as data.

From the messages of google-cloud-build and of gcloud (the tests compare them with both), and from the limits
that Google publishes. Names are those of JSON; a build file may write them in snake_case as well.
"""

from __future__ import annotations

from buildguard.definitions import NamedTuple

# A type is string, bool, int, bytes (base64), duration, any (only answers hold it), the name of a message or, after
# `enum`, of an enumeration; [T] is a list of T and {T} a mapping from strings to T.
MESSAGES: dict[str, dict[str, str]] = {
    "Build": {
        "approval": "any",
        "artifacts": "Artifacts",
        "availableSecrets": "Secrets",
        "buildTriggerId": "any",
        "createTime": "any",
        "dependencies": "[Dependency]",
        "failureInfo": "any",
        "finishTime": "any",
        "gitConfig": "GitConfig",
        "id": "any",
        "images": "[string]",
        "logUrl": "any",
        "logsBucket": "string",
        "name": "any",
        "options": "BuildOptions",
        "projectId": "any",
        "queueTtl": "duration",
        "results": "any",
        "secrets": "[Secret]",
        "serviceAccount": "string",
        "source": "any",
        "sourceProvenance": "any",
        "startTime": "any",
        "status": "any",
        "statusDetail": "any",
        "steps": "[BuildStep]",
        "substitutions": "{string}",
        "tags": "[string]",
        "timeout": "duration",
        "timing": "any",
        "warnings": "any",
    },
    "BuildStep": {
        "allowExitCodes": "[int]",
        "allowFailure": "bool",
        "args": "[string]",
        "automapSubstitutions": "bool",
        "dir": "string",
        "entrypoint": "string",
        "env": "[string]",
        "exitCode": "any",
        "id": "string",
        "name": "string",
        "pullTiming": "any",
        "script": "string",
        "secretEnv": "[string]",
        "status": "any",
        "timeout": "duration",
        "timing": "any",
        "volumes": "[Volume]",
        "waitFor": "[string]",
    },
    "Volume": {"name": "string", "path": "string"},
    "Artifacts": {
        "goModules": "[GoModule]",
        "images": "[string]",
        "mavenArtifacts": "[MavenArtifact]",
        "npmPackages": "[NpmPackage]",
        "objects": "ArtifactObjects",
        "pythonPackages": "[PythonPackage]",
    },
    "ArtifactObjects": {"location": "string", "paths": "[string]", "timing": "any"},
    "GoModule": {
        "modulePath": "string",
        "moduleVersion": "string",
        "repositoryLocation": "string",
        "repositoryName": "string",
        "repositoryProjectId": "string",
        "sourcePath": "string",
    },
    "MavenArtifact": {
        "artifactId": "string",
        "deployFolder": "string",
        "groupId": "string",
        "path": "string",
        "repository": "string",
        "version": "string",
    },
    "NpmPackage": {"packagePath": "string", "repository": "string"},
    "PythonPackage": {"paths": "[string]", "repository": "string"},
    "BuildOptions": {
        "anthosCluster": "any",
        "automapSubstitutions": "bool",
        "cluster": "any",
        "defaultLogsBucketBehavior": "enum DefaultLogsBucketBehavior",
        "diskSizeGb": "int",
        "dockerDaemon": "any",
        "dynamicSubstitutions": "bool",
        "enableStructuredLogging": "bool",
        "env": "[string]",
        "logStreamingOption": "enum LogStreamingOption",
        "logging": "enum LoggingMode",
        "machineType": "enum MachineType",
        "pool": "any",
        "pubsubTopic": "string",
        "requestedVerifyOption": "enum VerifyOption",
        "resolvedWorkerRelease": "any",
        "secretEnv": "[string]",
        "sourceProvenanceHash": "[enum HashType]",
        "substitutionOption": "enum SubstitutionOption",
        "volumes": "[Volume]",
        "workerPool": "string",
        "workerRelease": "string",
    },
    "Secret": {"kmsKeyName": "string", "secretEnv": "{bytes}"},
    "Secrets": {"inline": "[InlineSecret]", "secretManager": "[SecretManagerSecret]"},
    "InlineSecret": {"envMap": "{bytes}", "kmsKeyName": "string"},
    "SecretManagerSecret": {"env": "string", "versionName": "string"},
    "Dependency": {"empty": "bool", "gitSource": "GitSourceDependency"},
    "GitSourceDependency": {
        "depth": "int",
        "destPath": "string",
        "fetchTags": "bool",
        "recurseSubmodules": "bool",
        "repository": "GitSourceRepository",
        "revision": "string",
    },
    "GitSourceRepository": {"developerConnect": "string", "url": "string"},
    "GitConfig": {"http": "HttpConfig"},
    "HttpConfig": {"proxySecretVersionName": "string", "proxySslCaInfo": "any"},
}
ENUMS: dict[str, tuple[str, ...]] = {
    "DefaultLogsBucketBehavior": (
        "DEFAULT_LOGS_BUCKET_BEHAVIOR_UNSPECIFIED",
        "REGIONAL_USER_OWNED_BUCKET",
        "LEGACY_BUCKET",
    ),
    "HashType": ("NONE", "SHA256", "MD5", "GO_MODULE_H1", "SHA512"),
    "LogStreamingOption": ("STREAM_DEFAULT", "STREAM_ON", "STREAM_OFF"),
    "LoggingMode": ("LOGGING_UNSPECIFIED", "LEGACY", "GCS_ONLY", "STACKDRIVER_ONLY", "NONE", "CLOUD_LOGGING_ONLY"),
    "MachineType": (
        "UNSPECIFIED",
        "N1_HIGHCPU_8",
        "N1_HIGHCPU_32",
        "E2_HIGHCPU_8",
        "E2_HIGHCPU_32",
        "E2_MEDIUM",
        "E2_STANDARD_2",
    ),
    "SubstitutionOption": ("MUST_MATCH", "ALLOW_LOOSE"),
    "VerifyOption": ("NOT_VERIFIED", "VERIFIED", "BEST_EFFORT"),
}


class CountLimit(NamedTuple):
    """How many there may be: as Google's own validator has it, and as its pages have said since."""

    first: int
    newest: int


STEPS = CountLimit(100, 300)
ARGS, ARG = CountLimit(100, 100), CountLimit(4000, 10_000)
ENVS, ENV = CountLimit(100, 100), CountLimit(1000, 65_536)
IMAGES, TAGS = CountLimit(100, 100), CountLimit(64, 64)
SUBSTITUTIONS, KEY, VALUE = CountLimit(100, 200), CountLimit(100, 100), CountLimit(4000, 4000)
IMAGE, STEP_FIELD, PATHS = CountLimit(1000, 1000), CountLimit(1000, 1000), CountLimit(100, 100)
SECRETS, SECRET = CountLimit(100, 100), CountLimit(65_536, 65_536)
LONGEST_BUILD = 24 * 3600  # seconds

RESERVED_PATHS = ("/workspace", "/builder/home", "/builder/outputs", "/var/run/docker.sock")
# What Cloud Build, its triggers and pull requests define themselves.
BUILT_IN = frozenset(
    {
        "BRANCH_NAME",
        "BUILD_ID",
        "COMMIT_SHA",
        "LOCATION",
        "PROJECT_ID",
        "PROJECT_NUMBER",
        "REF_NAME",
        "REPO_FULL_NAME",
        "REPO_NAME",
        "REVISION_ID",
        "SERVICE_ACCOUNT",
        "SERVICE_ACCOUNT_EMAIL",
        "SHORT_SHA",
        "TAG_NAME",
        "TRIGGER_BUILD_CONFIG_PATH",
        "TRIGGER_ID",
        "TRIGGER_NAME",
        "_BASE_BRANCH",
        "_HEAD_BRANCH",
        "_HEAD_REPO_URL",
        "_PR_NUMBER",
    }
)
# Built-in names that a trigger's build file may set itself; gcloud refuses them there.
OVERRIDABLE = frozenset({"BRANCH_NAME", "COMMIT_SHA", "REPO_NAME", "REVISION_ID", "SHORT_SHA", "TAG_NAME"})
