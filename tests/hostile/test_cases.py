"""Every case of the areas in force is tried, and five things hold after each.

An attack is a generator: it takes the stage (and `version`, to be tried once for each) and yields
the answers that its case is to be held against. `cases.yaml` says what they have to be.
"""

from __future__ import annotations

import inspect

import pytest
from hostile.areas import ATTACKS
from hostile.catalogue import IN_FORCE, catalogue
from hostile.decided import DECIDED
from hostile.pending import PENDING
from hostile.stage import VERSIONS, hold, under_attack

CASES = {id_: case for id_, case in catalogue().items() if case.area in IN_FORCE}


def trials():
    found = []
    for id_, attack in ATTACKS.items():
        if "version" in inspect.signature(attack).parameters:
            found += [pytest.param(id_, v, id=f"{id_}-{v}") for v in VERSIONS]
        else:
            found.append(pytest.param(id_, None, id=id_))
    return found


@pytest.mark.parametrize(("id_", "version"), trials())
def test_a_hostile_case_comes_to_what_it_has_to(stage, id_, version):
    case = catalogue()[id_]
    how = {} if version is None else {"version": version}
    with under_attack(case, stage):
        for answer in ATTACKS[id_](stage, **how) or ():
            hold(case, answer)


def test_every_case_in_force_is_tried_or_says_what_it_waits_for():
    missing = [id_ for id_ in CASES if id_ not in ATTACKS and id_ not in PENDING]
    assert not missing, f"no attack for {', '.join(missing)}"
    both = sorted(ATTACKS.keys() & PENDING.keys())
    assert not both, f"tried, and still said to be pending: {', '.join(both)}"
    unknown = sorted((ATTACKS.keys() | PENDING.keys() | DECIDED.keys()) - catalogue().keys())
    assert not unknown, f"not in the catalogue: {', '.join(unknown)}"
