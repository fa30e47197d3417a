"""The policies of the stage: those of bad input, and rules that only attacks ask about."""

from __future__ import annotations

from hostile.ruled import RULED
from support.bad_input import POLICIES as BAD_INPUT
from support.bad_input import SHOP

POLICIES = dict(BAD_INPUT)
# Tools of `ruled.pbac` are permitted by its own rules alone.
POLICIES["shop.pbac"] = SHOP.replace("* except close", "* except close, ruled_*")
POLICIES["ruled.pbac"] = RULED
