"""`pbac tools import` and `show`, from files and from servers other people wrote."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.listening import listening

FORGE = Path(__file__).parent.parent / "catalog" / "documents" / "forge.yaml"
SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}
REFUND = {"name": "refund", "title": "Refund", "description": "Pay back.", "inputSchema": SCHEMA}
PING = {
    "name": "ping",
    "inputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True, "title": "Ping"},
}
SERVER = """
import sys
from mcp.server.mcpserver import MCPServer
server = MCPServer("orders", log_level="ERROR")
@server.tool()
def find(text: str, limit: int = 10, tags: list[str] | None = None) -> list[str]:
    "Find orders."
    return []
@server.tool()
def refund(order: str, amount: float) -> str:
    "Pay back."
    return ""
if len(sys.argv) > 1:
    server.run("streamable-http", port=int(sys.argv[1]))
else:
    server.run("stdio")
"""


@pytest.fixture(autouse=True)
def _beside_the_policies(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def listed(tmp_path):
    """Writes a saved answer and returns its path."""

    def write(*tools, name="listed.json", wrap=lambda tools: {"tools": tools}):
        path = tmp_path / name
        path.write_text(json.dumps(wrap(list(tools))))
        return path

    return write


def written(tmp_path, server="shop"):
    return json.loads((tmp_path / "policies" / "tools" / f"{server}.json").read_text("utf-8"))


# --- saved answers ---------------------------------------------------------------------------------


def test_a_saved_answer_becomes_a_vocabulary(pbac, listed, tmp_path):
    done = pbac("tools", "import", listed(REFUND, PING), "--server", "shop")
    assert (done.code, done.err) == (0, "")
    assert done.out == "+ ping\n+ refund\npolicies/tools/shop.json  2 tools of `shop`\n"
    assert written(tmp_path) == {
        "server": "shop",
        "source": {"kind": "tools/list", "from": "listed.json"},
        "tools": {
            "refund": {
                "title": "Refund",
                "description": "Pay back.",
                "inputSchema": SCHEMA,
                "hints": {},
                "facts": {},
            },
            "ping": {
                "title": "Ping",
                "inputSchema": {"type": "object"},
                "hints": {"read_only": True},
                "facts": {},
            },
        },
    }


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tools: tools,
        lambda tools: {"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}},
    ],
    ids=["a bare list", "a whole answer"],
)
def test_an_answer_may_be_saved_in_several_ways(pbac, listed, wrap):
    assert pbac("tools", "import", listed(REFUND, wrap=wrap), "--server", "shop").code == 0


def test_the_file_does_not_depend_on_the_order_of_tools(pbac, listed, tmp_path):
    path = tmp_path / "policies" / "tools" / "shop.json"
    pbac("tools", "import", listed(REFUND, PING), "--server", "shop")
    first, before = path.read_bytes(), path.stat().st_ino
    again = pbac("tools", "import", listed(PING, REFUND), "--server", "shop")
    assert again.out == "policies/tools/shop.json  2 tools of `shop`, nothing changed\n"
    assert path.read_bytes() == first
    assert path.stat().st_ino == before, "an unchanged file is not written again"


def test_a_second_import_tells_what_changed_and_keeps_what_people_added(pbac, listed, tmp_path):
    pbac("tools", "import", listed(REFUND, PING), "--server", "shop")
    path = tmp_path / "policies" / "tools" / "shop.json"
    tree = written(tmp_path)
    tree["tools"]["refund"] |= {"facts": {"order": {"type": "object"}}, "scope": "orders:refund"}
    path.write_text(json.dumps(tree))
    schema = {
        "type": "object",
        "properties": {"amount": {"type": "integer"}, "note": {"type": "string"}},
    }
    changed = {**REFUND, "title": "Refund an order", "inputSchema": schema}
    done = pbac("tools", "import", listed(changed, {**PING, "name": "pong"}), "--server", "shop")
    assert done.out.splitlines() == [
        "+ pong",
        "- ping",
        "~ refund: argument `amount` is no longer required; argument `note` is new; another title",
        "policies/tools/shop.json  2 tools of `shop`",
    ]
    kept = written(tmp_path)["tools"]["refund"]
    assert kept["facts"] == {"order": {"type": "object"}}
    assert kept["scope"] == "orders:refund"


def test_json_for_programs(pbac, listed):
    bad = {"name": "odd", "inputSchema": {"type": "object", "$ref": "https://x.example/s"}}
    done = pbac("tools", "import", listed(REFUND, bad), "--server", "shop", "--json")
    assert done.json == {
        "path": "policies/tools/shop.json",
        "server": "shop",
        "tools": 1,
        "added": ["refund"],
        "removed": [],
        "changed": {},
        "left_out": [
            {
                "tool": "odd",
                "reason": "the reference `https://x.example/s` leads out of the schema",
            }
        ],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 column 1"),
        ("{", "line 1 column 2"),
        ("[]", "has no tool that can be used"),
        ("{}", "neither an OpenAPI document nor an answer to `tools/list`"),
        ('{"tools": {}}', "neither an OpenAPI document nor an answer to `tools/list`"),
        ('{"swagger": "2.0"}', "OpenAPI 2.0 cannot be read"),
        ('[{"name": "x"}]', "`inputSchema` is not an object"),
        ('[{"name": "x", "inputSchema": {"type": 3}}]', "has no tool that can be used"),
        ('[{"name": "x", "inputSchema": {"type": "string"}}]', 'does not say `"type": "object'),
        ("[3]", "its name is missing or malformed"),
    ],
)
def test_files_that_are_refused(pbac, tmp_path, text, message):
    (tmp_path / "odd.json").write_text(text)
    done = pbac("tools", "import", "odd.json", "--server", "shop")
    assert done.code == 1
    assert message in done.err
    assert not (tmp_path / "policies").exists()


def test_a_file_that_is_too_large_is_not_read(pbac, listed, monkeypatch):
    from pbac.app import tool_import

    monkeypatch.setattr(tool_import, "TOOL_SOURCE_BYTES_MAX", 10)
    done = pbac("tools", "import", listed(REFUND), "--server", "shop")
    assert done.code == 1
    assert "is larger than 10 bytes" in done.err


def test_a_vocabulary_that_is_broken_or_anothers_is_not_overwritten(pbac, listed, tmp_path):
    path = tmp_path / "policies" / "tools" / "shop.json"
    path.parent.mkdir(parents=True)
    for text, told in (
        ("{", "its facts would be lost"),
        ('{"server": "shop", "tools": {}, "fact": 1}', "has no member `fact`"),
        ('{"server": "other", "tools": {}}', "is about the server `other`"),
    ):
        path.write_text(text)
        done = pbac("tools", "import", listed(REFUND), "--server", "shop")
        assert done.code == 1
        assert told in done.err
        assert path.read_text() == text


def test_one_source_is_named(pbac, listed):
    assert pbac("tools", "import", "--server", "shop").code == 2
    twice = pbac("tools", "import", listed(REFUND), "--stdio", "true", "--server", "shop")
    assert twice.code == 2
    named = pbac("tools", "import", listed(REFUND), "--server", "../shop")
    assert "cannot be the name of a backend" in named.err


def test_an_openapi_document(pbac, tmp_path):
    done = pbac("tools", "import", FORGE, "--server", "forge")
    assert done.code == 0
    assert "left out `broken`: the reference" in done.err
    tree = written(tmp_path, "forge")
    assert tree["source"] == {"kind": "openapi", "from": "forge.yaml"}
    merge = tree["tools"]["pulls_merge"]
    assert merge["scope"] == "repo:merge"
    assert merge["hints"] == {"read_only": False, "destructive": False}


# --- live servers ------------------------------------------------------------------------------------


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "server.py"
    path.write_text(SERVER)
    return path


def test_the_official_python_server_over_stdio_and_http(pbac, script, tmp_path):
    done = pbac("tools", "import", "--stdio", f"{sys.executable} {script}", "--server", "orders")
    assert done.code == 0, done.err
    over_stdio = written(tmp_path, "orders")
    assert over_stdio["source"]["kind"] == "stdio"
    with listening([sys.executable, str(script), "{port}"]) as url:
        done = pbac("tools", "import", f"{url}?key=secret", "--server", "orders")
    assert done.code == 0, done.err
    over_http = written(tmp_path, "orders")
    assert over_http["tools"] == over_stdio["tools"]
    assert over_http["source"] == {"kind": "http", "from": url}
    shown = pbac("tools", "show", "policies").out
    assert "      limit: integer\n" in shown
    assert "      tags: list of string | null\n" in shown


def test_the_reference_server_over_stdio_and_http(pbac, server_everything, tmp_path):
    *command, _ = server_everything
    done = pbac("tools", "import", "--stdio", " ".join([*command, "stdio"]), "--server", "every")
    assert done.code == 0, done.err
    over_stdio = written(tmp_path, "every")
    with listening(server_everything, PORT="{port}") as url:
        assert pbac("tools", "import", url, "--server", "every").code == 0
    tools = written(tmp_path, "every")["tools"]
    assert tools == over_stdio["tools"]
    assert tools["get-sum"]["inputSchema"]["required"] == ["a", "b"]
    policy = tmp_path / "policies" / "every.pbac"
    policy.write_text(
        "package every on server every\nforbid big on tool get-sum when args.c > 1000\n"
        'forbid odd on tool get-annotated-message when args.messageType == "warning"\n'
    )
    told = pbac("check", "policies", "--format", "line").out
    assert "[unknown-field]" in told
    assert "[unlisted-value]" in told


def test_a_configured_backend_is_asked_with_its_environment_and_scopes(pbac, script, tmp_path):
    (tmp_path / "pbac.toml").write_text(
        f"""[[backends]]
