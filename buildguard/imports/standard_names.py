"""Which modules are standard library in which version: the names of 3.10 to 3.13, and what is documented of the others."""

from __future__ import annotations

from collections.abc import Iterable

from buildguard.definitions import words

# Every version from 3.8 to 3.15 has these.
_ALWAYS = words("""
    __future__ _collections_abc _io _thread _weakrefset abc antigravity argparse array ast asyncio atexit base64 bdb
    binascii bisect builtins bz2 cProfile calendar cmath cmd code codecs codeop collections colorsys compileall
    concurrent configparser contextlib contextvars copy copyreg csv ctypes curses dataclasses datetime dbm decimal
    difflib dis doctest email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch fractions
    ftplib functools gc genericpath getopt getpass gettext glob grp gzip hashlib heapq hmac html http idlelib imaplib
    importlib inspect io ipaddress itertools json keyword linecache locale logging lzma mailbox marshal math mimetypes
    mmap modulefinder msvcrt multiprocessing netrc nt ntpath nturl2path numbers opcode operator optparse os pathlib
    pdb pickle pickletools pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile
    pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource rlcompleter runpy sched secrets
    select selectors shelve shlex shutil signal site smtplib socket socketserver sqlite3 sre_compile sre_constants
    sre_parse ssl stat statistics string stringprep struct subprocess symtable sys sysconfig syslog tabnanny tarfile
    tempfile termios textwrap this threading time timeit tkinter token tokenize trace traceback tracemalloc tty turtle
    turtledemo types typing unicodedata unittest urllib uuid venv warnings wave weakref webbrowser winreg winsound
    wsgiref xml xmlrpc zipapp zipfile zipimport zlib
""")
# Names for the library's own use: they come and go with any release, so that only an interpreter can tell.
_PRIVATE = words("""
    _abc _aix_support _android_support _ast _asyncio _bisect _blake2 _bootsubprocess _bz2 _codecs _codecs_cn
    _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _collections _colorize _compat_pickle _compression
    _contextvars _crypt _csv _ctypes _curses _curses_panel _datetime _dbm _decimal _elementtree _frozen_importlib
    _frozen_importlib_external _functools _gdbm _hashlib _heapq _imp _interpchannels _interpqueues _interpreters
    _ios_support _json _locale _lsprof _lzma _markupbase _md5 _msi _multibytecodec _multiprocessing _opcode
    _opcode_metadata _operator _osx_support _overlapped _pickle _posixshmem _posixsubprocess _py_abc _pydatetime
    _pydecimal _pyio _pylong _pyrepl _queue _random _scproxy _sha1 _sha2 _sha256 _sha3 _sha512 _signal _sitebuiltins
    _socket _sqlite3 _sre _ssl _stat _statistics _string _strptime _struct _suggestions _symtable _sysconfig
    _threading_local _tkinter _tokenize _tracemalloc _typing _uuid _warnings _weakref _winapi _wmi _zoneinfo
    _bootlocale _dummy_thread _peg_parser _xxsubinterpreters
""")
_ADDED = {
    "contextvars": 7,
    "dataclasses": 7,
    "zoneinfo": 9,
    "graphlib": 9,
    "tomllib": 11,
    "annotationlib": 14,
    "compression": 14,
    "profiling": 15,
}
_REMOVED = {
    "macurl2path": 7,
    "macpath": 8,
    **dict.fromkeys(("_dummy_threading", "dummy_threading"), 9),
    **dict.fromkeys(("formatter", "parser", "symbol"), 10),
    "binhex": 11,
    **dict.fromkeys(("asynchat", "asyncore", "distutils", "imp", "smtpd"), 12),
    **dict.fromkeys(
        words("""
        aifc audioop cgi cgitb chunk crypt imghdr lib2to3 mailcap msilib nis nntplib ossaudiodev pipes sndhdr spwd sunau
        telnetlib uu xdrlib
        """),
        13,
    ),
    # Python 2 had these under names that no other package bears.
    **dict.fromkeys(
        words("""
        __builtin__ BaseHTTPServer CGIHTTPServer ConfigParser Cookie HTMLParser Queue SimpleHTTPServer SimpleXMLRPCServer
        SocketServer StringIO Tkinter UserDict UserList UserString anydbm cPickle cStringIO cookielib copy_reg dbhash
        dummy_thread htmlentitydefs httplib robotparser tkFileDialog tkFont tkMessageBox tkSimpleDialog urllib2 urlparse
        whichdb xmlrpclib
        """),
        0,
    ),
}
# What to write instead, where that is short.
_SUCCESSORS = {
    "distutils": "setuptools brings distutils back; packaging.version and shutil replace most of it",
    "imp": "importlib replaces it",
    "asyncore": "asyncio replaces it; pyasyncore keeps it alive",
    "asynchat": "asyncio replaces it; pyasynchat keeps it alive",
    "smtpd": "aiosmtpd replaces it",
    "cgi": "legacy-cgi keeps it alive; email.message and urllib.parse replace most of it",
    "cgitb": "legacy-cgi keeps it alive",
    "crypt": "legacycrypt or crypt-r replace it",
    "imghdr": "filetype or standard-imghdr replace it",
    "pipes": "subprocess replaces it, shlex.quote its quote",
    "telnetlib": "telnetlib3 or standard-telnetlib replace it",
    "audioop": "audioop-lts keeps it alive",
    "lib2to3": "libcst or fissix replace it",
    "nntplib": "standard-nntplib keeps it alive",
    "tomllib": "tomli has the same functions for older versions",
    "zoneinfo": "backports.zoneinfo has it for older versions",
    "graphlib": "graphlib-backport has it for older versions",
    "binhex": "no replacement",
    "ConfigParser": "configparser in Python 3",
    "StringIO": "io.StringIO in Python 3",
    "cStringIO": "io.BytesIO in Python 3",
    "cPickle": "pickle in Python 3",
    "Queue": "queue in Python 3",
    "urllib2": "urllib.request in Python 3",
    "urlparse": "urllib.parse in Python 3",
    "httplib": "http.client in Python 3",
    "__builtin__": "builtins in Python 3",
}
# Distributions that bring a module back that the standard library lost, or bring it to older versions.
_PROVIDERS = {
    "distutils": ("setuptools", "standard-distutils"),
    "cgi": ("legacy-cgi", "standard-cgi"),
    "cgitb": ("legacy-cgi", "standard-cgitb"),
    "asyncore": ("pyasyncore", "standard-asyncore"),
    "asynchat": ("pyasynchat", "standard-asynchat"),
    "audioop": ("audioop-lts",),
    "graphlib": ("graphlib-backport",),
    "imp": ("zombie-imp",),
}
WINDOWS_ONLY = frozenset({"_msi", "_overlapped", "_winapi", "_wmi", "msilib", "msvcrt", "nt", "winreg", "winsound"})
_WINDOWS_NAMES = {
    "ctypes": words(
        "DllCanUnloadNow DllGetClassObject FormatError GetLastError HRESULT OleDLL WINFUNCTYPE WinDLL WinError oledll windll"
    ),
    "os": words("add_dll_directory startfile"),
    "signal": words("CTRL_BREAK_EVENT CTRL_C_EVENT"),
    "asyncio": words("IocpProactor ProactorEventLoop WindowsProactorEventLoopPolicy WindowsSelectorEventLoopPolicy"),
    "subprocess": words(
        "CREATE_NEW_CONSOLE CREATE_NEW_PROCESS_GROUP CREATE_NO_WINDOW STARTF_USESHOWWINDOW STARTUPINFO SW_HIDE"
    ),
}
UNIX_ONLY = words("""
    _curses _curses_panel _posixshmem _posixsubprocess _scproxy crypt curses dbm.gnu dbm.ndbm fcntl grp nis ossaudiodev
    posix pty pwd readline resource spwd syslog termios tty
    """)
