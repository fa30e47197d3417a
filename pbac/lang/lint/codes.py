"""Every code word that policy files can earn, with its meaning: what the reference and SARIF say.

Errors are listed here, in one place although many modules find them; whatever only lints earn is in
their own table. A test holds both against the code words that the sources hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pbac.base.diagnostics import Code, Severity
from pbac.lang.lint.lints import LINTS

ERRORS: Final[Mapping[str, str]] = {
    "bad-allow": "A `# pbac: allow` without a reason, or of a code that is an error or unknown.",
    "bad-annotation": (
        "An annotation stands twice, lacks its value, has one too many, or is `@expires` "
        "outside a permit."
    ),
    "bad-case-file": "A file of test cases that cannot be read as one; told by `pbac test`.",
    "bad-count": "Not a whole number within the bounds of its place.",
    "bad-data": "A data document is not JSON the gateway accepts.",
    "bad-duty": "A duty names what it cannot be about, or asks for what nobody could do.",
    "bad-folder": "A folder after `within` that no path is known to lie in: relative, with `..`.",
    "bad-interpolation": "Only a plain path may stand in the braces of a text.",
    "bad-network": "Not a network address with its length, or host bits are set.",
    "bad-pattern": (
        "A glob or regular expression that cannot be used, is too long or needs too many states."
    ),
    "bad-version": 'Versions are dotted numbers: `v"2.10.1"`.',
    "bad-vocabulary": (
        "A vocabulary file is not JSON, has a member it cannot have, a schema that cannot be "
        "read, or a server that another file describes."
    ),
    "bad-window": "A window's times do not exist, or it ends when it begins.",
    "because-reveals": (
        "`because` is read by the agent and shows what only the operator should see."
    ),
    "budget-exceeded": (
        "One call could cost more steps than the budget of a version; the dearest rules are named."
    ),
    "compiler-fault": (
        "A defect of this program while it read policies; the old set serves on. Tell the "
        "maintainers."
    ),
    "conflicting-duties": (
        "Two duties of one rule change one argument so that no call could meet both."
    ),
    "duplicate-data": "Two data documents have one name.",
    "duplicate-name": "A rule, definition, tier, member or day is named twice.",
    "duplicate-tiers": "`tiers` are declared more than once in the set.",
    "expansion-too-large": "An expression is too large once its definitions are written out.",
    "expression-too-deep": "Nested deeper than the limit.",
    "file-too-large": "A policy file over the limit, found while reading.",
    "foreign-data": (
        "A sealed package reads a data document that another package's owner may change."
    ),
    "foreign-operator": "An operator of another language: `&&`, `=`, `+`, … The help has ours.",
    "foreign-syntax": (
        "A construct of another language: braces around rules, `if`, `else`, `:=`, `;`, … The "
        "help has ours."
    ),
    "lookalike-letter": "A letter of another script stands for one it looks like, as in `реrmit`.",
    "misplaced-clause": (
        "Clauses stand in the order `for`, `on`, `when`/`unless`, `because`, `internal`, `then`."
    ),
    "misplaced-duty": "A duty of tokens in a rule about calls, or the other way round.",
    "missing-clause-word": "A target without its `for` or `on`, a duty without its `then`.",
    "missing-comma": "Names of a target without a comma between them.",
    "missing-on": "A permit does not say what it permits.",
    "missing-operand": "A value is missing beside an operator.",
    "missing-operator": "Two values without an operator between them.",
    "missing-package": "A file does not begin with `package`.",
    "missing-then": "A `require` without a duty.",
    "no-policies": "The folder or file is not there, or holds no policy.",
    "no-such-date": "Not in the calendar, or not a time.",
    "not-a-condition": "A text, number or list where something true or false has to stand.",
    "not-a-path": "A definition is used where only a path can stand.",
    "not-utf-8": "The file is not UTF-8.",
    "number-out-of-range": "No request could carry this number exactly.",
    "outside-folder": "A link leads out of the policy folder.",
    "recursive-definition": "Definitions use each other in a circle.",
    "reserved-word": "A word of the language used as a name; in a target, quote it.",
    "rule-too-large": "A rule has more parts than the limit.",
    "sealed-apart": "A sealed package has files in several folders.",
    "sealed-missing": "A package that configuration wants sealed is not there, or is not sealed.",
    "several-sets": "A folder holds several policy sets where one is needed.",
    "shadowed-name": "A name already means something else here.",
    "stray-brace": "A single `{` or `}` in a text: write it twice.",
    "syntax": "Something does not fit here; the help says what would.",
    "test-failed": "A `test` block expects something else than was decided.",
    "text-too-long": "A text literal over the limit.",
    "tiers-not-sealed": "Only a sealed package may declare `tiers` in a set that has one.",
    "token-and-calls": "One rule has `on token` and another `on`: no request is both.",
    "tokens-touch": "Two words without a blank between them.",
    "too-large": "A file or document over the limit, not read.",
    "too-many": (
        "Too many rules, definitions or tests in the set, tiers, servers of a package, or steps of "
        "a test."
    ),
    "too-many-files": "Too many files in the folder.",
    "trailing-comma": "A list of names that ends with a comma.",
    "undeclared-fact": "A fact that none of the rule's tools declares in its vocabulary.",
    "unknown-bucket": "`limit … by` a word that is no bucket.",
    "unknown-escape": "A backslash before a character that is no escape.",
    "unknown-field": "The request has no such field.",
    "unknown-name": "Neither a root of the request, nor a definition, nor a variable here.",
    "unknown-rule": "A test names a rule that is not there.",
    "unknown-tier": "A tier nobody declared: comparing with it would always be unknown.",
    "unknown-tool": "A tool pattern that holds for no tool of the rule's servers.",
    "unknown-word": "No item begins with this word.",
    "unknown-zone": "Not a time zone of the IANA database.",
    "unlike-confinement": "Files of one package are confined to different servers.",
    "unlike-kinds": "Values of these kinds can never be compared or combined so.",
    "unlike-seal": "Only some files of one package are sealed.",
    "unlisted-value": (
        "A comparison with a value that the schema's `enum`, `const` or `integer` rules out."
    ),
    "unreadable": "The system does not let the gateway read the file.",
    "unseen-character": "A control or bidirectional character that a reviewer would not see.",
    "unterminated-text": "A text without its closing quote.",
    "unusable-constant": (
        "A pattern, network or window that the checker let pass cannot be prepared."
    ),
    "word-too-long": "A name over the limit.",
    "wrong-arity": "A function or definition has another number of arguments.",
    "wrong-quotes": "Texts stand in double quotes.",
}
"""Code word of an error → its meaning. Errors cannot be lowered, silenced or turned off."""

CODES: Final[Mapping[str, Code]] = {
    **{word: Code(severity=Severity.ERROR, meaning=text) for word, text in ERRORS.items()},
    **{word: Code(severity=lint.level, meaning=lint.meaning) for word, lint in LINTS.items()},
}
"""All of them."""
