"""Values of options that say several things: a name and a value, a program and its arguments."""

from __future__ import annotations

import shlex

import click


class WholeNumber(click.IntRange):
    """As click's, told in plain words."""

    name = "whole number"


def named_value(text: str, form: str = "NAME=VALUE") -> tuple[str, str]:
    """The two halves of `NAME=VALUE`; the value may be empty. Raises `click.BadParameter`."""
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise click.BadParameter(f"`{name}` is not {form}")
    return name, value


def command_words(line: str) -> list[str]:
    """A program and its arguments, as a shell would split them. Raises `click.BadParameter`."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise click.BadParameter(f"`{line}` is no command: {str(error).lower()}") from None
    if not words:
        raise click.BadParameter("a command begins with a program")
    return words
