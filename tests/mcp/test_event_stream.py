"""Event streams: the standard's own examples, split at every byte, and bounded."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbac.mcp.event_stream import (
    KEEP_ALIVE,
    Event,
    EventStreamError,
    EventStreamReader,
    encode,
    encode_message,
)


def read(*chunks, **bounds):
    reader = EventStreamReader(**bounds)
    return [event for chunk in chunks for event in reader.feed(chunk)]


STREAMS = [
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event("YHOO\n+2\n10")]),
    (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third\n\n",
     [Event("first event", id="1"), Event("second event", id=""), Event(" third")]),
    (b"data\n\ndata\ndata\n\ndata:", [Event(""), Event("\n")]),
    (b"data:test\n\ndata: test\n\n", [Event("test"), Event("test")]),
    (b"event: ping\ndata: {}\nretry: 1500\nid: 7\n\n", [Event("{}", "ping", "7", 1500)]),
    (b"id: 3\ndata:\n\n", [Event("", id="3")]),
    (b"event: lost\n\ndata: kept\n\n", [Event("kept")]),
    (b"retry: 1x\nretry: \xd9\xa1\nretry: 9999999999\ndata: a\n\n", [Event("a")]),
    (b"id: a\0b\ndata: a\n\n", [Event("a")]),
    (b"Data: no\ndata : no\nunknown: x\ndata: a: b\n\n", [Event("a: b")]),
    (b"\xef\xbb\xbfdata: marked\n\n", [Event("marked")]),
    (b"\xef\xbb\xbf\xef\xbb\xbfdata: twice\n\n", []),
    (b"data: \xc3\xa9\r\ndata: \xe2\x82\xac\r\n\r\n", [Event("é\n€")]),
    (b"data: a\rdata: b\r\rdata: c\r\r", [Event("a\nb"), Event("c")]),
    (b"data: a\r\n\rdata: b\n\r\n", [Event("a"), Event("b")]),
    (b"data: never ended\n", []),
    (b"", []),
]  # fmt: skip


@pytest.mark.parametrize(("stream", "events"), STREAMS, ids=lambda v: repr(v)[:40])
def test_a_stream_reads_the_same_whole_and_split_at_every_byte(stream, events):
    assert read(stream) == events
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == events
    for cut in range(len(stream)):
        assert read(stream[:cut], stream[cut:]) == events


def test_an_event_above_the_cap_ends_the_stream_however_it_is_spread():
    for chunks in (
        [b"data: " + b"x" * 100],
        [b"x"] * 100,
        [b"data: 1234\n"] * 10,
        [b":" + b"x" * 100],
        [b":" + b"x" * 100 + b"\n\ndata: a\n\n"],
        [b"data: " + b"x" * 100 + b"\n\n"],
    ):
        with pytest.raises(EventStreamError) as caught:
            read(*chunks, event_bytes_max=64)
        assert caught.value.code == "event_too_large"


def test_a_long_stream_of_small_events_and_comments_is_no_large_event():
    assert len(read(*[b": ping\n\n", b"data: 12345678\n\n"] * 100, event_bytes_max=64)) == 100


def test_bytes_that_are_not_utf8_end_the_stream():
    with pytest.raises(EventStreamError):
        read(b"data: \xff\n\n")


def test_a_large_event_in_small_pieces_is_read_in_linear_time():
    body = b"x" * 2_000_000
    stream = b"data: " + body + b"\n\n"
    assert (
        read(*(stream[i : i + 1_000] for i in range(0, len(stream), 1_000)))[0].data
        == body.decode()
    )


def test_no_data_can_become_a_field():
    hostile = "a\nid: 1\r\revent: endpoint\n\ndata: b"
    assert read(encode(hostile)) == [Event(hostile.replace("\r", "\n"))]
    with pytest.raises(ValueError):
        encode("x", event="message\ndata: y")


@settings(max_examples=100)
@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3))
def test_a_message_survives_its_event(tree):
    message = {"jsonrpc": "2.0", "id": 1, "result": tree}
    (event,) = read(KEEP_ALIVE + encode_message(message))
    assert json.loads(event.data) == message
