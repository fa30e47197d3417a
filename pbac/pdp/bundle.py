"""A policy bundle: a whole policy folder in one signed file, with a name and a growing number.

The file is a JWS (RFC 7515) with `typ` `pbac-bundle+jws`, signed with Ed25519. Its payload:

    {"files": {"shop.pbac": "package …", …}, "made_ms": 1767225600000, "name": "shop", "number": 7}

as canonical JSON: names sorted, no blanks, each file as text. So equal input gives equal bytes, and
there is no second spelling of a bundle that verifies. What `render_bundle` refuses `parse_bundle`
refuses as well, by the same rules; nothing of the payload is read before the signature holds.

A signature says who made a bundle, not that it is the newest: whoever can put an old file in the
place of a new one would bring back what it permitted. Against that stands the number, held to by
`require_newer`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pbac.base import json
from pbac.base.limits import BUNDLE_BYTES_MAX, BUNDLE_NAME_CHARACTERS_MAX, BUNDLE_NUMBER_MAX
from pbac.base.render import shown
from pbac.crypto import jws
from pbac.crypto.keys import PublicKey, SigningKey
from pbac.pdp.bundle_files import BundleError, place_of, require_files

TYPE: Final = "pbac-bundle+jws"
"""RFC 8725 3.11: explicit, so that no statement or assertion is ever taken for a bundle."""

SUFFIX: Final = ".pbacbundle"
NAME_HELP: Final = (
    f"use a-z and 0-9, `-` and `_` between them, at most {BUNDLE_NAME_CHARACTERS_MAX} characters"
)

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")
_MEMBERS: Final = ("files", "made_ms", "name", "number")
_MADE_MS_MAX: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, what a datetime can show
_COPY_HELP: Final = "copy the file anew, byte for byte, or build it with `pbac policy bundle`"
_REFUSALS: Final[Mapping[str, tuple[str, str]]] = {
    "jws_too_large": ("bundle_too_large", "take out what no rule needs"),
    "jws_type": ("bundle_type", "name a file that `pbac policy bundle` wrote"),
    "jws_key": ("bundle_key", "give the Ed25519 public key of whoever signed it"),
    "jws_signature": ("bundle_signature", _COPY_HELP),
}
"""What the envelope says → what is said of a bundle, and what to do; anything else is malformed."""


class Accepted(NamedTuple):
    """The number of a bundle that was taken into force, and its digest."""

    number: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle whose signature and content hold.

    Attributes:
        name: of the series that the numbers belong to.
        number: 1 and up; a later bundle of the name has a larger one.
        made_ms: when it was made, as its maker says.
        key_id: thumbprint (RFC 7638) of the key that signed it.
        digest: `sha256:<hex>` of the payload: name, number, time and files, whoever signed it.
        files: path → content, in the order in which a folder is read, whatever JSON's is.
    """

    name: str
    number: int
    made_ms: int
    key_id: str
    digest: str
    files: Mapping[str, bytes]

    @property
    def accepted(self) -> Accepted:
        """What to remember once it is in force."""
        return Accepted(self.number, self.digest)


def render_bundle(
    files: Mapping[str, bytes], *, name: str, number: int, made_ms: int, key: SigningKey
) -> bytes:
    """The bundle as it is filed. Equal input gives equal bytes.

    Raises:
        BundleError: for what `parse_bundle` would refuse, and `bundle_key` for a key that is not
            Ed25519.
    """
    _require_head(name, number, made_ms)
    require_files(files)
    tree = {
        "files": {path: data.decode("utf-8") for path, data in files.items()},
        "made_ms": made_ms,
        "name": name,
        "number": number,
    }
    try:
        data = jws.sign(json.canonical(tree), key, typ=TYPE)
    except jws.JwsError as error:
        help_ = "make one with `pbac publisher new NAME`"
        raise BundleError(error.message, code="bundle_key", help=help_) from None
    if len(data) > BUNDLE_BYTES_MAX:
        message = f"the bundle would be larger than {BUNDLE_BYTES_MAX} bytes"
        raise BundleError(message, code="bundle_too_large", help="take out what no rule needs")
    return data


