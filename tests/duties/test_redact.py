"""Redaction: what has to go is gone, in both twins of a result, and nothing else is touched."""

from __future__ import annotations

import copy
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.duties.redact import REDACTED, RedactionError, change_at, empty, parse_path
from pbac.duties.table import after, join
from pbac.model.decision import Duty

CANARY = "hunter2"


def paths(*texts):
    return join((Duty(kind="redact", rule="p.r", parameters={"paths": list(texts)}),))


def matching(pattern, inside=None):
    parameters = {"pattern": pattern, "in": inside}
    return join((Duty(kind="redact", rule="p.r", parameters=parameters),))


def result(structured=None, text=None):
    tree = {"content": [{"type": "text", "text": text or json.dumps(structured)}], "isError": False}
    return tree if structured is None else {**tree, "structuredContent": structured}


def test_every_text_of_the_content_is_taken_out():
    found = after(paths("result.content.*.text"), result(text=CANARY))
    assert found == {"content": [{"type": "text", "text": REDACTED}], "isError": False}


def test_a_member_of_the_structured_content_leaves_the_serialised_twin_too():
    secret = {"user": "alice", "password": CANARY, "nested": [{"password": CANARY, "n": 1}]}
    found = after(paths("result.structuredContent.**.password"), result(secret))
    expected = {"user": "alice", "password": REDACTED, "nested": [{"password": REDACTED, "n": 1}]}
    assert found["structuredContent"] == expected
    assert json.loads(found["content"][0]["text"]) == expected
    assert CANARY not in json.dumps(found)


def test_a_twin_that_is_prose_is_taken_out_whole():
    found = after(
        paths("result.structuredContent.password"),
        result({"password": CANARY}, text=f"The password is {CANARY}."),
    )
    assert CANARY not in json.dumps(found)


def test_prose_stays_when_nothing_was_taken_out():
    tree = result({"user": "alice"}, text="The user is alice.")
    assert after(paths("result.structuredContent.password"), tree) == tree


def test_json_in_a_text_is_redacted_also_without_a_structured_twin():
    found = after(paths("result.structuredContent.password"), result(text='{"password": "x"}'))
    assert json.loads(found["content"][0]["text"]) == {"password": REDACTED}


def test_a_path_into_the_content_drops_the_structured_twin():
    found = after(paths("result.content.*.text"), result({"password": CANARY}))
    assert "structuredContent" not in found
    assert CANARY not in json.dumps(found)


def test_embedded_resources_are_texts_as_well():
    tree = result({"password": CANARY}, text="ok")
    tree["content"].append({"type": "resource", "resource": {"uri": "x:y", "text": CANARY}})
    found = after(paths("result.structuredContent.password"), tree)
    assert CANARY not in json.dumps(found)


@pytest.mark.parametrize("path", ["result", "result.**", "result.*"])
def test_everything_can_be_taken_out_and_it_is_still_a_result(path):
    found = after(paths(path), result({"password": CANARY}))
    assert found["content"] == []
    assert CANARY not in json.dumps(found)


def test_values_become_empty_ones_of_their_kind():
    assert [empty(v) for v in ("x", 1, True, None, [1], {"a": 1})] == [
        REDACTED, None, None, None, [], {},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("result.a", ["a"]),
        ("result.*", ["a", "b.c", "b.d.c", "l.0.c", "l.1.c"]),
        ("result.b.c", ["b.c"]),
        ("result.**.c", ["b.c", "b.d.c", "l.0.c", "l.1.c"]),
        ("result.*.c", ["b.c"]),
        ("result.l.*.c", ["l.0.c", "l.1.c"]),
        ("result.l.c", []),
        ("result.**.**.c", ["b.c", "b.d.c", "l.0.c", "l.1.c"]),
        ("result.b.**.c", ["b.c", "b.d.c"]),
    ],
)
def test_paths_lead_where_they_say(path, gone):
    tree = {"a": "A", "b": {"c": "C", "d": {"c": "E"}}, "l": [{"c": "F"}, {"c": "G"}]}
    names = {"a": "A", "b.c": "C", "b.d.c": "E", "l.0.c": "F", "l.1.c": "G"}
    left = json.dumps(change_at(tree, parse_path(path), empty))
    for name, value in names.items():
        assert (f'"{value}"' not in left) == (name in gone), name


def test_a_pattern_is_taken_out_of_every_text_and_name():
    tree = result({"k": f"a {CANARY} b", CANARY: ["x", CANARY + CANARY]})
    found = after(matching("hunter[0-9]"), tree)
    assert found["structuredContent"] == {
        "k": f"a {REDACTED} b",
        REDACTED: ["x", REDACTED + REDACTED],
    }
    assert CANARY not in json.dumps(found)


def test_an_escape_does_not_hide_a_match():
    tree = result(text='{"key": "\\u002d\\u002d\\u002d\\u002d\\u002dBEGIN RSA KEY-----"}')
    found = after(matching("-----BEGIN [A-Z ]{0,40}-----"), tree)
    assert "BEGIN" not in json.loads(found["content"][0]["text"])["key"]


def test_a_pattern_with_a_path_covers_the_twin_and_nothing_beyond():
    tree = {**result({"a": CANARY, "b": "x"}), "_meta": {"trace": CANARY}}
    found = after(matching("hunter2", "result.content.*.text"), tree)
    assert found["_meta"]["trace"] == CANARY
    assert CANARY not in json.dumps([found["content"], found["structuredContent"]])


def test_redactions_of_several_rules_are_a_union():
    duties = (
        Duty(kind="redact", rule="p.a", parameters={"paths": ["result.structuredContent.a"]}),
        Duty(kind="redact", rule="p.b", parameters={"paths": ["result.structuredContent.b"]}),
        Duty(kind="redact", rule="p.c", parameters={"pattern": "sec[a-z]+", "in": None}),
    )
    found = after(join(duties), result({"a": "1", "b": "2", "c": "my secret"}))
    assert found["structuredContent"] == {"a": REDACTED, "b": REDACTED, "c": f"my {REDACTED}"}


def test_a_result_with_more_text_than_can_be_searched_is_withheld():
    with pytest.raises(RedactionError) as withheld:
        after(matching("x"), result(text="y" * 1_000_001))
    assert withheld.value.code == "duty_failed"


def test_searching_takes_time_in_line_with_the_text():
    started = time.perf_counter()
    after(matching("(a|aa|b?)*c"), result(text="a" * 200_000))
    assert time.perf_counter() - started < 5


trees = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["x", CANARY, "a" + CANARY]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(trees, st.sampled_from(["result.**.a", "result.structuredContent.*", "result.b.**"]))
def test_the_given_tree_is_never_changed(tree, path):
    given_tree = result({"a": tree, "b": tree})
    before = copy.deepcopy(given_tree)
    after(paths(path), given_tree)
    after(matching(CANARY), given_tree)
    assert given_tree == before


@given(trees)
def test_after_a_pattern_no_text_holds_it(tree):
    assert CANARY not in json.dumps(after(matching(CANARY), result({"a": tree})))
