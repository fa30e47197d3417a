"""How many examples each law is held to, and what is said of it at the end."""

from __future__ import annotations

import os
import random
import time

import pytest
from laws.chance import again, hold

EXAMPLES, EXAMPLES_FULL = 2_000, 100_000
SEED = 9


@pytest.fixture
def law(request, say):
    """`law(check, among=…)`: hold the law that the test is named after to its examples."""
    name = request.node.name.removeprefix("test_")
    full = os.environ.get("PBAC_FULL") == "1"
    fresh = random.SystemRandom().randrange(1 << 32) if full else SEED
    seed = int(os.environ.get("PBAC_LAW_SEED", fresh))

    def run(check, *, among):
        if number := os.environ.get("PBAC_LAW_EXAMPLE"):
            again(name, check, seed=seed, number=int(number))
            return
        examples = EXAMPLES_FULL if full else EXAMPLES
        started = time.perf_counter()
        looked_at, seen = hold(name, check, seed=seed, examples=examples, among=among)
        seconds = time.perf_counter() - started
        came = ", ".join(f"{outcome} {seen[outcome]:,}" for outcome in sorted(seen))
        say(f"{name}: {looked_at:,} examples, {seconds:.0f} s, seed {seed} ({came})")

    return run
