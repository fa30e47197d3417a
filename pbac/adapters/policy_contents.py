"""What the files of a policy set mean: sources, documents and vocabularies, from a folder or not.

A document `data/orgs.json` is `data.orgs`, and belongs to the packages whose files lie beside that
`data` folder. Nothing here reads a file: a set is the same whether its files came from a folder, a
signed bundle or the store of versions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from pbac.adapters.policy_files import Files, error
from pbac.adapters.vocabulary_files import decode_vocabularies
from pbac.base import json
from pbac.base.diagnostics import PolicyError
from pbac.base.source import Source
from pbac.pdp.administration import Publication, prepare, refused


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFiles:
    """What files hold: the sources, the data documents by name, and the file of each."""

    sources: list[Source]
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


def publication_of(
    files: Files, previous: Publication | None = None, *, sealed: Collection[str] = ()
) -> Publication:
    """Compile and test the files. Mistakes are in the answer, not raised.

    `sealed`: packages without which the set must not be published.
    """
    try:
        found, tools = parse_policies(files), parse_tools(files)
    except PolicyError as mistake:
        return refused(mistake.diagnostics)
    return prepare(
        found.sources,
        found.data,
        places=found.places,
        tools=tools,
        sealed=sealed,
        previous=previous,
    )


def content_of(files: Files) -> str:
    """The digest of the files: the same for the same files, whichever program reads them."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return json.digest(digests)


def parse_policies(files: Files) -> PolicyFiles:
    """The sources and data documents.

    Raises:
        PolicyError: for the first file that is not what its name says.
    """
    sources = [_source(name, data) for name, data in files.items() if name.endswith(".pbac")]
    data, places = _data(files)
    return PolicyFiles(sources=sources, data=data, places=places)


def parse_tools(files: Files) -> dict[str, Any]:
    """The vocabulary files by name. What is in them is for the compiler to judge.

    Raises:
        PolicyError: for those that are no JSON.
    """
    return decode_vocabularies(_in_folder(files, "tools"))


def _in_folder(files: Files, folder: str) -> Iterator[tuple[str, bytes]]:
    for name, data in files.items():
        if name.endswith(".json") and PurePosixPath(name).parent.name == folder:
            yield name, data


def _source(name: str, data: bytes) -> Source:
    try:
        # Some editors begin a file with a byte order mark; it is not part of the text.
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        raise error(
            "not-utf-8", name, f"`{name}` is not UTF-8 at byte {fault.start}", "save it as UTF-8"
        ) from None


def _data(files: Files) -> tuple[dict[str, Any], dict[str, str]]:
    """The documents by name, and the file of each."""
    documents: dict[str, Any] = {}
    places: dict[str, str] = {}
    for name, data in _in_folder(files, "data"):
        document = PurePosixPath(name).stem
        if document in documents:
            also = places[document]
            message = f"two documents are named `{document}`: `{also}` and `{name}`"
            raise error("duplicate-data", name, message, "rename one of them")
        places[document] = name
        try:
            documents[document] = json.decode(data)
        except json.JsonError as fault:
            raise error("bad-data", name, f"`{name}`: {fault.message}", fault.help) from None
    return documents, places
