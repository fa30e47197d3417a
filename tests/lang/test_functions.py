"""The table of functions, row by row: values in, value or UNKNOWN out, never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.base.limits import STRINGS_MAX
from pbac.lang.evaluate.functions import FUNCTIONS, function_of, prepared
from pbac.lang.evaluate.patterns import PatternError
from pbac.lang.evaluate.truth import UNKNOWN, conjunction, disjunction, truth_of, value_of
from pbac.model.values import MISSING

KINDS = {"any", "scalar", "comparable", "string", "number", "boolean", "list", "record"}
KINDS |= {"datetime", "duration", "date", "address", "version"}


def ask(name, *operands):
    return FUNCTIONS[name].evaluate(*operands)


@pytest.mark.parametrize(
    ("left", "name", "right", "expected"),
    [
        (1, "==", 1.0, True),
        (True, "==", 1, UNKNOWN),
        ("500", "==", 500, UNKNOWN),
        (None, "==", None, True),
        (None, "==", "a", UNKNOWN),
        (MISSING, "==", MISSING, UNKNOWN),
        (MISSING, "==", None, UNKNOWN),
        ([], "==", [], UNKNOWN),
        ({}, "!=", {}, UNKNOWN),
        (2**53 - 1, "==", float(2**53), False),
        ("a", "!=", "b", True),
        (MISSING, "!=", "b", UNKNOWN),
        ("500", ">", 100, UNKNOWN),
        (False, "<", True, UNKNOWN),
        (None, "<", None, UNKNOWN),
        ("Z", "<", "a", True),
        ("\uffff", "<", "\U00010000", True),  # by code point, not by UTF-16 unit
        (0.1, "<", 1, True),
        ("2026-07-06", "<=", "2026-07-06", True),
        ("2.10", "version >", "2.9", True),
        ("2.1", "version ==", "2.1.0", True),
        ("2.1-rc1", "version <", "2.1", UNKNOWN),
        ("v2", "version >=", "1", UNKNOWN),
        ("٢", "version ==", "2", UNKNOWN),
        (2, "version ==", "2", UNKNOWN),
        ("2.1", "version in", ["2.0", "2.1.0"], True),
        ("3", "version not in", ["2", "x"], UNKNOWN),
    ],
)
def test_a_comparison(left, name, right, expected):
    assert ask(name, left, right) is expected


@pytest.mark.parametrize(
    ("value", "name", "collection", "expected"),
    [
        ("a", "in", ["a", 1], True),
        ("a", "in", [1, "a"], True),
        ("a", "in", ["b"], False),
        ("a", "in", ["b", 1], UNKNOWN),
        (1, "in", [True], UNKNOWN),
        (1, "in", [1.0, True], True),
        (MISSING, "in", ["a"], UNKNOWN),
        (MISSING, "in", [], False),
        ("a", "in", MISSING, UNKNOWN),
        ("a", "in", {"a": 1}, UNKNOWN),
        ("a", "in", "abc", UNKNOWN),
        ([], "in", [[]], UNKNOWN),
        ("a", "not in", ["b"], True),
        ("a", "not in", ["b", None], UNKNOWN),
        (["a"], "contains", "a", True),
        ("abc", "contains", "b", True),
        ("abc", "contains", 1, UNKNOWN),
        ({"a": 1}, "contains", "a", UNKNOWN),
        (["a", 1], "intersects", [1], True),
        (["a"], "intersects", ["b"], False),
        (["a"], "intersects", [1], UNKNOWN),
        ([[]], "intersects", [[]], UNKNOWN),
        ([], "intersects", ["a"], False),
        ([], "intersects", None, UNKNOWN),
        (["a"], "subset of", ["b", "a"], True),
        (["a", "c"], "subset of", ["b", "a"], False),
        (["a", "c"], "subset of", [1, "a"], UNKNOWN),
        ([], "subset of", [], True),
        ([], "subset of", MISSING, UNKNOWN),
        ([[]], "subset of", [], False),
    ],
)
def test_membership(value, name, collection, expected):
    assert ask(name, value, collection) is expected


def test_membership_is_an_or_of_equalities_and_so_on(make):
    """Against the definitions in the Law, pair by pair."""
    items = st.lists(make.SCALARS | st.just([]) | st.just(MISSING), max_size=5)

    def equalities(value, others):
        return disjunction(truth_of(ask("==", value, other)) for other in others)

    @given(make.SCALARS, items, items)
    def check(value, left, right):
        assert ask("in", value, right) is value_of(equalities(value, right))
        crossing = disjunction(equalities(item, right) for item in left)
        assert ask("intersects", left, right) is value_of(crossing)
        within = conjunction(equalities(item, right) for item in left)
        assert ask("subset of", left, right) is value_of(within)

    check()


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/srv/space/a", "/srv/space", True),
        ("/srv/space", "/srv/space/", True),
        ("/srv/space2", "/srv/space", False),
        ("/srv", "/srv/space", False),
        ("/anything", "/", True),
        ("/srv/space/./a/", "/srv/space", True),
        ("/srv/space/../x", "/srv/space", UNKNOWN),
        ("/srv/space/..", "/srv", UNKNOWN),
        ("/srv/a..b", "/srv", True),
        ("/srv/%2e%2e/x", "/srv", UNKNOWN),
        ("/srv\\x", "/srv", UNKNOWN),
        ("srv/x", "/srv", UNKNOWN),
        ("", "/srv", UNKNOWN),
        ("/srv/\0", "/srv", UNKNOWN),
        ("//srv/x", "/srv", UNKNOWN),
        ("/srv//x", "/srv", UNKNOWN),
        ("/srv/x", "srv", UNKNOWN),
        (None, "/srv", UNKNOWN),
    ],
)
def test_within_is_lexical_and_gives_up_on_anything_odd(path, root, expected):
    assert ask("within", path, root) is expected


@pytest.mark.parametrize(
    ("address", "network", "expected"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "::ffff:10.0.0.0/104", True),
        ("2001:db8::1", "2001:db8::/32", True),
        ("2001:db8::1", "10.0.0.0/8", False),
        ("010.1.2.3", "10.0.0.0/8", UNKNOWN),
        ("10.1.2.3 ", "10.0.0.0/8", UNKNOWN),
        ("fe80::1%eth0", "fe80::/10", UNKNOWN),
        (167772161, "10.0.0.0/8", UNKNOWN),
        ("10.1.2.3", "10.0.0.1/8", UNKNOWN),
        ("10.1.2.3", None, UNKNOWN),
    ],
)
def test_in_cidr_unmaps_first(address, network, expected):
    assert ask("in cidr", address, network) is expected


@pytest.mark.parametrize(
    ("url", "scheme", "host"),
    [
        ("https://Api.Example.com:8443/x?y#z", "https", "api.example.com"),
        ("HTTP://example.com", "http", "example.com"),
        ("http://[2001:DB8:0::1]/", "http", "2001:db8::1"),
        ("http://10.0.0.1/", "http", "10.0.0.1"),
        ("file:///etc/passwd", "file", UNKNOWN),
        ("https://good.com@evil.com/", UNKNOWN, UNKNOWN),
        ("https://good.com\\@evil.com/", UNKNOWN, UNKNOWN),
        ("https:///evil.com", UNKNOWN, UNKNOWN),
        ("https:evil.com", UNKNOWN, UNKNOWN),
        ("//evil.com", UNKNOWN, UNKNOWN),
        ("http://2130706433/", UNKNOWN, UNKNOWN),
        ("http://0x7f.1/", UNKNOWN, UNKNOWN),
        ("http://127.1/", UNKNOWN, UNKNOWN),
        ("http://010.0.0.1/", UNKNOWN, UNKNOWN),
        ("http://metadata.internal./", UNKNOWN, UNKNOWN),
        ("http://ex%61mple.com/", UNKNOWN, UNKNOWN),
        ("http://exämple.com/", UNKNOWN, UNKNOWN),
        ("http://example.com/a b", UNKNOWN, UNKNOWN),
        (" http://example.com/", UNKNOWN, UNKNOWN),
        ("http://example.com/\n", UNKNOWN, UNKNOWN),
        ("http://example.com:99999/", UNKNOWN, UNKNOWN),
        ("http://example.com:/", UNKNOWN, UNKNOWN),
        (None, UNKNOWN, UNKNOWN),
    ],
)
def test_a_url_has_a_host_only_when_every_parser_would_agree(url, scheme, host):
    assert (ask("scheme", url), ask("host", url)) == (scheme, host)


WEEK = "mon,tue,wed,thu,fri"


@pytest.mark.parametrize(
    ("local", "zone", "window", "expected"),
    [
        ("2026-07-06T09:00:00", "Europe/Berlin", (WEEK, 540, 1020, "Europe/Berlin"), True),
        ("2026-07-06T08:59:59", "Europe/Berlin", (WEEK, 540, 1020, "Europe/Berlin"), False),
        ("2026-07-06T16:59:59", "Europe/Berlin", (WEEK, 540, 1020, "Europe/Berlin"), True),
        ("2026-07-06T17:00:00", "Europe/Berlin", (WEEK, 540, 1020, "Europe/Berlin"), False),
        ("2026-07-05T12:00:00", "Europe/Berlin", (WEEK, 540, 1020, "Europe/Berlin"), False),
        ("2026-01-05T08:30:00", "UTC", (WEEK, 540, 1020, "Europe/Berlin"), True),  # winter
        ("2026-07-06T07:30:00", "UTC", (WEEK, 540, 1020, "Europe/Berlin"), True),  # summer
        ("2026-07-11T03:00:00", "UTC", ("fri", 1320, 360, "UTC"), True),  # Friday's night
        ("2026-07-10T03:00:00", "UTC", ("fri", 1320, 360, "UTC"), False),  # Thursday's
        ("2026-07-10T22:00:00", "UTC", ("fri", 1320, 360, "UTC"), True),
        ("2026-07-11T06:00:00", "UTC", ("fri", 1320, 360, "UTC"), False),
        ("2026-07-12T23:59:59", "UTC", ("sun", 0, 1440, "UTC"), True),
        ("2026-07-06T09:00:00", "UTC", (WEEK, 540, 540, "UTC"), UNKNOWN),
        ("2026-07-06T09:00:00", "UTC", (WEEK, 540, 1020, "Europe/Atlantis"), UNKNOWN),
        ("2026-07-06T09:00:00", "UTC", (WEEK, 540, 1020, "../../etc/passwd"), UNKNOWN),
        ("2026-07-06T09:00:00", "UTC", (WEEK, 540, 1020, "Europe"), UNKNOWN),
        ("2026-07-06T09:00:00", "UTC", ("monday", 540, 1020, "UTC"), UNKNOWN),
    ],
)
def test_a_window_is_local_wall_time(make, local, zone, window, expected):
    assert ask("in window", make.moment(local, zone), *window) is expected


def test_an_hour_that_happens_twice_is_inside_twice(make):
    first = make.moment("2026-10-25T00:30:00", "UTC")  # 02:30 summer time, then 02:30 winter time
    for moment in (first, first + 3_600_000):
        assert ask("in window", moment, "sun", 120, 180, "Europe/Berlin") is True


@pytest.mark.parametrize("moment", [None, "2026", 1.5, True, -1, 2**53 - 1, MISSING])
def test_a_window_holds_no_moment_that_is_none(moment):
    assert ask("in window", moment, WEEK, 540, 1020, "UTC") is UNKNOWN


@pytest.mark.parametrize(
    ("name", "operands", "expected"),
    [
        ("starts with", ("abc", "ab"), True),
        ("starts with", (["a"], "a"), UNKNOWN),
        ("ends with", ("abc", "ab"), False),
        ("like", ("acme/api", "acme/*"), True),
        ("like", ("acme/api/x", "acme/*"), False),
        ("like", ("acme/api/x", "acme/**"), True),
        ("like", ("acme/api/x", "*"), True),
        ("like", (1, "*"), UNKNOWN),
        ("like", ("x", None), UNKNOWN),
        ("matches", ("abc", "[a-c]+"), True),
        ("matches", ("abcd", "[a-c]+"), False),
        ("matches", ("safe\n", "safe"), False),
        ("matches", ("x", "("), UNKNOWN),
        ("count", ([1, 2],), 2),
        ("count", ({"a": 1},), 1),
        ("count", ("abc",), UNKNOWN),
        ("strings", ({"a": ["x", {"b": "y"}], "c": 1, "d": "z"},), ["x", "y", "z"]),
        ("strings", (None,), []),
        ("strings", (MISSING,), UNKNOWN),
        ("strings", ([UNKNOWN],), UNKNOWN),
        ("strings", (["x"] * STRINGS_MAX,), ["x"] * STRINGS_MAX),
        ("strings", (["x"] * (STRINGS_MAX + 1),), UNKNOWN),
        ("lower", ("ÄBC İ",), "Äbc İ"),
        ("lower", ("ABC",), "abc"),
        ("lower", (1,), UNKNOWN),
    ],
)
def test_a_function(name, operands, expected):
    assert ask(name, *operands) == expected


def test_no_evaluator_ever_raises(make):
    anything = make.VALUES | st.sampled_from([MISSING, UNKNOWN, [MISSING], {"a": UNKNOWN}])

    @given(st.data())
    def check(data):
        for row in FUNCTIONS.values():
            operands = [data.draw(anything) for _ in row.operands]
            answer = row.evaluate(*operands)
            assert answer is not MISSING
            if row.result == "boolean":
                assert answer is True or answer is False or answer is UNKNOWN

    check()


def test_the_table_says_what_the_checker_needs():
    for name, row in FUNCTIONS.items():
        assert row.name == name
        assert {*row.operands, row.result} <= KINDS
        assert row.cost >= 1


def test_versions_are_compared_as_versions_wherever_one_is_known(make):
    path = make.path("agent.software_version")
    assert function_of(make.op(">=", path, "2.1")).name == "version >="
    assert function_of(make.op("<", "$args.x", make.lit("2", "version"))).name == "version <"
    assert function_of(make.op("in", path, ["2.1"])).name == "version in"
    assert function_of(make.op("==", make.default("agent.software_version", "0"), "1")).name == (
        "version =="
    )
    assert function_of(make.op(">=", "$args.x", "2.1")).name == ">="


def test_constants_are_prepared_once_and_bad_ones_refused(make):
    assert prepared(make.op("like", "$args.x", "a*"))("ab") is True
    assert prepared(make.op("like", "$args.x", "$args.y")) is None
    assert prepared(make.op("==", "$args.x", "y")) is None
    with pytest.raises(PatternError):
        prepared(make.op("matches", "$args.x", "(?=x)"))
    with pytest.raises(ValueError, match="host bits"):
        prepared(make.op("in cidr", "$env.ip", "10.0.0.1/8"))
    with pytest.raises(ValueError, match="no time zone"):
        prepared(make.op("in window", "$env.now", "mon", 0, 60, "Mars/Olympus"))