name = "orders"
command = {json.dumps(sys.executable)}
args = [{json.dumps(str(script))}]
[backends.scopes]
"orders:read" = ["find"]
"""
    )
    done = pbac("tools", "import", "--config", "pbac.toml", "--server", "orders")
    assert done.code == 0, done.err
    scopes = {name: tool["scope"] for name, tool in written(tmp_path, "orders")["tools"].items()}
    assert scopes == {"find": "orders:read", "refund": "orders:refund"}
    unknown = pbac("tools", "import", "--config", "pbac.toml", "--server", "order")
    assert "has no backend `order`" in unknown.err
    assert "did you mean `orders`?" in unknown.err


def test_servers_that_cannot_be_asked(pbac, tmp_path):
    for arguments, told in (
        (["http://127.0.0.1:9/mcp"], "`http://127.0.0.1:9/mcp` does not list its tools"),
        (["--stdio", "no-such-command-here"], "`no-such-command-here` does not list its tools"),
        (["--stdio", f"{sys.executable} -c 'raise SystemExit(\"no key\")'"], "it said: no key"),
        (["--stdio", "unclosed 'quote"], "is no command"),
        (["http://user:pass@127.0.0.1/mcp"], "a user, a password or a fragment"),
    ):
        done = pbac("tools", "import", *arguments, "--server", "shop")
        assert done.code in (1, 2)
        assert told in done.err
    assert not (tmp_path / "policies").exists()


def test_a_page_that_is_no_mcp_server(pbac, tmp_path):
    command = [sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
    with listening(command) as url:
        done = pbac("tools", "import", url, "--server", "shop")
    assert done.code == 1
    assert "does not list its tools" in done.err
    assert "name the MCP endpoint" in done.err


def test_a_server_that_never_answers(pbac, monkeypatch):
    from pbac.app import tool_import

    monkeypatch.setattr(tool_import, "TOOL_IMPORT_SECONDS_MAX", 0.2)
    sleeping = f"{sys.executable} -c 'import time; time.sleep(60)'"
    done = pbac("tools", "import", "--stdio", sleeping, "--server", "shop")
    assert "did not list its tools within 0.2 s" in done.err


def test_a_header_is_read_from_the_environment(pbac, monkeypatch):
    monkeypatch.delenv("SHOP_KEY", raising=False)
    header = "Authorization=env:SHOP_KEY"
    done = pbac("tools", "import", "http://127.0.0.1:9/mcp", "--header", header, "--server", "shop")
    assert "the environment has no `SHOP_KEY`" in done.err


# --- show ----------------------------------------------------------------------------------------------


def test_show_a_folder_and_a_file(pbac):
    story = Path(__file__).parent.parent.parent / "policies" / "typed_forge"
    folder = pbac("tools", "show", story)
    assert "forge  tools/forge.json" in folder.out
    assert '      merge_method?: "merge" | "squash" | "rebase"' in folder.out
    assert "      facts.pull: { author: string, checks: " in folder.out
    rows = pbac("tools", "show", story / "tools" / "forge.json", "--json").json
    (merge,) = [row for row in rows if row["tool"] == "pulls_merge"]
    assert merge["scope"] == "repo:merge"
    assert {"name": "owner", "kind": "string", "always_there": True} in merge["arguments"]


def test_show_what_is_not_there_or_broken(pbac, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "there is no vocabulary in `empty`" in pbac("tools", "show", "empty").err
    assert "cannot be read" in pbac("tools", "show", "nowhere.json").err
    (tmp_path / "odd.json").write_text('{"server": "shop", "tools": {"x": {}}}')
    assert "the tool `x` has no `inputSchema`" in pbac("tools", "show", "odd.json").err
