"""Names that a source takes from a module of the standard library by a dot, and that not every Python has: `datetime.UTC`.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks. The table only says what is worth
asking: the target's own interpreter answers. It holds the names that came or went between 3.7 and 3.15,
and a few of Python 2.
"""

import ast
import re

from buildguard.remote.evaluated_types import parts_of
from buildguard.remote.module_code import EXTENDED, IMPORT, OPERATIONS, operands_of

SETS = OPERATIONS["STORE_ATTR"]
CACHE = OPERATIONS.get("CACHE", EXTENDED)
# What loads a local variable; of two that one operation loads, what comes next uses the second.
LOADS_TWO = {
    OPERATIONS[name] for name in ("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW") if name in OPERATIONS
}
LOADS_LOCAL = LOADS_TWO | {OPERATIONS[name] for name in ("LOAD_FAST", "LOAD_FAST_BORROW") if name in OPERATIONS}
ANNOTATIONS_LATE_FROM = 14  # from 3.14 on an annotation is evaluated when it is asked for

CHANGED_WORDS = """
abc: update_abstractmethods
aifc: openfp
argparse: BooleanOptionalAction
ast: Bytes Ellipsis Interpolation Match MatchAs MatchClass MatchMapping MatchOr MatchSequence MatchSingleton MatchStar
    MatchValue NameConstant Num ParamSpec Str TemplateStr TryStar TypeAlias TypeVar TypeVarTuple compare match_case pattern
    type_param unparse
asyncio: AbstractChildWatcher Barrier BrokenBarrierError EventLoop FastChildWatcher FrameCallGraphEntry FutureCallGraph
    MultiLoopChildWatcher PidfdChildWatcher QueueShutDown Runner SafeChildWatcher Server TaskGroup ThreadedChildWatcher
    Timeout capture_call_graph coroutine create_eager_task_factory eager_task_factory format_call_graph
    future_add_to_awaited_by future_discard_from_awaited_by get_child_watcher iscoroutinefunction print_call_graph
    set_child_watcher timeout timeout_at to_thread
base64: b32hexdecode b32hexencode decodestring encodestring z85decode z85encode
binascii: a2b_ascii85 a2b_base32 a2b_base85 a2b_hqx b2a_ascii85 b2a_base32 b2a_base85 b2a_hqx rlecode_hqx rledecode_hqx
builtins: BaseExceptionGroup EncodingWarning ExceptionGroup ImportCycleError PythonFinalizationError aiter anext frozendict
    sentinel
calendar: APRIL AUGUST DECEMBER Day FEBRUARY JANUARY JULY JUNE MARCH MAY Month NOVEMBER OCTOBER SEPTEMBER
    standalone_month_abbr standalone_month_name
cgi: escape parse_qs parse_qsl
codecs: unregister
collections: AsyncGenerator AsyncIterable AsyncIterator Awaitable ByteString Callable Collection Container Coroutine
    Generator Hashable ItemsView Iterable Iterator KeysView Mapping MappingView MutableMapping MutableSequence MutableSet
    Reversible Sequence Set Sized ValuesView
collections.abc: Buffer ByteString
concurrent.futures: InvalidStateError
configparser: InvalidWriteError LegacyInterpolation MultilineContinuationError SafeConfigParser UNNAMED_SECTION
    UnnamedSectionDisabledError
contextlib: AsyncContextDecorator aclosing chdir
copy: replace
csv: QUOTE_NOTNULL QUOTE_STRINGS
ctypes: CField LittleEndianUnion SetPointerType c_time_t memoryview_at
dataclasses: KW_ONLY
datetime: UTC
decimal: IEEEContext
dis: hasarg hasexc hasjump hasnargs
enum: CONFORM CONTINUOUS EJECT EnumCheck EnumDict EnumType FlagBoundary KEEP NAMED_FLAGS ReprEnum STRICT StrEnum UNIQUE
    global_enum global_enum_repr global_flag_repr global_str member nonmember pickle_by_enum_name pickle_by_global_name
    property show_flag_values verify
faulthandler: dump_c_stack
fractions: gcd
functools: Placeholder cache
gc: is_finalized
gettext: bind_textdomain_codeset ldgettext ldngettext lgettext lngettext
glob: translate
hashlib: file_digest
heapq: heapify_max heappop_max heappush_max heappushpop_max heapreplace_max
http: HTTPMethod
http.server: CGIHTTPRequestHandler HTTPSServer ThreadingHTTPSServer
importlib: find_loader
importlib.abc: Finder ResourceReader Traversable TraversableResources
importlib.machinery: AppleFrameworkLoader NamespaceLoader NamespacePath
importlib.metadata: MetadataNotFound PackageMetadata SimplePath packages_distributions
importlib.resources: Anchor Resource ResourceReader as_file contents files is_resource open_binary open_text path
    read_binary read_text
importlib.util: module_for_loader set_loader set_package
inspect: AGEN_CLOSED AGEN_CREATED AGEN_RUNNING AGEN_SUSPENDED ArgSpec BufferFlags CO_HAS_DOCSTRING CO_METHOD
    ClassFoundException formatargspec get_annotations getargspec getasyncgenlocals getasyncgenstate getmembers_static
    ismethodwrapper ispackage markcoroutinefunction
io: Reader Writer text_encoding
itertools: batched ifilter ifilterfalse imap izip izip_longest pairwise
keyword: issoftkeyword softkwlist
locale: format getdefaultlocale getencoding localize resetlocale
logging: getHandlerByName getHandlerNames getLevelNamesMapping
math: cbrt exp2 fma fmax fmin integer isnormal issubnormal lcm nextafter signbit sumprod ulp
mimetypes: guess_file_type
operator: call is_none is_not_none
os: eventfd getcwdu pidfd_open process_cpu_count reload_environ splice unshare waitstatus_to_exitcode
os.path: ALLOW_MISSING ALL_BUT_LAST isdevdrive isjunction splitroot
pathlib: UnsupportedOperation
pdb: get_default_backend set_default_backend
pkgutil: ImpImporter ImpLoader find_loader get_loader resolve_name
platform: AndroidVer IOSVersionInfo android_ver dist freedesktop_os_release invalidate_caches ios_ver java_ver
    linux_distribution popen
plistlib: Data readPlist readPlistFromBytes writePlist writePlistToBytes
pstats: FunctionProfile StatsProfile
pty: master_open slave_open
queue: ShutDown
random: binomialvariate randbytes
re: NOFLAG PatternError TEMPLATE prefixmatch template
shelve: ShelveError
shutil: ExecError
site: gethistoryfile register_readline
socket: recv_fds send_fds
sqlite3: Blob OptimizedUnicode enable_shared_cache
ssl: RAND_pseudo_bytes get_sigalgs match_hostname wrap_socket
statistics: LinearRegression correlation covariance fmean kde kde_random linear_regression
string: letters lowercase maketrans uppercase
sunau: openfp
symtable: SymbolTableType
sys: abi_info activate_stack_trampoline callstats deactivate_stack_trampoline exception get_lazy_imports
    get_lazy_imports_filter getcheckinterval is_remote_debug_enabled is_stack_trampoline_active maxint orig_argv remote_exec
    set_coroutine_wrapper set_lazy_imports set_lazy_imports_filter setcheckinterval stdlib_module_names unraisablehook
tarfile: LinkFallbackError
termios: tcgetwinsize tcsetwinsize
threading: concurrent_tee getprofile gettrace serialize_iterator setprofile_all_threads settrace_all_threads
    synchronized_iterator
time: clock
token: ASYNC AWAIT EXCLAMATION FSTRING_END FSTRING_MIDDLE FSTRING_START SOFT_KEYWORD TSTRING_END TSTRING_MIDDLE
    TSTRING_START
tokenize: ASYNC AWAIT EXCLAMATION FSTRING_END FSTRING_MIDDLE FSTRING_START SOFT_KEYWORD TSTRING_END TSTRING_MIDDLE
    TSTRING_START
tracemalloc: reset_peak
tty: cfmakecbreak cfmakeraw
types: CapsuleType EllipsisType FrameLocalsProxyType GenericAlias LazyImportType NoneType NotImplementedType UnionType
    get_original_bases
typing: Annotated ByteString Concatenate Final Literal LiteralString Never NoDefault NoExtraItems NotRequired ParamSpec
    ParamSpecArgs ParamSpecKwargs Protocol ReadOnly Required Self SupportsIndex TypeAlias TypeAliasType TypeForm TypeGuard
    TypeIs TypeVarTuple TypedDict Unpack assert_never assert_type clear_overloads dataclass_transform disjoint_base
    evaluate_forward_ref final get_args get_origin get_overloads get_protocol_members is_protocol is_typeddict
    no_type_check_decorator override reveal_type runtime_checkable
unicodedata: block extended_pictographic grapheme_cluster_break indic_conjunct_break isxidcontinue isxidstart iter_graphemes
unittest: IsolatedAsyncioTestCase doModuleCleanups enterModuleContext findTestCases getTestCaseNames makeSuite
unittest.mock: ThreadingMock
urllib.request: FancyURLopener URLopener
uuid: uuid6 uuid7 uuid8
warnings: deprecated
wave: WAVE_FORMAT_EXTENSIBLE WAVE_FORMAT_IEEE_FLOAT openfp
xml: is_valid_name is_valid_text
xml.etree.ElementTree: VERSION canonicalize indent
zipfile: ZIP_ZSTANDARD
zlib: adler32_combine crc32_combine
zoneinfo: available_timezones
"""


