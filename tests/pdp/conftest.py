"""Hypothesis settings and the helpers that tests of the decision point share."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import hypothesis
import pytest

FULL = os.environ.get("PBAC_FULL") == "1"
EXAMPLES, EXAMPLES_FULL = 150, 1_500
"""Of each property here; the Laws have sizes of their own, in `tests/laws`."""
HERE = Path(__file__).parent

hypothesis.settings.register_profile(
    "pbac-pdp",
    max_examples=EXAMPLES_FULL if FULL else EXAMPLES,
    derandomize=not FULL,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def _module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make():
    """Nodes in short and random rules: the language's own `strategies.py`."""
    return _module("pdp_strategies", HERE.parent / "lang" / "strategies.py")


@pytest.fixture(scope="session")
def oracle():
    """The module `oracle.py`."""
    return _module("pdp_oracle", HERE / "oracle.py")


@pytest.fixture
def prove():
    """Run a property with the profile of these tests."""

    def run(check):
        hypothesis.settings.get_profile("pbac-pdp")(check)()

    return run
