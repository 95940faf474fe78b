"""Messages of code that is newer or older than the Python that runs it, and of its leftovers."""

from __future__ import annotations

from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.messages.message import KnownMessage

_NEWER_MODULES = (
    r"tomllib|zoneinfo|graphlib|annotationlib|compression(?:\.\w+)?|concurrent\.interpreters|dataclasses|contextvars"
    r"|importlib\.metadata|importlib\.resources|asyncio\.taskgroups"
)
_NEWER_NAMES = (
    r"StrEnum|verify|UTC|Self|Never|LiteralString|assert_never|assert_type|reveal_type|NotRequired|Required|TypeVarTuple"
    r"|Unpack|override|TypeAliasType|TypeIs|ReadOnly|NoDefault|batched|pairwise|TypeAlias|ParamSpec|Concatenate|TypeGuard"
    r"|Annotated|TaskGroup|timeout|Runner|to_thread|Buffer|ExceptionGroup|deprecated|Literal|Final|Protocol|TypedDict"
    r"|runtime_checkable|get_args|get_origin|final|ParamSpecArgs|cache|cached_property|singledispatchmethod|is_typeddict"
    r"|dataclass_transform|KW_ONLY|EllipsisType|NoneType|UnionType|chdir|aclosing|nullcontext|contextvars|removeprefix"
)
_STANDARD = (
    r"enum|datetime|typing|itertools|asyncio|collections\.abc|warnings|functools|types|dataclasses|contextlib|math|inspect"
    r"|statistics|importlib|random|hashlib|secrets|operator|sys|os|time|shutil|ast|re|logging"
)
_REMOVED_MODULES = (
    r"distutils|imp|asynchat|asyncore|smtpd|cgi|cgitb|crypt|imghdr|mailcap|msilib|nntplib|pipes|sndhdr|spwd|sunau|telnetlib"
    r"|uu|xdrlib|lib2to3|audioop|aifc|chunk|ossaudiodev|nis|binhex|formatter|parser|symbol|macpath|dummy_threading"
    r"|_dummy_threading"
)
_PYTHON_2_MODULES = (
    r"ConfigParser|urllib2|urlparse|StringIO|cStringIO|cPickle|Queue|httplib|cookielib|Cookie|Tkinter|tkMessageBox|commands"
    r"|__builtin__|HTMLParser|SocketServer|BaseHTTPServer|SimpleHTTPServer|xmlrpclib|UserDict|robotparser|htmlentitydefs"
)
_ABSTRACT = (
    r"Mapping|MutableMapping|Sequence|MutableSequence|Iterable|Iterator|Callable|Set|MutableSet|Hashable|Sized|Container"
    r"|Generator|Awaitable|Coroutine|KeysView|ValuesView|ItemsView|MappingView|ByteString|Reversible|AsyncIterator"
)
_REPLACE = "replace it in the code, upgrade the package that uses it, or build from an older Python image"

