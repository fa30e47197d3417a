"""Strict JSON: what two readers could read differently is refused."""

import contextlib
import json as lax

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.base import json
from pbac.base.limits import JSON_DEPTH_MAX, JSON_INTEGER_MAX

REFUSED = {
    "duplicate name": b'{"a":1,"a":2}',
    "duplicate name, escaped": b'{"name":1,"\\u006eame":2}',
    "duplicate name, deep": b'{"a":[{"b":{"c":1,"c":1}}]}',
    "not a number": b"[NaN]",
    "infinity": b"[Infinity]",
    "minus infinity": b"[-Infinity]",
    "overflow": b"[1e400]",
    "underflow": b"[1e-400]",
    "integer other readers round": b"[9007199254740993]",
    "integer beyond 64 bits": b"[9223372036854775808]",
    "integer of 5,000 digits": b"[" + b"9" * 5000 + b"]",
    "decimal of 5,000 digits": b"[0." + b"9" * 5000 + b"]",
    "leading zero": b"[01]",
    "plus sign": b"[+1]",
    "hexadecimal": b"[0x1]",
    "trailing comma": b"[1,]",
    "comment": b"[1]//x",
    "single quotes": b"{'a':1}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-32": '{"a":1}'.encode("utf-32"),
    "invalid UTF-8": b'["\xff"]',
    "overlong UTF-8": b'["\xc0\xaf"]',
    "CESU-8": b'["\xed\xa0\xbd\xed\xb8\x80"]',
    "lone surrogate": b'["\\ud800"]',
    "lone surrogate in a name": b'{"\\uDC00":1}',
    "the prototype in JavaScript": b'{"__proto__":1}',
    "the prototype in JavaScript, escaped": b'{"a":[{"\\u005f_proto__":{"a":1}}]}',
    "two texts": b"{}{}",
    "trailing NUL": b"{}\x00",
    "raw control character": b'["a\nb"]',
    "too deep": b"[" * (JSON_DEPTH_MAX + 1) + b"]" * (JSON_DEPTH_MAX + 1),
    "far too deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 20_000,
    "empty": b"",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_two_readers_could_read_differently_is_refused(body):
    with pytest.raises(json.JsonError) as error:
        json.decode(body)
    assert "\n" not in error.value.message


def test_depth_is_counted_outside_of_strings():
    assert json.decode(b'["' + b"[" * 1000 + b'"]') == ["[" * 1000]
    at_limit = b"[" * JSON_DEPTH_MAX + b"]" * JSON_DEPTH_MAX
    assert json.decode(at_limit)


def test_a_number_out_of_range_is_told_apart():
    with pytest.raises(json.JsonNumberError) as error:
        json.decode(str(JSON_INTEGER_MAX + 1).encode())
    assert error.value.code == "number_out_of_range"
    assert error.value.help == "send it as a string"
    assert json.decode(str(-JSON_INTEGER_MAX).encode()) == -JSON_INTEGER_MAX


NAMES = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda name: name != "__proto__")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-JSON_INTEGER_MAX, JSON_INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_reads_back_equal(value):
    assert json.decode(json.encode(value)) == value
    assert json.decode(json.canonical(value)) == value


@given(VALUES)
def test_the_standard_reader_sees_the_same_tree(value):
    assert lax.loads(json.encode(value)) == json.decode(json.encode(value))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 9)))
def test_equal_values_have_equal_canonical_bytes(value):
    backwards = dict(reversed(value.items()))
    assert json.canonical(value) == json.canonical(backwards)
    assert json.digest(value) == json.digest(backwards)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_value_or_a_json_error(body):
    with contextlib.suppress(json.JsonError):
        json.decode(body)


def test_an_answer_may_hold_what_64_bits_hold():
    assert json.decode_answer(b"[9223372036854775807]") == [2**63 - 1]
    assert json.decode(json.encode(json.decode_answer(b"[-5]"))) == [-5]
    with pytest.raises(json.JsonNumberError):
        json.decode_answer(b"[9223372036854775808]")
    with pytest.raises(json.JsonError):
        json.decode_answer(b'{"a":1,"a":2}')
    assert json.decode_answer(b'{"__proto__":1}') == {"__proto__": 1}


def test_only_the_name_is_refused_and_not_the_text():
    for text in (b'{"code":"__proto__"}', b'["x.__proto__","\\"__proto__\\""]'):
        assert json.decode(text) == lax.loads(text)


PIECES = st.sampled_from(
    ['{"a":1}', '{"a":1,"a":1}', '{"a": 1, "\\u0061": 2}', '{"a:b, c":1}', "1E5", "1e-400", "-0",
     "-0.0", "0.1", "9007199254740993", "18446744073709551615", "9223372036854775807", "1e400",
     '"a, b: c"', '"\\u00e9"', '"\\/"', '"\\ud83d\\ude00"', '"\\ud83d"', "true", "null", "[]", "{}"]
)  # fmt: skip
TEXTS = st.recursive(
    PIECES,
    lambda inner: (
        st.builds(
            lambda items, gap: "[" + f",{gap}".join(items) + "]",
            st.lists(inner, max_size=4),
            st.sampled_from(["", " ", "  "]),
        )
        | st.builds(
            lambda name, item, gap: f'{{"{name}":{gap}{item},"a":{gap}{item}}}',
            st.sampled_from(["a", "b", "a ", "a:", "a, "]),
            inner,
            st.sampled_from(["", " ", "\n"]),
        )
    ),
    max_leaves=8,
)


@given(TEXTS)
@pytest.mark.parametrize(
    ("decode", "decoder"), [(json.decode, "_DECODER"), (json.decode_answer, "_ANSWER_DECODER")]
)
def test_the_short_way_sees_what_the_long_way_sees(decode, decoder, text):
    """The same value of the same kinds, or the same refusal."""

    def told(read):
        try:
            return repr(read(text.encode()))
        except json.JsonError as error:
            return error.code, error.message

    long_way = getattr(json, decoder)
    assert told(decode) == told(lambda data: json._decode_strictly(data, long_way))


def test_what_our_encoder_writes_takes_the_short_way():
    tree = {"a": [1, 2.5, None, True], "b": {"c": "Grüße", "d": ""}}
    for text in (json.encode(tree), lax.dumps(tree, ensure_ascii=False).encode()):
        assert json._decode_plain(text) == tree
    assert json._decode_plain(b'{"a":1,"a":1}') is json._NOT_PLAIN
