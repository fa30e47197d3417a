"""Whose data documents are, and what a sealed package may read."""

from __future__ import annotations

import pytest

from pbac.base.source import Source
from pbac.lang.compile import compile_program

TIERS = "tiers lo < hi\n"
PLACES = {
    "limits": "base/data/limits.json",
    "more": "tenant/data/more.json",
    "all": "data/all.json",
}


def errors(*named, places=PLACES):
    sources = [Source(name, text) for name, text in named]
    found = compile_program(sources, {name: {} for name in places}, places=places)
    return [(d.code, d.message) for d in found.diagnostics if d.severity == "error"]


def base(rule):
    return ("base/base.pbac", f"sealed package base\n{TIERS}{rule}")


TENANT = ("tenant/t.pbac", "package tenant\npermit t on tool t when args.x in data.limits.x")


def test_a_package_reads_its_own_documents_and_others_may_read_them_too():
    own = 'forbid f when args.n in data.limits.x or args.n in data["limits"].y'
    assert errors(base(own), TENANT) == []


@pytest.mark.parametrize(
    "rule",
    [
        "forbid f when args.n in data.more.x",
        'forbid f when args.n in data["more"].x',
        'permit f on tool t when any x in data.more: x == "a"',
        'forbid f on tool t because "{data.more.text}"',
        'forbid f on tool t internal "{data.more.text}"',
        "forbid f on tool t unless has data.more.x",
        "define d = data.more.x\nforbid f on tool t when args.n in d",
    ],
)
def test_a_sealed_package_reads_no_document_of_another(rule):
    (found,) = errors(base(rule), TENANT)
    assert found == ("foreign-data", "`base` is sealed, and `data.more` belongs to `tenant`")


def test_a_document_beside_nobodys_files_belongs_to_nobody():
    (found,) = errors(base("forbid f when args.n in data.all.x"), TENANT)
    assert found == ("foreign-data", "`base` is sealed, and `data.all` belongs to no package")


@pytest.mark.parametrize("read", ["data[args.name].x", "strings(data)", "data[0]"])
def test_a_sealed_package_says_which_document_it_reads(read):
    found = errors(base(f"forbid f when args.n in {read}"), TENANT)
    assert [code for code, _ in found] == ["foreign-data"]
    assert errors(base(f"forbid f when args.n in {read}"), TENANT, places={}) == []


def test_to_seal_itself_gives_a_package_no_way_into_another():
    sealed = (TENANT[0], f"sealed {TENANT[1]}".replace("data.limits.x", "data.more.x"))
    (found,) = errors(base("forbid f when args.n in data.more.x"), sealed)
    assert found[0] == "foreign-data"


def test_a_sealed_package_has_its_files_in_one_folder():
    more = "sealed package base\npermit everything on any"
    (found,) = errors(base("permit x on tool x"), ("tenant/t.pbac", more))
    assert found[0] == "sealed-apart"
    assert "base/base.pbac:1:1" in found[1]
    assert errors(base("permit x on tool x"), ("base/more.pbac", more)) == []


def test_packages_that_are_not_sealed_share_what_there_is():
    text = "package p\npermit x on tool x when args.n in data[args.name] or args.n in data.more.x"
    assert errors(("p/p.pbac", text), TENANT) == []