def changed_names(words):
    """The names of each module in the table, and the modules that have each name."""
    names = {}
    for line in words.replace("\n    ", " ").strip().splitlines():
        module, _colon, rest = line.partition(":")
        names[module] = frozenset(rest.split())
    modules = {}
    for module, of_module in names.items():
        for name in of_module:
            modules.setdefault(name, []).append(module)
    return names, modules


CHANGED, MODULES_WITH = changed_names(CHANGED_WORDS)
NAMES = frozenset(MODULES_WITH)
WAYS = {}  # type: dict[str, list[tuple[str, list[str], bytes, bytes]]]
PARTS = frozenset(part.encode("ascii") for module in CHANGED for part in module.split("."))
WORDS = rb"[\w\x80-\xff]+"
SETS_BY_NAME = re.compile(rb"setattr\(\s*(%s)[\w.\x80-\xff]*\s*,\s*[\"']" % WORDS)
ALIAS = re.compile(rb"as(?<=[\s\\]as)[\s\\]+(%s)" % WORDS)  # a literal comes first in each, so that a search is fast
WORD_BEFORE = re.compile(rb"(\w+)[\s\\]+\Z")
REST = rb"((?:[\s\\)]*\.[\s\\]*%s)+)(\s*[(\[]|[ \t]+(?:as|import)\b)?" % WORDS
BETWEEN_PARTS = b" \t\n\r\f\v\\)"  # what may stand before the dots in it
FAR = 80  # bytes before `as` that are looked at
INSIDE = re.compile(rb"[\w.\x80-\xff]")
WORD = re.compile(WORDS)


