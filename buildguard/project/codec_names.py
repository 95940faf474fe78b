"""Names of codecs that not every Python knows: which Python has them first, and what this one calls them. Data.

Measured: the aliases of 3.8 to 3.15. What a target accepts is its compiler's word; this is for reading its sources here, and for predictions.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from types import MappingProxyType

_NEW = MappingProxyType(
    {
        13: "windows_31j=cp932",
        14: ("874=cp874 cseuckr=euc_kr iso_8859_8_e=iso8859_8 iso_8859_8_i=iso8859_8 ms874=cp874 windows_874=cp874 "),
        15: (
            "ccsid00858=cp858 ccsid01140=cp1140 cp00858=cp858 cp01140=cp1140 csbig5hkscs=big5hkscs "
            "cseucpkdfmtjapanese=euc_jp csgb18030=gb18030 csgb2312=gb2312 csgbk=gbk cshproman8=hp_roman8 "
            "csibm00858=cp858 csibm01140=cp1140 csiso2022jp2=iso2022_jp_2 csiso885913=iso8859_13 "
            "csiso885914=iso8859_14 csiso885915=iso8859_15 csiso885916=iso8859_16 csiso88598e=iso8859_8 "
            "csiso88598i=iso8859_8 cskoi8u=koi8_u csksc56011987=cp949 cskz1048=kz1048 csmacintosh=mac_roman "
            "cstis620=tis_620 csunicode11utf7=utf_7 csutf16=utf_16 csutf16be=utf_16_be csutf16le=utf_16_le "
            "csutf32=utf_32 csutf32be=utf_32_be csutf32le=utf_32_le csutf7=utf_7 csutf8=utf_8 "
            "cswindows1250=cp1250 cswindows1251=cp1251 cswindows1252=cp1252 cswindows1253=cp1253 "
            "cswindows1254=cp1254 cswindows1255=cp1255 cswindows1256=cp1256 cswindows1257=cp1257 "
            "cswindows1258=cp1258 cswindows31j=cp932 cswindows874=cp874 ebcdic_us_37_euro=cp1140 "
            "gb_2312_80=gb2312 ibm00858=cp858 ibm01140=cp1140 iso_ir_149=cp949 ks_c_5601_1989=cp949 "
            "ksc_5601=cp949 latin_10=iso8859_16 latin_2=iso8859_2 latin_3=iso8859_3 latin_4=iso8859_4 "
            "latin_5=iso8859_9 latin_6=iso8859_10 latin_7=iso8859_13 latin_8=iso8859_14 latin_9=iso8859_15 "
            "mac=mac_roman pc_multilingual_850_euro=cp858 utf8_sig=utf_8_sig windows_936=gbk "
        ),
    }
)


def _newer_names() -> Mapping[str, tuple[int, str]]:
    names: dict[str, tuple[int, str]] = {}
    for minor, pairs in _NEW.items():
        for pair in pairs.split():
            name, _equals, codec = pair.partition("=")
            names[name] = (minor, codec)
    return MappingProxyType(names)


_NEWER = _newer_names()


def first_minor(name: str) -> int:
    """The minor version of the first Python that knows a codec by that name; 0 where all that may be targets do."""
    return _NEWER.get(_normal(name), (0, ""))[0]


def local_name(name: str) -> str:
    """A name by which this Python knows a codec; the same one where it knows none."""
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        return _NEWER.get(_normal(name), (0, name))[1]
    return name


def _normal(name: str) -> str:
    """A name as `encodings` looks it up."""
    return re.sub(r"[^a-z0-9.]+", "_", name.lower())
