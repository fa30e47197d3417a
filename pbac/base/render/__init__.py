"""Diagnostics for eyes and for machines: one data type, one module for each form of it.

    full     drawn for people, colour where there is some     `full`
    line     one line each, for editors and compilers' readers   `line`
    json     an array of objects                               `json_array`
    sarif    SARIF 2.1.0, for code scanning                    `sarif`
    github   annotations of a workflow run                     `github`

Everything here is text in, text out; `sources` holds policy texts by `Span.source`.
"""

from pbac.base.render.characters import PLAIN, STYLES, shown
from pbac.base.render.full import render
from pbac.base.render.github import render_github
from pbac.base.render.json_array import as_json, render_json
from pbac.base.render.line import render_left_out, render_line, render_summary
from pbac.base.render.sarif import render_sarif

__all__ = [
    "PLAIN",
    "STYLES",
    "as_json",
    "render",
    "render_github",
    "render_json",
    "render_left_out",
    "render_line",
    "render_sarif",
    "render_summary",
    "shown",
]