def may_use(data: bytes, names: "frozenset[str]") -> bool:
    """Whether a source may take one of these from its module, or give it one: by the names in its code, then by its text."""
    if "setattr" in names and SETS_BY_NAME.search(data) is not None and not names.isdisjoint(CHANGED):
        return True
    may_take = {}  # type: dict[bytes, bool]  # whether a dot is behind the last part of a module, by what renames it
    ways = [way for name in NAMES & names for way in ways_to_use(name)]
    return any(is_way(way, data, may_take) for way in ways if way[0] in names or (way[1] and names.issuperset(way[1])))


def is_way(way, data, may_take):
    """Whether a source that names a module and a name of it may take that; `may_take` is what was found for other names."""
    _module, _parts, dotted, renamed = way
    if renamed not in may_take:
        may_take[renamed] = renamed[:-4] + b"." in data
        if renamed in data:
            return True
    return may_take[renamed] and dotted in data


def ways_to_use(name):
    """For each module that has a name: the module, its parts where they are several, and two texts of which one takes the name."""
    ways = WAYS.get(name)
    if ways is None:
        ways = WAYS[name] = []
        for module in MODULES_WITH[name]:
            parts = module.split(".")
            last = parts[-1].encode("ascii")
            dotted = last + b"." + name.encode("ascii")
            ways.append((module, parts if len(parts) > 1 else (), dotted, last + b" as "))
    return ways


