"""JUnit XML: results of tests as continuous integration reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from pbac.base.render import shown
from pbac.base.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class JunitCase:
    """One expectation. `failure` is the first line of what is wrong, or ""; `detail` all of it."""

    suite: str
    name: str
    place: Span
    failure: str = ""
    detail: str = ""


def render_junit(cases: Iterable[JunitCase], errors: Iterable[tuple[str, str]] = ()) -> str:
    """One `testsuite` for each package, and an error for each policy set that cannot be used.

    Characters that XML cannot hold are shown as their code points. No times are told: they would
    say nothing, and make two runs differ.
    """
    suites: dict[str, list[ET.Element]] = {}
    for case in cases:
        element = ET.Element(
            "testcase",
            classname=shown(case.suite),
            name=shown(case.name),
            file=shown(case.place.source),
            line=str(case.place.line),
        )
        if case.failure:
            failure = ET.SubElement(element, "failure", message=shown(case.failure))
            failure.text = _block(case.detail)
        suites.setdefault(case.suite, []).append(element)
    for name, message in errors:
        element = ET.Element("testcase", classname=shown(name), name="policies can be used")
        ET.SubElement(element, "error", message="policies cannot be used").text = _block(message)
        suites.setdefault(name, []).append(element)
    root = ET.Element("testsuites")
    for name, elements in suites.items():
        root.append(_suite(name, elements))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(name: str, elements: list[ET.Element]) -> ET.Element:
    suite = ET.Element(
        "testsuite",
        name=shown(name),
        tests=str(len(elements)),
        failures=str(sum(each.find("failure") is not None for each in elements)),
        errors=str(sum(each.find("error") is not None for each in elements)),
    )
    suite.extend(elements)
    return suite


def _block(text: str) -> str:
    return "\n".join(map(shown, text.split("\n")))
