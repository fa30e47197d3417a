"""A folder of policies, read and compiled in this process: what commands and tests do."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from pbac.adapters.policy_contents import (
    PolicyFiles,
    parse_policies,
    parse_tools,
    publication_of,
)
from pbac.adapters.policy_files import read_files, read_vocabularies
from pbac.base.diagnostics import PolicyError
from pbac.pdp.administration import Publication, refused


def load_policies(
    folder: Path, previous: Publication | None = None, *, sealed: Collection[str] = ()
) -> Publication:
    """Read, compile and test a folder (or one file). Mistakes are in the answer, not raised.

    `sealed`: packages without which the set must not be published.
    """
    try:
        files = read_files(folder)
    except PolicyError as error:
        return refused(error.diagnostics)
    return publication_of(files, previous, sealed=sealed)


def read_policies(folder: Path) -> PolicyFiles:
    """The sources and data documents of a folder; of one file, that file and what is beside it.

    Raises:
        PolicyError: as `read_files` and `parse_policies` do.
    """
    return parse_policies(read_files(folder))


def read_tools(folder: Path) -> dict[str, Any]:
    """The vocabulary files of a folder by name; for one file, those that stand beside it.

    Raises:
        PolicyError: when one cannot be read. What is in them is for the compiler to judge.
    """
    return parse_tools(read_vocabularies(folder))
