"""Hypothesis settings and the helpers every test of the language shares."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import hypothesis
import pytest

FULL = os.environ.get("PBAC_FULL") == "1"
EXAMPLES, EXAMPLES_FULL = 300, 3_000
"""Of each property here; the Laws have sizes of their own, in `tests/laws`."""

hypothesis.settings.register_profile(
    "pbac",
    max_examples=EXAMPLES_FULL if FULL else EXAMPLES,
    derandomize=not FULL,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("pbac")


@pytest.fixture(scope="session")
def make():
    """The module `strategies.py`: nodes in short, random rules and requests."""
    spec = importlib.util.spec_from_file_location(
        "language_strategies", Path(__file__).with_name("strategies.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
