"""The table of eras, row by row, and what each method is in each revision."""

import contextlib

import pytest
from multidict import CIMultiDict

from pbac.mcp.jsonrpc import Batch, Notification, Request
from pbac.mcp.methods import METHODS, require_method, require_notification
from pbac.mcp.versions import (
    LEGACY_VERSIONS,
    MODERN_VERSIONS,
    VERSION_KEY,
    Era,
    Wire,
    choose_era,
    negotiate,
)
from pbac.mcp.wire_errors import JsonRpcError

MODERN_META = {"_meta": {VERSION_KEY: "2026-07-28"}}


def request(method="tools/list", params=None):
    return Request(id=7, method=method, params=params or {})


def version(value):
    return [("MCP-Protocol-Version", value)]


CHOSEN = [
    ([], request("initialize"), None, "legacy", "2025-11-25"),
    ([], request(), "2025-06-18", "legacy", "2025-06-18"),
    ([], request(), None, "legacy", "2025-03-26"),
    ([], Batch(messages=(request(),)), "2025-03-26", "legacy", "2025-03-26"),
    (version("2025-06-18"), request(), "2025-06-18", "legacy", "2025-06-18"),
    (version("2025-06-18"), request(), None, "legacy", "2025-06-18"),
    (version(" 2025-06-18\t"), request(), None, "legacy", "2025-06-18"),
    (version("2026-07-28"), request("initialize"), None, "modern", "2026-07-28"),
    (version("2026-07-28"), None, None, "modern", "2026-07-28"),
    (version("2026-07-28"), request(), "2025-06-18", "modern", "2026-07-28"),
]


@pytest.mark.parametrize(("headers", "message", "session", "era", "chosen"), CHOSEN)
def test_the_header_then_the_session_then_the_body_choose(headers, message, session, era, chosen):
    assert choose_era(CIMultiDict(headers), message, session) == Wire(Era(era), chosen)


UNKNOWN = {"_meta": {VERSION_KEY: "2099-01-01"}}
REFUSED = [
    ([], request(params=MODERN_META), None, "header_mismatch"),
    ([], Notification(method="x", params=MODERN_META), None, "header_mismatch"),
    (version("2025-06-18"), request(), "2025-11-25", "invalid_request"),
    (version("2025-06-18"), request(params=MODERN_META), "2025-06-18", "header_mismatch"),
    (version("2025-06-18"), Notification(method="x", params=MODERN_META), None, "header_mismatch"),
    (version("2099-01-01"), request(params=UNKNOWN), None, "unsupported_version"),
    (version("2099-01-01"), request(), None, "unsupported_version"),
    (version("2024-11-05"), request(), None, "unsupported_version"),
    (version(""), request(), None, "unsupported_version"),
    (version("2026-07-28\0"), request(), None, "header_mismatch"),
    (version("2026-07-28") * 2, request(), None, "header_mismatch"),
    (version("2026-07-28, 2025-03-26"), request(), None, "unsupported_version"),
    (version("\udcff"), request(), None, "header_mismatch"),
    (version("2025-06-18"), Batch(messages=(request(),)), None, "invalid_request"),
    (version("2026-07-28"), Batch(messages=(request(),)), None, "invalid_request"),
    ([], Batch(messages=(request(),)), "2025-11-25", "invalid_request"),
]


@pytest.mark.parametrize(("headers", "message", "session", "code"), REFUSED)
def test_a_version_that_is_unknown_doubled_or_contradicted_is_refused(
    headers, message, session, code
):
    with pytest.raises(JsonRpcError) as caught:
        choose_era(CIMultiDict(headers), message, session)
    assert caught.value.code == code


def test_an_unsupported_version_is_answered_with_modern_versions_only_and_the_id():
    with pytest.raises(JsonRpcError) as caught:
        choose_era(CIMultiDict(version("2099-01-01")), request(params=UNKNOWN))
    answer = caught.value.answer()
    assert answer["id"] == 7
    assert answer["error"]["data"] == {"supported": ["2026-07-28"], "requested": "2099-01-01"}


def test_initialize_is_answered_with_the_same_version_or_the_newest_legacy_one():
    assert [negotiate(v) for v in LEGACY_VERSIONS] == list(LEGACY_VERSIONS)
    assert [negotiate(v) for v in ("2024-11-05", "2026-07-28", "")] == ["2025-11-25"] * 3


def served_in(wire):
    served = set()
    for name in METHODS:
        with contextlib.suppress(JsonRpcError):
            require_method(name, wire, 1)
            served.add(name)
    return served


@pytest.mark.parametrize("v", LEGACY_VERSIONS)
def test_legacy_revisions_are_served_the_handshake_ping_and_tools(v):
    assert served_in(Wire(Era.LEGACY, v)) == {"initialize", "ping", "tools/list", "tools/call"}


@pytest.mark.parametrize("v", MODERN_VERSIONS)
def test_modern_revisions_are_served_discovery_and_tools(v):
    assert served_in(Wire(Era.MODERN, v)) == {"server/discover", "tools/list", "tools/call"}


def test_a_removed_method_is_answered_with_the_supported_versions():
    with pytest.raises(JsonRpcError) as caught:
        require_method("initialize", Wire(Era.MODERN, "2026-07-28"), 1)
    assert "2025-11-25" in caught.value.answer()["error"]["message"]


@pytest.mark.parametrize("name", ["Tools/Call", "tools//call", "TOOLS/CALL", "x/y", "__class__"])
def test_a_method_name_is_compared_exactly(name):
    with pytest.raises(JsonRpcError) as caught:
        require_method(name, Wire(Era.LEGACY, "2025-11-25"), 1)
    assert caught.value.code == "method_not_found"


def test_a_tool_call_without_an_id_is_refused_and_an_unknown_notification_passes():
    with pytest.raises(JsonRpcError) as caught:
        require_notification("tools/call")
    assert caught.value.code == "invalid_request"
    require_notification("notifications/initialized")
    require_notification("notifications/of_tomorrow")


def test_every_method_that_acts_on_something_names_what():
    for name, row in METHODS.items():
        assert row.named_by_header <= bool(row.resource), name
        assert bool(row.resource) <= bool(row.action), name
