"""Whose data documents are: what a sealed package reads, nobody else may write.

`base/data/orgs.json` is `data.orgs`, and belongs to the packages whose files lie in `base/`:
whoever may change those may change it. Names of documents are unique in a set, so none replaces
another. That is not enough for a sealed package: where it reads a document of another folder, or
any document at all (`data[args.name]`), or has a file in another folder, whoever may write there
decides what its rules mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pbac.base.diagnostics import Diagnostic
from pbac.lang import nodes
from pbac.lang.evaluate.paths import paths_in
from pbac.lang.resolve.names import complaint
from pbac.lang.resolve.resolve import ResolvedPackage


def check_data(
    packages: Sequence[ResolvedPackage], places: Mapping[str, str]
) -> Iterator[Diagnostic]:
    """Complaints about sealed packages. `places`: name of a document → its file."""
    for package in packages:
        if package.sealed:
            yield from _scattered(package)
            foreign = {name: place for name, place in places.items() if _is_foreign(package, place)}
            for path in _data_read(package) if foreign else ():
                yield from _complaints(package, path, foreign, packages)


def _scattered(package: ResolvedPackage) -> Iterator[Diagnostic]:
    first = package.files[0].span
    for file in package.files[1:]:
        if _folder(file.span.source) != _folder(first.source):
            message = f"`{package.name}` is sealed, and has a file in another folder, {first}"
            help_ = "keep its files in one folder: whoever may write there may change the package"
            yield complaint("sealed-apart", message, file.span, help=help_)


def _is_foreign(package: ResolvedPackage, place: str) -> bool:
    """Does the document lie elsewhere than in the `data` folder beside the package's files?"""
    return _folder(_folder(place)) != _folder(package.files[0].span.source)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _data_read(package: ResolvedPackage) -> Iterator[nodes.Path]:
    """Every path into `data` of its rules, texts and duties included."""
    for rule in package.rules:
        texts = [text.parts for text in (rule.because, rule.internal) if text]
        found = [path for c in rule.conditions for path in paths_in(c.expression)]
        found += [part for parts in texts for part in parts if isinstance(part, nodes.Path)]
        found += [path for duty in rule.duties for path in duty.paths]
        yield from (path for path in found if path.root == "data")


def _complaints(
    package: ResolvedPackage,
    path: nodes.Path,
    foreign: Mapping[str, str],
    packages: Sequence[ResolvedPackage],
) -> Iterator[Diagnostic]:
    name = document_of(path)
    if name is None:
        message = f"`{package.name}` is sealed, and `{path.text()}` may be any document"
        help_ = "name the document: `data.orgs[…]`"
    elif name in foreign:
        owners = [one for one in packages if not _is_foreign(one, foreign[name])]
        whose = ", ".join(f"`{owner.name}`" for owner in owners) or "no package"
        message = f"`{package.name}` is sealed, and `data.{name}` belongs to {whose}"
        help_ = (
            f"move `{foreign[name]}` into the `data` folder beside `{package.files[0].span.source}`"
        )
    else:
        return
    yield complaint("foreign-data", message, path.span, help=help_)


def document_of(path: nodes.Path) -> str | None:
    """The one document that a path into `data` can read."""
    match path.steps[:1]:
        case [nodes.Field(name=name)] | [nodes.Index(key=nodes.Literal(value=str(name)))]:
            return name
    return None
