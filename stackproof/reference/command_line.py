"""Every command with its arguments and options, as click has them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from stackproof.cli import cli
from stackproof.reports.markdown_text import code, table, wrapped

_HEAD = (
    "Every command and option. Each of them prints the same with `--help`. Options that may be repeated say "
    "so. What an exit code means stands on a [page of its own](exit-codes.md); what `--json` writes, on "
    "[JSON](../json.md)."
)


def body() -> str:
    """The whole page."""
    commands = list(_commands(cli, "stackproof"))
    rows = [(f"[`{path}`](#{_anchor(path)})", _first_sentence(command)) for path, command, _ in commands]
    sections = [_section(path, command, context) for path, command, context in commands]
    return "\n\n".join([wrapped(_HEAD), table(("command", "what it does"), rows), *sections])


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Each command that can be typed, with its words; groups are what holds them."""
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command, click.Context(command, info_name=f"{path} {name}")


def _anchor(path: str) -> str:
    return path.replace(" ", "-")


def _first_sentence(command: click.Command) -> str:
    return command.get_short_help_str(limit=500)


def _section(path: str, command: click.Command, context: click.Context) -> str:
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [f"## {path}", f"```text\n{usage}\n```", *_help(command)]
    rows = [
        _row(option, context) for option in command.params if isinstance(option, click.Option) and not option.hidden
    ]
    if rows:
        parts.append(table(("option", "what it means"), rows))
    return "\n\n".join(parts)


def _help(command: click.Command) -> Iterator[str]:
    """The paragraphs of the help text; those that click does not wrap are shown as they are."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield f"```text\n{inspect.cleandoc(paragraph.removeprefix(chr(8)))}\n```"
        else:
            yield wrapped(_text(" ".join(paragraph.split())))


def _row(option: click.Option, context: click.Context) -> tuple[str, str]:
    record = option.get_help_record(context)
    assert record is not None, option.name
    typed, meaning = record
    return code(typed), _text(meaning)


def _text(text: str) -> str:
    """Help texts name options and files as they are typed: options become code. What is escaped again stays as it is."""
    return re.sub(r"(?<![\w`-])(--[a-z][a-z-]*[a-z])", r"`\1`", text)