# fmt: off
MESSAGES: tuple[KnownMessage, ...] = (
    KnownMessage(
        "union-of-types", CauseId.TARGET_OLDER, "unsupported operand type(s) for |",
        r"unsupported operand type\(s\) for \|: '(?:type|NoneType|EnumMeta|EnumType|ABCMeta|ModelMetaclass|_SpecialForm|TypeVar|\w*GenericAlias)'",
        "X | Y between types needs Python 3.10", "from __future__ import annotations, or build from python:3.10 or newer",
    ),
    KnownMessage(
        "subscript-of-type", CauseId.TARGET_OLDER, "object is not subscriptable",
        r"'(?:type|ABCMeta)' object is not subscriptable",
        "list[int] and the like need Python 3.9", "from __future__ import annotations, or build from python:3.9 or newer",
    ),
    KnownMessage(
        "module-of-a-newer-python", CauseId.TARGET_OLDER, "No module named",
        rf"(?:ModuleNotFoundError|ImportError): No module named '?(?P<name>{_NEWER_MODULES})'?$",
        "{name} is in the standard library of newer Pythons only (tomllib since 3.11, zoneinfo and graphlib since 3.9)",
        "build from a newer Python image, or install the backport",
    ),
    KnownMessage(
        "name-of-a-newer-python", CauseId.TARGET_OLDER, "cannot import name",
        rf"ImportError: cannot import name '(?P<name>{_NEWER_NAMES})' from '(?:{_STANDARD})'",
        "{name} is in the standard library of newer Pythons only", "build from a newer Python image, or use typing_extensions",
    ),
    KnownMessage(
        "attribute-of-a-newer-python", CauseId.TARGET_OLDER, "has no attribute",
        rf"AttributeError: (?:partially initialized )?module '(?:{_STANDARD})' has no attribute '(?P<name>{_NEWER_NAMES}|run|dist|prod|lcm|nextafter|randbytes"
        r"|fromisoformat|all_tasks|current_task|create_task|get_running_loop|time_ns|perf_counter_ns|getencoding|process_cpu_count)'"
        r"|AttributeError: '(?:str|bytes)' object has no attribute '(?P<other>removeprefix|removesuffix|isascii)'"
        r"|AttributeError: type object 'datetime\.\w+' has no attribute '(?P<third>fromisoformat|fromisocalendar)'",
        "{name} is in the standard library of newer Pythons only", "build from a newer Python image",
    ),
    KnownMessage(
        "argument-of-a-newer-python", CauseId.TARGET_OLDER, "keyword argument",
        r"TypeError: (?:dataclass\(\) got an unexpected keyword argument '(?P<name>slots|kw_only|match_args|weakref_slot)'|zip\(\) takes no keyword arguments"
        r"|(?:Popen\.)?__init__\(\) got an unexpected keyword argument '(?P<other>capture_output|text)'"
        r"|unlink\(\) got an unexpected keyword argument '(?P<third>missing_ok)')",
        "an argument of the standard library that newer Pythons only have", "build from a newer Python image",
    ),
    KnownMessage(
        "required-newer-python", CauseId.TARGET_OLDER, "ython",
        r"(?i)(?:Error|Exception|error|sorry)\b[^\n]{0,300}\b(?:requires?|needs?|must be run with|must use|only supports?) (?:at least )?python ?(?:version )?(?:>=? ?)?(?P<name>3\.\d+)(?:\+| or (?:newer|higher|later|above|greater)|\b)(?![^\n]*'>=)"
        r"|^\s*Python (?P<other>3\.\d+) or (?:newer|higher|later|above|greater) is required",
        "Python {name} or newer is required", "build from python:{name} or newer",
    ),
    # ---- the code is older than the Python that runs it
    KnownMessage(
        "removed-from-python", CauseId.CODE_OLDER, "No module named",
        rf"(?:ModuleNotFoundError|ImportError): No module named '?(?P<name>{_REMOVED_MODULES})(?:\.[^']*)?'?$",
        "{name} was removed from Python (distutils, imp and asyncore in 3.12, cgi, telnetlib and more in 3.13), or came with setuptools",
        "install setuptools for distutils, replace the others, or build from an older Python image",
    ),
    KnownMessage(
        "no-pkg-resources", CauseId.NOT_IMPORTABLE, "No module named",
        r"(?:ModuleNotFoundError|ImportError): No module named '?(?P<name>pkg_resources)(?:\.[^']*)?'?$",
        "the image has no module {name}: it came with setuptools, which new images lack, and which has it no longer from 82 on",
        "install 'setuptools<82' in the image, or upgrade the package that imports it",
    ),
    KnownMessage(
        "module-of-python-2", CauseId.CODE_OLDER, "No module named",
        rf"(?:ModuleNotFoundError|ImportError): No module named '(?P<name>{_PYTHON_2_MODULES})'",
        "{name} is a module of Python 2", "port the code to Python 3, or upgrade the package that imports it",
    ),
    KnownMessage(
        "name-removed-from-python", CauseId.CODE_OLDER, "cannot import name",
        rf"ImportError: cannot import name '(?P<name>{_ABSTRACT})' from 'collections'"
        r"|ImportError: cannot import name '(?P<other>gcd|escape|getargspec|formatargspec|coroutine|clock|SafeConfigParser|HTMLParseError|izip|imap|ifilter"
        r"|quote|unquote|urlencode|urlretrieve|urlopen|isAlive|async_|ImpImporter|strtobool|ByteString|Str|Num|OrderedDict|Callable|lsb_release|linux_distribution)'"
        r" from '(?:fractions|cgi|inspect|asyncio(?:\.\w+)?|time|configparser|html\.parser|itertools|urllib|pkgutil|typing|ast|platform|collections)'",
        "{name} was removed from that module of the standard library", _REPLACE,
    ),
    KnownMessage(
        "attribute-removed-from-python", CauseId.CODE_OLDER, "has no attribute",
        rf"module '(?:collections)' has no attribute '(?P<name>{_ABSTRACT})'"
        r"|module '(?:inspect|asyncio|time|string|pkgutil|configparser|ast|typing|unittest|os|base64|fractions|platform|sys|types|locale|cgi|math|imp|gettext|tarfile)' has no attribute"
        r" '(?P<other>getargspec|formatargspec|coroutine|async|clock|letters|maketrans|lowercase|uppercase|join|ImpImporter|SafeConfigParser|Str|Num|Bytes|NameConstant|Ellipsis|io|re"
        r"|makeSuite|errno|encodestring|decodestring|gcd|linux_distribution|dist|popen2|maxint|setcheckinterval|exc_clear|StringType|format|escape|getcwdu|JoinableQueue|get_suffixes)'"
        r"|'(?:dict|OrderedDict|EntryPoints|Thread|HTMLParser|SafeConfigParser|ConfigParser|Element|array\.array|xml\.etree\.ElementTree\.Element|RawConfigParser)' object has no attribute"
        r" '(?P<third>has_key|iteritems|itervalues|iterkeys|get|isAlive|unescape|getchildren|tostring|fromstring|readfp|getiterator)'",
        "{name} was removed from the standard library", _REPLACE,
    ),
    KnownMessage(
        "name-of-python-2", CauseId.CODE_OLDER, "is not defined",
        r"NameError: (?:global )?name '(?P<name>unicode|xrange|raw_input|basestring|unichr|reduce|long|execfile|reload|cmp|file|apply|buffer|intern)' is not defined",
        "{name} is a name of Python 2", "port the code to Python 3, or upgrade the package that uses it",
    ),
    KnownMessage(
        "syntax-of-python-2", CauseId.CODE_OLDER, "SyntaxError",
        r"SyntaxError: (?:Missing parentheses in call to '(?P<name>print|exec)'|multiple exception types must be parenthesized|leading zeros in decimal integer literals"
        r"|(?:invalid token \(0\d)|'async' is a reserved|cannot assign to (?:True|False|None|keyword))",
        "the source is Python 2, or older than the Python that runs it", "port it to Python 3 (2to3), or upgrade the package that it belongs to",
    ),
    KnownMessage(
        "no-event-loop", CauseId.CODE_OLDER, "no current event loop",
        r"There is no current event loop in thread '(?P<name>MainThread)'",
        "asyncio.get_event_loop() no longer makes a loop since Python 3.14", "asyncio.run(main()) or asyncio.new_event_loop(), or build from python:3.13",
    ),
    KnownMessage(
        "argument-removed-from-python", CauseId.CODE_OLDER, "",
        r"As of 3\.10, the \*loop\* parameter was removed|unexpected keyword argument '(?P<name>loop)'|mutable default <class '[^']+'> for field (?P<other>\w+) is not allowed: use default_factory"
        r"|'(?:coroutine)' object has no attribute '__await__'|(?:open\(\)|invalid mode:) '?(?P<third>rU|U)'?$|JSONDecoder\.__init__\(\) got an unexpected keyword argument 'encoding'"
        r"|code\(\) (?:takes|expected) at (?:least|most) \d+|required field \"?(?:posonlyargs|type_ignores|lineno)\"? missing from",
        "newer Pythons no longer accept {name}", _REPLACE,
    ),
    # ---- another interpreter, or its leftovers
    KnownMessage(
        "bad-magic-number", CauseId.STRAY_BYTECODE, "bad magic number", r"ImportError: bad magic number in '(?P<name>[^']*)'",
        "the bytecode of {name} was made by another Python than the one that runs",
        "keep __pycache__ and *.pyc out of the image (.dockerignore), and build it again",
    ),
)
