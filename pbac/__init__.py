"""PBAC Gateway: one enforcement point between AI agents and the tools they call.

    from pbac import load_policy_set

What is named here is loaded when it is first used: `import pbac` by itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pbac.adapters.library import (
        Cause,
        Decision,
        DecisionRequest,
        Duty,
        Effect,
        LoadedPolicySet,
        PolicySetError,
        RequestError,
        Verdict,
        load_policy_set,
    )

__version__ = "0.1.0"

__all__ = [
    "Cause",
    "Decision",
    "DecisionRequest",
    "Duty",
    "Effect",
    "LoadedPolicySet",
    "PolicySetError",
    "RequestError",
    "Verdict",
    "load_policy_set",
]

if not TYPE_CHECKING:  # a checker would take any name for one that is here

    def __getattr__(name: str) -> object:
        """PEP 562. Asked once for a name, which is an ordinary one from then on."""
        if name not in __all__:
            raise AttributeError(f"module `pbac` has no attribute `{name}`", name=name)
        found = globals()[name] = getattr(import_module("pbac.adapters.library"), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
