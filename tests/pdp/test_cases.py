"""`test` blocks: what they fill in, what they judge, how a failure is told."""

from __future__ import annotations

import pytest

from pbac.pdp.cases import run_tests

RULES = """
permit read
  for tier >= read_only
  on tool get_*
forbid never
  when args.secret == true
require often
  on tool get_often
  then limit 3 per 1m by agent
  then redact result.token
require little
  on tool get_more
  then truncate to 20 items
"""


def results(oracle, test, rules=RULES, data=None):
    return run_tests(oracle.policies(f'{rules}\ntest "t"\n{test}\n', data=data))


@pytest.mark.parametrize(
    ("expectation", "passed", "got"),
    [
        ("call get_x { secret: false } => permit", True, "permit by read"),
        ("call get_x { secret: false } => permit by read", True, "permit by read"),
        ("call get_x { secret: false } => permit by p.read", True, "permit by read"),
        ("call get_x { secret: false } => deny", False, "permit by read"),
        ("call get_x { secret: true } => deny by never", True, "deny by never"),
        ("call get_x { secret: true } => deny by read", False, "deny by never"),
        ("call get_x => deny unknown args.secret", True, "deny by never unknown args.secret"),
        ("call get_x { secret: true } => deny unknown args.secret", False, "deny by never"),
        (
            "call get_often { secret: false } => permit with limit, redact",
            True,
            "permit by read with limit, redact",
        ),
        (
            "call get_often { secret: false } => permit with limit",
            False,
            "permit by read with limit, redact",
        ),
        ("call get_x { secret: false } => permit with limit", False, "permit by read"),
        ("call put_x { secret: false } => deny", True, "deny"),
        (
            "call get_more { secret: false } => permit with truncate",
            True,
            "permit by read with truncate",
        ),
        ("list get_x => shown", True, "shown"),
        ("list get_x => hidden", False, "shown"),
        ("list put_x => hidden", True, "hidden"),
        ("issue gh:read => deny", False, "permit by read"),
    ],
)
def test_an_expectation_is_judged_by_all_it_states(oracle, expectation, passed, got):
    (result,) = results(
        oracle,
        f'  agent {{ tier: read_only }}\n  tool get_y {{ scope: "gh:read" }}\n  {expectation}',
    )
    assert (result.passed, result.got) == (passed, got)


def test_givens_accumulate_and_are_replaced_by_later_ones(oracle):
    found = results(
        oracle,
        """
        call get_x { secret: false } => deny
        agent { tier: read_only }
        args { secret: true }
        call get_x => deny by never
        call get_x { secret: false } => permit
        args { secret: false }
        call get_x => permit
        """,
    )
    assert [result.passed for result in found] == [True] * 4


def test_what_is_not_said_is_filled_in_plainly(oracle):
    (result,) = results(oracle, "  call get_x { secret: false } => deny")
    asked = result.request
    assert asked.agent == {"id": "agent", "name": "agent"}
    assert asked.user is None
    assert asked.chain == {"depth": 0, "actors": []}
    assert asked.call == {"method": "tools/call", "tool": "get_x", "pinned": True}
    assert asked.env == {"now": 1_767_261_600_000, "today": "2026-01-01"}


def test_the_clock_a_test_states_turns_today_too(oracle):
    (result,) = results(oracle, "  now 2026-07-05T23:30:00Z\n  call get_x => deny")
    assert result.request.env == {"now": 1_783_294_200_000, "today": "2026-07-05"}


def test_a_user_comes_and_goes(oracle):
    rules = "permit x\n  on any\n  when has user\n"
    found = results(
        oracle,
        '  call t => deny\n  user { id: "u" }\n  call t => permit\n  no user\n  call t => deny',
        rules,
    )
    assert all(result.passed for result in found)


def test_documents_of_the_set_are_seen_and_replaced_for_one_test_only(oracle):
    rules = "permit x\n  on any\n  when args.o in data.orgs\n"
    test = """
      call t { o: "acme" } => permit
      data { orgs: ["other"] }
      call t { o: "acme" } => deny
    test "again"
      call t { o: "acme" } => permit
    """
    found = results(oracle, test, rules, data={"orgs": ["acme"]})
    assert [result.passed for result in found] == [True] * 3


def test_a_package_is_tested_without_the_rules_of_others(oracle):
    mine = 'package mine\ntiers low < high\npermit x\n  on any\ntest "t"\n  call t => permit\n'
    found = run_tests(oracle.policies(mine, "package other\nforbid everything\n"))
    assert [result.passed for result in found] == [True]


def test_a_confined_package_is_asked_about_its_own_server(oracle):
    text = 'package mine on server github\npermit x\n  on any\ntest "t"\n  call t => permit\n'
    assert [result.passed for result in run_tests(oracle.policies(text))] == [True]