def uses_of(module):
    """Where a source that may do so takes one of these: pairs of an offset and the word that stands for the module there.

    None where it may set one, or use one in a way that only its syntax tree shows. The words of the modules whose names are taken
    or set come second. All is read from the text and the code: few sources are left.
    """
    data, names = module.data, module.names
    aliases = dict(module_aliases(data))
    words = {name.encode("utf-8") for name in names}
    modules = PARTS & words.union(name.partition(b".")[0] for name in words) | set(aliases)
    setting = {match.group(1) for match in SETS_BY_NAME.finditer(data)} & modules if "setattr" in names else set()
    are_set = stored_names(module.codes, modules)
    wanted = wanted_owners(NAMES & names)
    if not are_set:  # then only what may be one of these matters
        owners = parts_of_modules(NAMES & names)
        modules = {word for word in modules if aliases.get(word, word) in owners}
    uses = []
    for start, word, parts, is_taken in dotted_names(data, modules):
        if parts[-1] in are_set and not is_taken:
            setting.add(word)
        if any(owner in wanted.get(part, ()) for owner, part in zip([aliases.get(word, word)] + parts, parts)):
            uses.append((start, word.decode("utf-8")))
    return None if setting else uses, setting.union(word.encode("utf-8") for _start, word in uses)


def parts_of_modules(names):
    """The words in the names of the modules that have some names."""
    modules = {module for name in names for module in MODULES_WITH[name]}
    return {part.encode("ascii") for module in modules for part in module.split(".")}


def wanted_owners(names):
    """The last words of the modules that have each of some names."""
    return {
        name.encode("ascii"): {module.rpartition(".")[2].encode("ascii") for module in MODULES_WITH[name]}
        for name in names
    }


def module_aliases(data):
    """What a source may call a part of one of the modules, with that part."""
    for match in ALIAS.finditer(data):
        start = match.start()
        before = WORD_BEFORE.search(data[max(0, start - FAR) : start])
        if before is not None and before.group(1) in PARTS:
            yield match.group(1), before.group(1)


def dotted_names(data, modules):
    """Each dotted name that begins with one of some words: where, that word, the others, and what shows that it is not set."""
    together = data.translate(None, BETWEEN_PARTS)
    for module in modules:
        if module + b"." in together:
            for match in re.finditer(re.escape(module) + REST, data):
                start = match.start()
                if not start or not INSIDE.match(data, start - 1):
                    yield start, module, WORD.findall(match.group(1)), match.group(2)


def stored_names(codes, words):
    """The names that code sets as attributes of anything that one of some words may stand for, for a module.

    A local variable is none where it is called otherwise, or where nothing in its function imports.
    """
    names = set()
    for code in codes:
        stores = operands_of(code, SETS)
        if stores:
            imports = IMPORT in code.co_code[::2]
            others = [not imports or name.encode("utf-8") not in words for name in code.co_varnames]
            names.update(name for name, at in stores if not is_of_local(code.co_code, at, others))
    return {name.encode("utf-8") for name in names}


def is_of_local(text, offset, others):
    """Whether the operation at an offset sets an attribute of a local variable, of which `others` tells whether it matters."""
    at = offset - 2
    while at > 0 and text[at] in (CACHE, EXTENDED):
        at -= 2
    if at < 0 or text[at] not in LOADS_LOCAL:
        return False
    number = text[at + 1] & (15 if text[at] in LOADS_TWO else 255)
    return (at < 2 or text[at - 2] != EXTENDED) and number < len(others) and others[number]


# The most frequent of the nodes that bind nothing.
NAMELESS = frozenset(
    (ast.Attribute, ast.Constant, ast.Call, ast.keyword, ast.Expr, ast.Assign, ast.If, ast.Return, ast.arguments)
)