# Modules that an installation can lack because of how it was built or packaged: only the image itself tells.
OPTIONAL = words("""
    _bz2 _crypt _ctypes _curses _curses_panel _dbm _gdbm _hashlib _lzma _sqlite3 _ssl _tkinter _uuid _zoneinfo bz2 crypt
    ctypes curses dbm distutils ensurepip idlelib lib2to3 lzma nis ossaudiodev pydoc_data readline spwd sqlite3 ssl test
    tkinter turtle turtledemo uuid venv zoneinfo zlib _zstd compression
    """)
# Names of these depend on the C library and the kernel that the interpreter was built for.
BUILD_DEPENDENT = words("""
    _socket _ssl _winapi curses errno fcntl locale mmap os posix readline resource select signal socket ssl stat
    syslog termios time
    """)
# Names that came with a patch release: another one of the same version may have them.
PATCH_NAMES = frozenset(
    {
        ("email.errors", "HeaderWriteError"),
        ("sys", "get_int_max_str_digits"),
        ("sys", "set_int_max_str_digits"),
        *(
            ("tarfile", name)
            for name in words(
                """
                AbsoluteLinkError AbsolutePathError FilterError LinkFallbackError LinkOutsideDestinationError
                OutsideDestinationError SpecialFileError data_filter fully_trusted_filter tar_filter
                """
            )
        ),
    }
)
_NEWEST_KNOWN = 15


def is_standard(module: str) -> bool:
    """Whether a top-level module is standard library in any version of Python."""
    return module in _ALWAYS or module in _PRIVATE or module in _ADDED or module in _REMOVED


def public_names() -> frozenset[str]:
    """Every top-level module of any version that is not for the library's own use."""
    return frozenset({*_ALWAYS, *_ADDED, *_REMOVED})


def is_private(module: str) -> bool:
    """Whether a top-level module is for the library's own use."""
    return module in _PRIVATE


def is_in(module: str, minor: int) -> bool:
    """Whether the standard library of Python 3.`minor` has a top-level module, as far as is documented."""
    if module in _REMOVED:
        return minor < _REMOVED[module]
    return minor >= _ADDED.get(module, 0)


def versions_of(module: str) -> tuple[int, int] | None:
    """The minor version that brought a top-level module and the last that had it, 0 for none; None for one that stays."""
    removed = _REMOVED.get(module, 0)
    if module not in _ADDED and not removed:
        return None
    return _ADDED.get(module, 0), max(0, removed - 1)


def are_windows_names(module: str, names: Iterable[str]) -> bool:
    """Whether only Windows has some names of a module."""
    return _WINDOWS_NAMES.get(module, frozenset()).issuperset(names)


def history_of(module: str, minor: int) -> str:
    """Since when, or until when, Python has a module that 3.`minor` does not have."""
    if module in _ADDED and minor < _ADDED[module]:
        return f"new in Python 3.{_ADDED[module]}"
    removed = _REMOVED.get(module, _NEWEST_KNOWN + 1)
    return "" if minor < removed else f"removed in Python 3.{removed}" if removed else "it was Python 2's"


def successor_of(module: str) -> str:
    """What replaces a module; empty where nothing short can be said."""
    return _SUCCESSORS.get(module, "")


def providers_of(module: str) -> tuple[str, ...]:
    """The distributions that bring a module which a version lacks."""
    return tuple(dict.fromkeys((*_PROVIDERS.get(module, ()), f"standard-{module}")))
