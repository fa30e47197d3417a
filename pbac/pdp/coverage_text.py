"""Coverage to read: a table by rule, the source with marks, JSON, and lcov for other tools."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pbac.base.render import PLAIN, shown
from pbac.base.source import Span
from pbac.lang.evaluate.truth import Truth
from pbac.pdp.coverage import ORDER, Coverage, Spot, counted, percent

MARKS: Final = {Truth.TRUE: "✓", Truth.FALSE: "✗", Truth.UNKNOWN: "?"}
_RESET: Final = "\x1b[0m"
_GUTTER: Final = len(ORDER)


def render_table(coverage: Coverage, styles: Mapping[str, str] = PLAIN) -> str:
    """A line for each rule and definition, with what was never seen of it below."""
    width = max((len(_title(spot)) for spot in coverage.spots), default=0)
    lines = []
    for spot in coverage.spots:
        reached = percent([spot])
        told = _styled(f"{reached:>3}%", styles.get("error" if reached < 100 else "help"))
        lines.append(f"  {_title(spot):<{width}}  {told}")
        lines += [
            f"    {each.span.line:>4}  {shown(each.text)}  {_never(each)}" for each in _told(spot)
        ]
    seen, asked = counted(coverage.spots)
    lines.append(f"  {seen} of {asked} outcomes seen, {percent(coverage.spots)}%")
    return "\n".join(lines) + "\n"


def render_annotated(
    coverage: Coverage, texts: Mapping[str, str], styles: Mapping[str, str] = PLAIN
) -> str:
    """The sources with a mark for every outcome that was seen, `·` for one that was not.

    A clause's marks stand before the line it begins on; below it, what was never seen of it and of
    its parts, each underlined.
    """
    spots = [each for spot in coverage.spots for each in spot.every()]
    blocks = []
    for source in sorted({spot.span.source for spot in spots}):
        by_line: defaultdict[int, list[Spot]] = defaultdict(list)
        for spot in spots:
            if spot.span.source == source:
                by_line[spot.span.line].append(spot)
        lines = [_styled(source, styles.get("strong"))]
        for number, line in enumerate(texts.get(source, "").splitlines(), 1):
            lines += _annotated(number, line, by_line[number], styles)
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _annotated(
    number: int, line: str, spots: list[Spot], styles: Mapping[str, str]
) -> Iterator[str]:
    gutter = _gutter(spots[0], styles) if spots else " " * _GUTTER
    yield f"{gutter} {number:>4} │ {shown(line)}".rstrip()
    for spot in spots:
        if spot.unseen:
            indent = " " * (spot.span.column - 1)
            width = min(spot.span.end - spot.span.start, len(line) - len(indent))
            mark = _styled(f"{'~' * max(width, 1)} {_never(spot)}", styles.get("error"))
            yield f"{' ' * (_GUTTER + 5)} │ {indent}{mark}"


def _gutter(spot: Spot, styles: Mapping[str, str]) -> str:
    marks = ""
    for truth in ORDER:
        if truth not in spot.asked:
            marks += " "
        elif truth in spot.seen:
            marks += _styled(MARKS[truth], styles.get("help"))
        else:
            marks += _styled("·", styles.get("error"))
    return marks


def coverage_json(coverage: Coverage) -> dict[str, Any]:
    """The same as data."""
    seen, asked = counted(coverage.spots)
    return {
        "percent": percent(coverage.spots),
        "seen": seen,
        "asked": asked,
        "rules": [_spot_json(spot) for spot in coverage.rules],
        "definitions": [_spot_json(spot) for spot in coverage.definitions],
    }


def _spot_json(spot: Spot) -> dict[str, Any]:
    return {
        "what": spot.what,
        "text": spot.text,
        "source": spot.span.source,
        "line": spot.span.line,
        "column": spot.span.column,
        "asked": [truth.value for truth in ORDER if truth in spot.asked],
        "seen": [truth.value for truth in ORDER if truth in spot.seen],
        "parts": [_spot_json(part) for part in spot.parts],
    }


def render_lcov(coverage: Coverage) -> str:
    """An lcov tracefile: a line for every clause, a branch for every outcome that can come."""
    by_source: defaultdict[str, list[Spot]] = defaultdict(list)
    for spot in coverage.spots:
        for each in spot.every():
            by_source[each.span.source].append(each)
    return "".join(_lcov(source, spots) for source, spots in sorted(by_source.items()))


def _lcov(source: str, spots: Iterable[Spot]) -> str:
    lines, branches = dict[int, int](), []
    for block, spot in enumerate(spots):
        line = spot.span.line
        lines[line] = max(lines.get(line, 0), int(bool(spot.seen)))
        for number, truth in enumerate(ORDER):
            if truth in spot.asked:
                branches.append(f"BRDA:{line},{block},{number},{int(truth in spot.seen)}")
    told = [f"DA:{line},{hit}" for line, hit in sorted(lines.items())]
    hits = sum(branch.endswith(",1") for branch in branches)
    totals = [
        f"BRF:{len(branches)}",
        f"BRH:{hits}",
        f"LF:{len(lines)}",
        f"LH:{sum(lines.values())}",
    ]
    return "\n".join(["TN:", f"SF:{source}", *branches, *told, *totals, "end_of_record"]) + "\n"


# --- words -----------------------------------------------------------------------------------


def _title(spot: Spot) -> str:
    return shown(f"{spot.what} {spot.text}")


def _told(spot: Spot) -> Iterator[Spot]:
    """What is incomplete in a rule; the rule itself only where its clauses do not say it."""
    inner = [each for part in spot.parts for each in part.every() if each.unseen]
    return iter(inner or ([spot] if spot.unseen else []))


def _never(spot: Spot) -> str:
    return "never " + ", ".join(truth.value for truth in spot.unseen)


def placed(spot: Spot, place: Any) -> Spot:
    """The spot under names that an editor finds; `place` renames a span."""
    moved: Span = place(spot.span)
    return Spot(
        what=spot.what,
        text=spot.text,
        span=moved,
        asked=spot.asked,
        seen=spot.seen,
        parts=tuple(placed(part, place) for part in spot.parts),
    )


def _styled(text: str, style: str | None) -> str:
    return f"{style}{text}{_RESET}" if style else text