class AttributeReader:
    """Finds what a module takes from modules of the standard library by a dot, where their names mean nothing else.

    `modules` are the names that stand for one, and `has_late_annotations` says that annotations do not run at import. `wanted` are
    the names of each module that are looked for.
    """

    def __init__(self, modules, has_late_annotations, wanted=CHANGED):
        self.rows = []
        self._wanted = wanted
        self._modules = modules
        self._has_late_annotations = has_late_annotations
        self._seen = set()

    def taken_in(self, attributes):
        """The lines of those among some attributes that are such a name."""
        return [node.lineno for node in attributes if node.attr in CHANGED.get(self._module_of(node.value), ())]

    def patched(self, nodes, attributes):
        """The names that the source gives one of these modules itself: `collections.Mapping = …`, `setattr(collections, "Mapping", …)`."""
        return sorted(set(self._assigned(attributes)).union(self._set(nodes)))

    def _assigned(self, attributes):
        for node in attributes:
            module = self._module_of(node.value) if isinstance(node.ctx, ast.Store) else ""
            if module in CHANGED:
                yield module + "." + node.attr

    def _set(self, nodes):
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
                names = [item.value for item in node.args[1:2] if isinstance(item, ast.Constant)]
                module = self._module_of(node.args[0]) if names else ""
                if module in CHANGED:
                    yield module + "." + str(names[0])

    def read(self, statement, place, block, test):
        """The attributes in the expressions that a statement itself evaluates; `test` gives the value of a test in them."""
        if isinstance(statement, ast.Assert):
            block = block.inside("conditional")  # `python -O` leaves it out
        pending = [(node, block) for node in self._expressions(statement, block)]
        while pending:
            node, around = pending.pop()
            if isinstance(node, ast.Attribute):
                self._attribute(node, place, around)
            # `to_thread if hasattr(asyncio, "to_thread") else None`
            pending += ((part, around.inside(guard) if guard else around) for part, guard in parts_of(node, test))

    def _expressions(self, statement, block):
        """What a statement evaluates, less its blocks, and what waits: annotations, and `type` of 3.12."""
        if type(statement).__name__ == "TypeAlias":
            return
        late = self._has_late_annotations
        waiting = [getattr(statement, "returns", None)] if late else []
        if isinstance(statement, ast.AnnAssign) and (block.late or late):
            waiting.append(statement.annotation)
        if isinstance(statement, ast.Assert):
            waiting.append(statement.msg)  # of an assertion that fails
        for node in ast.iter_child_nodes(statement):
            if isinstance(node, ast.arguments):
                for value in node.defaults + node.kw_defaults + ([] if late else annotations_of(node)):
                    if value is not None:
                        yield value
            elif isinstance(node, (ast.expr, ast.keyword, ast.withitem)) and node not in waiting:
                yield node

    def _attribute(self, node, place, block):
        if not isinstance(node.ctx, ast.Load):
            return
        module = self._module_of(node.value)
        if node.attr in self._wanted.get(module, ()):
            line, column = place(node)
            key = (module, node.attr, block.late, block.guard)
            if key not in self._seen:
                self._seen.add(key)
                self.rows.append([line, column, module, node.attr, block.guard, block.late])

    def _module_of(self, node):
        """The module that an expression is; empty for anything else."""
        if isinstance(node, ast.Name):
            return self._modules.get(node.id, "")
        if isinstance(node, ast.Attribute):
            parent = self._module_of(node.value)
            return parent + "." + node.attr if parent else ""
        return ""


def annotations_of(arguments):
    """The annotations of a function's parameters, None for those without."""
    listed = getattr(arguments, "posonlyargs", []) + arguments.args + arguments.kwonlyargs
    return [item.annotation for item in listed + [arguments.vararg, arguments.kwarg] if item is not None]


def has_future(tree):
    """Whether a module keeps annotations as text."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )


def module_names(nodes):
    """The names that stand for a module of the table wherever the source has them: imports bind them, and nothing else does."""
    imported = {}
    other = set()
    for node in nodes:
        kind = type(node)
        if kind is ast.Name:
            if type(node.ctx) is not ast.Load:
                other.add(node.id)
        elif kind is ast.Import:
            for alias in node.names:
                top = alias.name.partition(".")[0]
                note(imported, other, alias.asname or top, alias.name if alias.asname else top)
        elif kind is ast.ImportFrom:
            note_names(imported, other, node)
        elif kind not in NAMELESS:
            other.update(names_bound(node))
    return {name: module for name, module in imported.items() if name not in other and "*" not in other}


def note_names(imported, other, node):
    """Note what `from x import y` binds: modules of the table, and other names."""
    base = "" if node.level or not node.module else node.module + "."
    for alias in node.names:
        if base and base + alias.name in CHANGED:
            note(imported, other, alias.asname or alias.name, base + alias.name)
        else:
            other.add(alias.asname or alias.name)


def note(imported, other, name, module):
    """Note what a name is imported as; a name that is two modules is none."""
    if imported.setdefault(name, module) != module:
        other.add(name)


def names_bound(node):
    """The names that one node binds, but for imports."""
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    if isinstance(node, ast.arg):
        return (node.arg,)
    # functions and classes, handlers, patterns of `match`, type parameters
    fields = [field for field in ("name", "rest") if field in node._fields]
    if not fields or isinstance(node, ast.alias):
        return ()
    names = [getattr(node, field, None) for field in fields]
    return [name for name in names if isinstance(name, str)]