def parse_bundle(data: bytes, keys: Iterable[PublicKey], *, name: str | None = None) -> Bundle:
    """The bundle in a file, when one of the keys signed it.

    `name`: the one that is wanted. Without it, whoever holds a key for one bundle decides what
    stands in the place of another.

    Raises:
        BundleError: anything else; whatever the bytes are, nothing else is raised.
    """
    try:
        verified = jws.verify(data, keys, typ=TYPE, bytes_max=BUNDLE_BYTES_MAX)
    except jws.JwsError as error:
        code, help_ = _REFUSALS.get(error.code, ("bundle_malformed", _COPY_HELP))
        raise BundleError(f"no bundle: {error.message}", code=code, help=help_) from None
    tree = _tree(verified.payload)
    _require_head(tree["name"], tree["number"], tree["made_ms"])
    if name is not None and tree["name"] != name:
        message = f"the bundle is `{tree['name']}`, and `{name}` is wanted"
        raise BundleError(message, code="bundle_name", help="put the wanted bundle in its place")
    files = _files(tree["files"])
    require_files(files)
    return Bundle(
        name=tree["name"],
        number=tree["number"],
        made_ms=tree["made_ms"],
        key_id=verified.key_id,
        digest=f"sha256:{hashlib.sha256(verified.payload).hexdigest()}",
        files={path: files[path] for path in sorted(files, key=place_of)},
    )


def require_newer(bundle: Bundle, accepted: Mapping[str, tuple[int, str]]) -> bool:
    """Whether the bundle is a new one; False when it is the one that was accepted last.

    `accepted`: by name, number and digest of the last one (`Bundle.accepted`). A name that is not
    in it is new with any number.

    Raises:
        BundleError: `bundle_rollback` for a lower number, or the same with another content.
    """
    if bundle.name not in accepted:
        return True
    number, digest = accepted[bundle.name]
    if bundle.number > number:
        return True
    if (bundle.number, bundle.digest) == (number, digest):
        return False
    what = "is lower than" if bundle.number < number else "has another content than the"
    raise BundleError(
        f"bundle `{bundle.name}` number {bundle.number} {what} {number} that was accepted",
        code="bundle_rollback",
        help=f"to go back, sign the older files again under number {number + 1} or higher",
    )


# --- the payload ------------------------------------------------------------------------------


def _tree(payload: bytes) -> dict[str, Any]:
    """The payload with its members, whatever they are."""
    try:
        tree = json.decode(payload)
    except json.JsonError as error:
        raise _malformed(f"the payload: {error.message}") from None
    if not isinstance(tree, dict):
        raise _malformed("the payload must be a JSON object")
    for member in sorted(tree.keys() ^ set(_MEMBERS)):
        told = "is missing" if member in _MEMBERS else "is unknown"
        raise _malformed(f"the member `{shown(member)}` of the payload {told}")
    if json.canonical(tree) != payload:
        raise _malformed("the payload is not in canonical form")
    return tree


def _require_head(name: Any, number: Any, made_ms: Any) -> None:
    if not _is_name(name):
        told = f"`{shown(name[:80])}` cannot be" if isinstance(name, str) else "no text is"
        raise BundleError(f"{told} the name of a bundle", code="bundle_name", help=NAME_HELP)
    # `type`: a bool is an int to `isinstance`, and 1.0 is equal to 1.
    if type(number) is not int or not 1 <= number <= BUNDLE_NUMBER_MAX:
        message = f"the number of a bundle is a whole one from 1 to {BUNDLE_NUMBER_MAX}"
        raise BundleError(message, code="bundle_number", help="number bundles 1, 2, 3, …")
    if type(made_ms) is not int or not 0 <= made_ms <= _MADE_MS_MAX:
        raise _malformed("`made_ms` is not a time in milliseconds")


def _is_name(name: Any) -> bool:
    return (
        isinstance(name, str)
        and len(name) <= BUNDLE_NAME_CHARACTERS_MAX
        and _NAME.fullmatch(name) is not None
    )


def _files(value: Any) -> dict[str, bytes]:
    if not isinstance(value, dict):
        raise _malformed("`files` must be a JSON object")
    for path, text in value.items():
        if not isinstance(text, str):
            told = f"the file `{shown(path)}` is no text"
            raise BundleError(told, code="bundle_file", help=_COPY_HELP)
    return {path: text.encode("utf-8") for path, text in value.items()}


def _malformed(message: str) -> BundleError:
    return BundleError(message, code="bundle_malformed", help=_COPY_HELP)
