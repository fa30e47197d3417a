"""The policies of the stage: those of bad input, and rules that only attacks ask about."""

from __future__ import annotations

from support.bad_input import POLICIES as BAD_INPUT

POLICIES = dict(BAD_INPUT)
