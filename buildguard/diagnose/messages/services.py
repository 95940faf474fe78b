"""Messages of permissions, of other services, of Google's own trouble, and of tools that fail themselves."""

from __future__ import annotations

from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.messages.message import KnownMessage

_GRANT = "gcloud projects add-iam-policy-binding PROJECT --member=MEMBER --role=ROLE"
_AGAIN = "try again in a few minutes"

# fmt: off
MESSAGES: tuple[KnownMessage, ...] = (
    KnownMessage(
        "pull-rate-limit", CauseId.SERVICE_TROUBLE, "pull rate limit", r"pull rate limit",
        "Docker Hub has served too many pulls to this address", "FROM mirror.gcr.io/library/python:3.X-slim, or docker login before the build",
    ),
    KnownMessage(
        "quota-of-cloud-run", CauseId.SERVICE_TROUBLE, "", r"Quota violated:|Max instances must be set to \d+ or fewer|maxScale may not exceed",
        "the service asks for more CPU or memory than the project's quota in this region allows",
        "gcloud run deploy with a lower --max-instances, --cpu or --memory, or ask for more: https://cloud.google.com/run/quotas",
    ),
    KnownMessage(
        "quota", CauseId.SERVICE_TROUBLE, "",
        r"RESOURCE_EXHAUSTED|ResourceExhausted: 429|toomanyrequests: |pull rate limit|[Rr]ate limit exceeded|[Qq]uota exceeded for (?:quota metric|metric)|due to quota restrictions|QUOTA_EXCEEDED|[Qq]uota '[^']+' exceeded",
        "a quota is used up", "another region, or ask for more on the quotas page of the project",
    ),
    KnownMessage(
        "organization-policy", CauseId.PERMISSION, "",
        r"Constraint (?P<name>constraints/[\w.]+) violated|do not belong to a permitted customer|denied by (?P<other>Binary Authorization)",
        "a policy of the organization forbids it: {name}", "gcloud resource-manager org-policies list --project PROJECT shows them; its administrator can allow it",
    ),
    KnownMessage(
        "no-workload-identity", CauseId.PERMISSION, "google-github-actions/auth", r"google-github-actions/auth failed with",
        "GitHub's job could not log in to Google Cloud", "permissions: {id-token: write} in the workflow, and an attribute condition of the provider that accepts this repository",
    ),
    KnownMessage(
        "service-agent-denied", CauseId.PERMISSION, "",
        r"(?<![\w.+-])(?P<principal>[\w.+-]+@[\w.-]+\w) must have permission to (?P<name>read the image)|[Pp]ermission denied while using the (?P<other>[\w ]{1,40}?) Service Agent|service account requires the [^\n(]{1,60}\((?P<third>roles/[\w.]+)\)|Service Agent \([^)\n]*\) needs (?P<fourth>\w+) role",
        "a service agent of Google lacks a role: {name}", _GRANT,
    ),
    KnownMessage(
        "cloud-sql-denied", CauseId.PERMISSION, "", r"failed to get instance: [^\n]*\(connection name = \"(?P<instance>[^\"]+)\"\): [^\n]*Error 403|ClientResponseError: 403[^\n]*sqladmin\.googleapis\.com|(?:createEphemeral for|during get instance) (?P<other>\S+): [^\n]*Error 403: The client is not authorized",
        "the service's account may not connect to Cloud SQL", "gcloud projects add-iam-policy-binding PROJECT --member=serviceAccount:ACCOUNT --role=roles/cloudsql.client",
    ),
    KnownMessage(
        "not-an-invoker", CauseId.PERMISSION, "", r"The request was not authenticated\.|client does not have permission to (?:get|access) (?:the requested )?URL",
        "the caller may not invoke the service", "gcloud run services add-iam-policy-binding SERVICE --member=MEMBER --role=roles/run.invoker, and send an identity token",
    ),
    KnownMessage(
        "index-denied", CauseId.PERMISSION, "", r"HTTP status client error \(40[13] [\w ]+\) for url \((?P<name>[^)\s]+)|40[13] Error, Credentials not correct for (?P<other>\S+)|40[13] Client Error: \w+ for url: (?P<third>\S+/simple/\S*)",
        "the package index refuses the login: {name}", "pass credentials to that step: RUN --mount=type=secret, or keyrings.google-artifactregistry-auth for Artifact Registry",
    ),
    KnownMessage(
        "no-docker-credentials", CauseId.PERMISSION, "Unauthenticated request", r"Unauthenticated requests? (?:do|does) not have permission[^\n]*?locations/(?P<name>[\w-]+)",
        "docker sent no credentials to Artifact Registry", "gcloud auth configure-docker {name}-docker.pkg.dev, for the user that runs docker (sudo is another)",
    ),
    KnownMessage(
        "secret-denied", CauseId.PERMISSION, "denied on secret", r"[Pp]ermission denied on secret:? \[?(?P<name>[\w./-]*\w)",
        "the service's account may not read the secret {name}", _GRANT,
    ),
    KnownMessage(
        "permission-of-a-principal", CauseId.PERMISSION, "",
        r"(?<![\w.+-])(?P<principal>[\w.+-]+@[\w.-]+\w) does not have (?:permission )?(?P<name>[a-z]\w*(?:\.\w+)+) access",
        "{principal} does not have {name}", _GRANT,
    ),
    KnownMessage(
        "permission-denied-on-resource", CauseId.PERMISSION, "ermission",
        r"Permission ['\"](?P<name>[\w.]+)['\"] denied (?:on|for)(?: resource| service account)?:? ?['\"(]?(?P<resource>[\w./:@-]*)|[Pp]ermission (?P<other>[a-z]\w*\.\w[\w.]*\w) (?:is )?(?:denied|required|missing)"
        r"|(?:missing|lacks?|does not have|[Rr]equired|needs?) (?:the )?(?:required )?(?:IAM )?['\"]?(?P<third>[a-z]\w*\.[a-zA-Z]\w*\.\w+)['\"]? permission|with(?:out)? the \"(?P<fourth>[\w.]+)\" permi|[Mm]issing permission (?P<sixth>[\w.]+\w)|does not have (?P<seventh>[a-z]\w*\.\w[\w.]*\w) permission|requires (?:one of \[)?\"(?P<eighth>[\w.]+)\"\]? permission|[Pp]ermission denied on (?:resource|project|service)|[Pp]ermission '(?P<fifth>iam\.[\w.]+)'",
        "the permission {name} is missing on {resource}", _GRANT,
    ),
    KnownMessage(
        "forbidden-bucket", CauseId.PERMISSION, "the bucket",
        r"forbidden from accessing the bucket \[(?P<name>[^\]]+)\]|bucket \"(?P<other>[^\"]+)\"; [^\n]*does not have access to the bucket", "the bucket {name} may not be read with these credentials",
        "gcloud storage buckets add-iam-policy-binding gs://{name} --member=MEMBER --role=roles/storage.objectViewer",
    ),
    KnownMessage(
        "not-authorized", CauseId.PERMISSION, "",
        r"PERMISSION_DENIED|PermissionDenied: 403|(?:exceptions\.)?Forbidden: 403|AccessDeniedException: 403|The caller does not have permission|does not have permission to (?:access|act as|perform)|Missing or insufficient permissions"
        r"|unauthorized: (?:You don't have|authentication|access)|denied: (?:Unauthenticated|requested access|Permission|permission)|no basic auth credentials|403 Forbidden|(?:HttpError|HTTPError)\D{0,4}403|\[403\]|DENIED: |error: 403\b|IAM_PERMISSION_DENIED"
        r"|NOT_AUTHORIZED|[Nn]ot authorized to (?:access|perform)|is forbidden: User \"(?P<principal>[^\"]+)\" cannot|must (?:be granted|grant|have) (?:the )?[^\n]{0,60}\b[Rr]ole|You must grant|only stream logs if you are Viewer/Owner|[Cc]lient does not have permission|Insufficient Permission|(?:status|StatusCode)[.: ]+(?:PERMISSION_DENIED|403)|UnauthorizedOperation|AccessDeniedException|An error occurred \((?:403|401|Forbidden|AccessDenied\w*|Unauthorized\w*|InvalidAccessKeyId|SignatureDoesNotMatch)\)|Error 403: "
        r"|(?:status|code):? 403\b|insufficient authentication scopes|User \[[^\]]*\] does not have permission|Access Denied|AccessDenied\b",
        "these credentials lack a permission", _GRANT,
    ),
    KnownMessage(
        "no-credentials", CauseId.PERMISSION, "",
        r"google\.auth\.exceptions\.\w+|NoCredentialsError|PartialCredentialsError|CredentialRetrievalError|UNAUTHENTICATED|Unauthenticated: 401|Unauthorized: 401|gcloud auth login|unable to retrieve auth token|incorrect username or password|Bad credentials|ExpiredToken|InvalidClientTokenId|The security token included in the request is|DefaultCredentialsError|[Yy]our default credentials were not found|Could not automatically determine credentials|invalid_grant|Request had invalid authentication credentials|Reauthentication (?:is needed|required)|You do not currently have an active account selected",
        "no valid credentials", "gcloud auth application-default login, or give the service account of the service",
    ),
    # ---- tools that fail themselves
    KnownMessage(
        "gcloud-crashed", CauseId.TOOL_FAILURE, "gcloud",
        r"gcloud crashed \((?P<name>\w+)\)|gcloud failed to load|This usually indicates corruption in your gcloud installation|gcloud: (?:command )?not found",
        "gcloud itself failed", "gcloud components update, or install it again; it needs a supported Python",
    ),
    KnownMessage(
        "docker-not-running", CauseId.TOOL_FAILURE, "ocker",
        r"(?:[Cc]annot|[Cc]ould ?n[o']t) connect to (?:the )?Docker daemon|error during connect:|docker: '(?P<name>\w+)' is not a docker command|docker: unknown command: docker (?P<other>\w+)|Is the docker daemon running|The connection to the server \S+ was refused|(?:docker|docker-compose|kubectl|terraform|gsutil|pack|buildx): (?:command )?not found|Got permission denied while trying to connect to the Docker daemon|docker\.errors\.DockerException|unknown shorthand flag|failed to (?:start|connect to) (?:the )?buildkit",
        "docker itself failed", "start the engine, or install the command: docker version",
    ),
    KnownMessage(
        "tool-crashed", CauseId.TOOL_FAILURE, "",
        r"^panic: runtime error|panic: |KeyError: 'ContainerConfig'|TypeError: kwargs_from_env\(\) got an unexpected keyword|Not supported URL scheme http\+docker|Error: google-github-actions/[\w-]+ failed with|Unsupported config option for services|HTTPConnection\.request\(\) got an unexpected keyword argument 'chunked'|ERROR: \(gcloud\.[\w.-]+\) (?:MaxRetryError|There was a problem refreshing)|ERROR: gcloud crashed",
        "the tool itself failed, not what it was called for", "update the tool and run it again", 1,
    ),
    # ---- another service; the package index first, which no VPC connector reaches
    KnownMessage(
        "index-given-up", CauseId.DEPENDENCY_INSTALL, "Retry(total=0", r"Retrying \(Retry\(total=0,[^\n]*?(?P<name>NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|SSLError|ProxyError)[^\n]*/simple/",
        "the package index could not be reached: {name}", "check the build's network, and behind a proxy or with an index of one's own its address and certificate",
    ),
    KnownMessage(
        "index-not-reached-by-pip", CauseId.DEPENDENCY_INSTALL, "Could not install packages", r"Could not install packages due to an (?:OSError|EnvironmentError): HTTPS?ConnectionPool\(host='(?P<name>[^']+)'",
        "the package index could not be read: {name}", "try again; behind a proxy or with an index of one's own, check its address, its certificate and the build's network",
    ),
    KnownMessage(
        "no-database", CauseId.DEPENDENCY_SERVICE, "",
        r"could not connect to (?:server|database)|couldn't connect to \"[\w.-]+:[\w-]+:[\w-]+\"|failed to dial \(connection name|(?:psycopg2?|asyncpg|pymysql(?:\.err)?|MySQLdb|django\.db\.utils|sqlalchemy\.exc|peewee|aiomysql|mysql\.connector(?:\.errors)?|pyodbc|oracledb)\.(?:errors\.|exceptions\.)?(?:OperationalError|InterfaceError|ConnectionTimeout|CannotConnectNowError|InvalidPasswordError|InvalidCatalogNameError|TooManyConnectionsError|InvalidAuthorizationSpecificationError)(?!: no such (?:table|column))(?!: \(sqlite3)|connection to server (?:at|on) [^\n]*failed|[Cc]an't connect to (?:local )?(?:MySQL|server)|could not translate host name \"(?P<name>[^\"]+)\"|server closed the connection unexpectedly|SSL connection has been closed unexpectedly|remaining connection slots are reserved|too many (?:clients|connections)"
        r"|FATAL: +(?P<other>(?:password|role|database|sorry|remaining|the database system|no pg_hba|terminating|too many|Peer|Ident|unsupported)[^\n]*)|password authentication failed for user|Access denied for user|OperationalError: \((?:1045|2002|2003|2005|2006|2013|1040)|Lost connection to MySQL|Is the server running (?:locally|on)|connections on Unix domain socket|ServerSelectionTimeoutError|pymongo\.errors\.\w+|InvalidPasswordError|CannotConnectNowError|database \"(?P<third>[^\"]+)\" does not exist|ORA-\d{5}|DPY-\d{4}|cx_Oracle\.\w*Error",
        "the database cannot be reached or refuses the login", "gcloud run services update SERVICE --add-cloudsql-instances INSTANCE, and check its host, user and password",
    ),
    KnownMessage(
        "no-table", CauseId.DEPENDENCY_SERVICE, "",
        r"(?:UndefinedTable|UndefinedColumn|ProgrammingError|OperationalError)\W[^\n]{0,200}(?:relation \"(?P<name>[^\"]+)\" does not exist|column (?P<fourth>\S+) does not exist|no such (?:table|column): (?P<other>\S+)|Table '(?P<third>[^']+)' doesn't exist)",
        "the database has no {name}: its migrations were not applied, or it is another database", "run the migrations against that database before the deploy: python manage.py migrate, or alembic upgrade head", 1,
    ),
    KnownMessage(
        "no-connection-of-a-pool", CauseId.DEPENDENCY_SERVICE, "", r"PoolTimeout: |pool initialization incomplete after|couldn't get a connection after",
        "the database gave the pool no connection in time", "gcloud run services update SERVICE --add-cloudsql-instances INSTANCE, and check its host, user and password",
    ),
    KnownMessage(
        "no-other-service", CauseId.DEPENDENCY_SERVICE, "",
        r"Error (?:111|-2|-3|61|110) connecting to (?P<name>\S+?)\.? |We couldn't connect to '(?P<fourth>[^']+)' to load|redis\.exceptions\.\w*(?:ConnectionError|TimeoutError)(?:: [^\n]{0,300}?connecting to (?P<fifth>[\w./:-]*\w))?|NoBrokersAvailable|kombu\.exceptions\.OperationalError|AMQPConnectionError|consumer: Cannot connect to (?P<other>\S+?):?(?=\s|$)|elasticsearch\S*ConnectionError|elastic_transport\.\w+|botocore\.exceptions\.EndpointConnectionError|aio_pika\S*|MISCONF Redis|(?:kafka|aiokafka)\.errors\.\w+|pika\.exceptions\.\w+|amqp\.exceptions\.\w+|opensearchpy\.exceptions\.\w*Connection\w*|cassandra\.cluster\.NoHostAvailable|nats\.errors\.\w+|hvac\.exceptions\.\w+|ldap\.SERVER_DOWN|failed to connect to all addresses|StatusCode\.UNAVAILABLE|redis\.exceptions\.(?:AuthenticationError|ResponseError: NOAUTH|BusyLoadingError)|Cannot connect to (?P<third>(?:amqp|redis)s?://\S+)",
        "another service cannot be reached: {name}", "check its address, that it runs, and the VPC connector: gcloud run services describe SERVICE",
    ),
    KnownMessage(
        "connection-refused", CauseId.DEPENDENCY_SERVICE, "",
        r"ConnectionRefusedError: |NewConnectionError|Max retries exceeded with url|requests\.exceptions\.\w*(?:Connection|Timeout)\w*|Temporary failure in name resolution|Name or service not known|getaddrinfo failed|nodename nor servname|httpx\.Connect\w+|aiohttp\.client_exceptions\.\w*Connector\w*|ConnectionResetError: |socket\.gaierror|urllib\.error\.URLError|Could not resolve host|(?<!connect: )[Cc]onnection refused(?! by the host:)|No route to host|Network is unreachable|CERTIFICATE_VERIFY_FAILED|smtplib\.SMTP\w+|\[Errno -[235]\]|ConnectTimeout|ReadTimeout: ",
        "another service cannot be reached", "check its address, that it runs, and the VPC connector: gcloud run services describe SERVICE", 1,
    ),
    # ---- Google's own trouble
    KnownMessage("internal-error", CauseId.SERVICE_TROUBLE, "INTERNAL", r"(?:status|ERROR|code)\W{0,3}:? ?\"?INTERNAL(?:_ERROR)?\b", "Google's service failed by itself", _AGAIN),
    KnownMessage("internal-error-of-an-api", CauseId.SERVICE_TROUBLE, "", r"generic::internal\b|InternalServerError: 500|An internal error (?:has )?occurred|Internal error encountered", "Google's service failed by itself", _AGAIN),
    KnownMessage(
        "unavailable", CauseId.SERVICE_TROUBLE, "", r"[Tt]he service is currently unavailable|UNAVAILABLE: |ServiceUnavailable: 503|502 Bad Gateway|503 Service Unavailable|toomanyrequests: |TLS handshake timeout|registry-1\.docker\.io[^\n]*(?:timeout|EOF)", "a service was not available", _AGAIN,
    ),
    KnownMessage(
        "two-deploys-at-once", CauseId.SERVICE_TROUBLE, "Conflict for resource", r"Conflict for resource '(?P<name>[^']+)': version",
        "something else changed {name} at the same time", "run it again, one deploy at a time",
    ),
    KnownMessage("source-not-fetched", CauseId.SERVICE_TROUBLE, "source", r"(?:[Cc]ould not|failed to) (?:fetch|unpack) (?:the )?source", "Cloud Build could not fetch the source", "submit it again"),
    KnownMessage("source-not-fetched-by-its-code", CauseId.SERVICE_TROUBLE, "FETCH_SOURCE_FAILED", r"FETCH_SOURCE_FAILED", "Cloud Build could not fetch the source", "submit it again"),
)
