"""Chance with a seed, and the loop that holds a law to many examples.

Hypothesis spends a millisecond and more on an example with many draws; a law is held to a hundred
thousand. So laws draw from Python's generator by themselves: an example is its seed, the name of
its law and its number, and is made again from them.
"""

from __future__ import annotations

import random
from collections import Counter


class Chance(random.Random):
    """Random choices in few words."""

    def one(self, things):
        """One of the things."""
        return things[int(self.random() * len(things))]

    def odds(self, of_a_hundred):
        """True so many times of a hundred."""
        return self.random() * 100 < of_a_hundred

    def some(self, make, least, most):
        """From least to most of what `make` makes."""
        return [make() for _ in range(self.randint(least, most))]

    def mixed(self, things):
        """The same things in another order."""
        found = list(things)
        self.shuffle(found)
        return found


def hold(law, check, *, seed, examples, among):
    """Run `check(chance, seen)` until it has looked at so many examples; it returns how many.

    `seen` counts what came of them. A law about something that never came (`among`) was not held
    to anything, and that is a failure too.
    """
    looked_at = number = 0
    seen = Counter()
    while looked_at < examples:
        try:
            looked_at += check(Chance(f"{seed} {law} {number}"), seen)
        except BaseException as error:
            again = f"PBAC_LAW_SEED={seed} PBAC_LAW_EXAMPLE={number}"
            error.add_note(f"{law}: again with {again}")
            raise
        number += 1
    never = [outcome for outcome in among if not seen[outcome]]
    assert not never, f"{law}: no example came to {', '.join(never)}"
    return looked_at, seen


def again(law, check, *, seed, number):
    """Run one example again."""
    return check(Chance(f"{seed} {law} {number}"), Counter())
