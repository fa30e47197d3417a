"""Rows about texts that lie: patterns, letters of other alphabets, globs, paths."""

from __future__ import annotations

import re

from hostile.rows import IS_SAFE, Ruled, each, repo, texts, whole

# --- POL-12 to POL-15: patterns, letters, globs, paths -----------------------------------------

_NEARLY_SAFE = ("safe\n", "\nsafe", "unsafe", "safer", "safe ", "SAFE", "safe\r", "safe\0", "")
_NEARLY_SAFE += ("safe\u2028", "safe\r\n", "\ufeffsafe", "ｓａｆｅ", "sa\u00adfe")
ANCHORS = (
    repo("whole", "permit", 'args.repo matches r"safe"', whole("repo", "safe"), *_NEARLY_SAFE),
    repo("whole_not", "when", 'not args.repo matches r"safe"', IS_SAFE, *_NEARLY_SAFE),
    repo(
        "either",
        "permit",
        'args.repo matches r"safe|ok"',
        whole("repo", "safe|ok"),
        "unsafe|ok",
        "notok",
        "okay",
    ),
    repo(
        "dot",
        "permit",
        'args.repo matches r"s.fe"',
        whole("repo", "s.fe"),
        "s\nfe",
        "sfe",
        "s\r\nfe",
    ),
    repo("dots", "permit", 'args.repo matches r"s.*"', whole("repo", "s.*"), "s\nx", "\ns", "x\ns"),
)

_DIGITS = ("१२", "１", "1१", "²", "①", "٣", "")
LETTERS = (
    Ruled(
        "digits",
        "permit",
        r'args.x matches r"\d+"',
        whole("x", r"\d+"),
        ({"x": "12"},),
        each("x", *_DIGITS, 12),
    ),
    Ruled(
        "digits_not",
        "when",
        r'args.x matches r"\D*"',
        texts("x", lambda x: not re.fullmatch(r"\D*", x, re.ASCII)),
        ({"x": "12"},),
        each("x", *_DIGITS[:2], 12),
    ),
    Ruled(
        "letters",
        "permit",
        r'args.x matches r"\w+"',
        whole("x", r"\w+"),
        ({"x": "aZ_9"},),
        each("x", "é", "ſ", "ａ", "a b", "a\u200b"),
    ),
    Ruled(
        "folded",
        "permit",
        'args.x matches r"(?i)k[a-z]*s"',
        whole("x", "[kK][a-zA-Z]*[sS]"),
        each("x", "ks", "KilnS")[:-1],
        each("x", "\u212as", "kſ", "ＫＳ"),
    ),
    Ruled(
        "lower",
        "permit",
        'lower(args.x) == "admin"',
        whole("x", "[aA][dD][mM][iI][nN]"),
        each("x", "ADMIN", "admin")[:-1],
        each("x", "ADM\u0130N", "adm\u0131n", "ＡＤＭＩＮ", "admin\u0307"),
    ),
    Ruled(
        "lower_dotted",
        "permit",
        r'lower(args.x) == "i\u{307}"',
        texts("x", lambda x: x in ("i\u0307", "I\u0307")),
        ({"x": "I\u0307"},),
        each("x", "\u0130", "i", "\u0131"),
    ),
    Ruled(
        "lower_kelvin",
        "permit",
        'lower(args.x) == "k"',
        texts("x", lambda x: x in ("k", "K")),
        ({"x": "K"},),
        each("x", "\u212a", "ｋ"),
    ),
)

_TEXT_BEYOND = ("acme/x/../../evil", "acme%2Fx", "ACME/x", "xacme/y", "acme", "acme//x", "/acme/x")
_TEXT_BEYOND += ("acme\\x", "acme\u2215x", "evil/acme/x", "acme/x/y", " acme/x", "acme /x")
_ROUTE_BEYOND = ("acme/", "acme/x?ref=..", "acme/..", "acme/.", "acme/x#y", "acme/x%2F..", "acme/ ")
GLOBS = (
    Ruled(
        "glob",
        "permit",
        'args.repo like "acme/*"',
        whole("repo", r"(?s)acme/[^/]*"),
        ({"repo": "acme/x"},),
        each("repo", *_TEXT_BEYOND, ["acme/x"], None),
    ),
    Ruled(
        "glob_not",
        "when",
        'not args.repo like "acme/*"',
        whole("repo", r"(?s)acme/[^/]*"),
        ({"repo": "acme/x"},),
        each("repo", *_TEXT_BEYOND, ["acme/x"], None),
    ),
    Ruled(
        "route",
        "permit",
        'args.repo matches r"acme/[a-z0-9_-]+"',
        whole("repo", r"acme/[a-z0-9_-]+"),
        ({"repo": "acme/x"},),
        each("repo", *_TEXT_BEYOND, *_ROUTE_BEYOND, ["acme/x"], None),
    ),
)


def _inside(path):
    """A path that every reader takes to be /data or below it."""
    odd = re.search(r"[\x00-\x1f\x7f\\%]", path) or not path.startswith("/") or "//" in path
    names = [name for name in path.split("/") if name not in ("", ".")]
    return not odd and ".." not in names and names[:1] == ["data"]


_OUTSIDE = ("/data/../etc/passwd", "/data\\..\\", "/data/%2e%2e/etc", "//data/x", "data/x", "", "/")
_OUTSIDE += ("/data//x", "/data/x//", "///data")
_OUTSIDE += ("./data/x", "/database/x", "/dat", "/DATA/x", "/data/x\0", "/data/x\n", "/data/..")
_OUTSIDE += ("/data//x", "/data/x//", "///data")
_OUTSIDE += ("/data/x/../..", "\\data\\x", "C:/data/x", "file:///data/x", "~/data", "/x/../data/y")
_OUTSIDE += ("/data//x", "/data/x//", "///data")
_OUTSIDE += ("/etc", "/./../data")
_PATHS = each("path", "/data", "/data/x", "/data/x/.y", "/data/x/", "/data/./x", "/data/...")[:-1]
_ODD_PATHS = each("path", *_OUTSIDE, ["/data/x"], {"path": "/data/x"}, None, 5)
PATHS = (
    Ruled("path", "permit", 'args.path within "/data"', texts("path", _inside), _PATHS, _ODD_PATHS),
    Ruled(
        "path_not",
        "when",
        'not args.path within "/data"',
        texts("path", _inside),
        _PATHS,
        _ODD_PATHS,
    ),
    Ruled(
        "path_some",
        "permit",
        'args.path within "/data" or args.path within "/data/x"',
        texts("path", _inside),
        _PATHS,
        _ODD_PATHS,
    ),
)
