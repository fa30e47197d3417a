"""The policies of the stage: those of bad input, and rules that only attacks ask about."""

from __future__ import annotations

from hostile.ruled import RULED
from support.bad_input import POLICIES as BAD_INPUT
from support.bad_input import SHOP
from support.bad_input import TOOLS as PLAIN_TOOLS

PATHS = """
package paths on server shop

forbid dotted
  on   tool load0
  when args.a.b default "" == "yes" or args.a.name default "" == "yes"

forbid plain
  on   tool load1
  when args.name default "" == "yes"
"""

POLICIES = {
    **BAD_INPUT,
    # Tools of `ruled.pbac` are permitted by its own rules alone.
    "shop.pbac": SHOP.replace("* except close", "* except close, ruled_*"),
    "paths.pbac": PATHS,
    "ruled.pbac": RULED,
}

SHIP = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "fragile": {"type": "boolean", "x-mcp-header": "Fragile"},
        "to": {
            "type": "object",
            "properties": {"zip": {"type": "string", "x-mcp-header": "Zip"}},
        },
        "note": {"type": "string", "maxLength": 5},
        "kind": {"enum": ["box", "bag"]},
    },
    "required": ["region"],
    "additionalProperties": False,
}
"""Arguments that a modern caller mirrors in headers, and every kind of bound."""

TOOLS = {**PLAIN_TOOLS, "ship": SHIP}
