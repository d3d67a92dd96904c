"""What the documents say of the commands and options, made from the program itself.

    python -m redact.cli.reference

in the folder of the project writes it: the tables between markers in README.md and docs/, and the man page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from redact.cli import cli
from redact.errors import RedactError

DOCUMENTS = ("README.md", "docs/guide.md")
MAN_PAGE = "docs/redact.1"
MARKED = re.compile(r"(<!-- (\w+), made by the program -->\n).*?(<!-- end -->)", re.S)


@dataclass(frozen=True)
class Entry:
    """One command.

    Attributes:
        name: as it is typed after "redact", such as "mark add".
        command: what runs it.
    """

    name: str
    command: click.Command

    @property
    def usage(self) -> str:
        """How it is typed: with its arguments and the options that it cannot do without."""
        words = [f"redact {self.name}"]
        for argument in self.command.params:
            if isinstance(argument, click.Argument):
                many = argument.nargs == -1
                word = argument.metavar or (argument.name or "").upper().rstrip("S" if many else "") + "..." * many
                words.append(word if argument.required else f"[{word}]")
        words += [_typed(p) for p in self.command.params if isinstance(p, click.Option) and p.required]
        return " ".join(words)

    @property
    def promise(self) -> str:
        """What it does, in one line."""
        return " ".join((self.command.help or "").split("\n\n")[0].split())


def entries() -> Iterator[Entry]:
    """Yield every command, those of a group one by one."""
    for name, command in cli.commands.items():
        if isinstance(command, click.Group):
            yield from (Entry(f"{name} {inner}", found) for inner, found in command.commands.items())
        else:
            yield Entry(name, command)


def command_table() -> str:
    """Return the table of all commands."""
    rows = [f"| `{_cell(entry.usage)}` | {_cell(entry.promise)} |" for entry in entries()]
    return "\n".join(["| command | |", "|---|---|", *rows]) + "\n"


def option_table() -> str:
    """Return the table of all options; one that several commands have in the same words stands in it once."""
    commands: dict[tuple[str, str], list[str]] = {}
    for entry in entries():
        for option in entry.command.params:
            if isinstance(option, click.Option):
                commands.setdefault((_typed(option), option.help or ""), []).append(entry.name)
    rows = [
        f"| `{_cell(typed)}` | {', '.join(names)} | {_cell(said.rstrip('.'))} |"
        for (typed, said), names in commands.items()
    ]
    return "\n".join(["| option | of | |", "|---|---|---|", *rows]) + "\n"


def fill(text: str) -> str:
    """Return a document with what stands between its markers made anew."""
    tables = {"commands": command_table, "options": option_table}
    return MARKED.sub(lambda found: found[1] + tables[found[2]]() + found[3], text)


def man_page() -> str:
    """Return the man page, in the macros of man(7)."""
    lines = ['.TH REDACT 1 "" "redact" "User Commands"', ".SH NAME", f"redact \\- {_roff(_lower(cli.help or ''))}"]
    lines += [".SH SYNOPSIS", ".B redact", r"\fICOMMAND\fR [\fIARGUMENT\fR...] [\fIOPTION\fR...]", ".SH COMMANDS"]
    for entry in entries():
        lines += [".SS", _roff(entry.usage), _roff(entry.promise)]
        for option in entry.command.params:
            if isinstance(option, click.Option):
                lines += [".TP", f".B {_roff(_typed(option))}", _roff(option.help or "")]
    lines += [".SH EXIT STATUS", ".TP", ".B 0", "Done."]
    codes = {error.exit_code: error.__doc__ or "" for error in RedactError.__subclasses__()}
    codes |= {1: 'A bug; "run" writes the details to the private log, other commands print them.', 130: "Interrupted."}
    for code, said in sorted(codes.items()):
        lines += [".TP", f".B {code}", _roff(" ".join(said.split()))]
    return "\n".join(lines) + "\n"


def write(root: Path) -> None:
    """Write the tables and the man page of the project in a folder."""
    for name in DOCUMENTS:
        (root / name).write_text(fill((root / name).read_text("utf-8")), "utf-8")
    (root / MAN_PAGE).write_text(man_page(), "utf-8")


def _typed(option: click.Option) -> str:
    """Return an option as it is typed, with what it takes."""
    if option.is_flag:
        return option.opts[0]
    choices = "|".join(option.type.choices) if isinstance(option.type, click.Choice) else ""
    return f"{option.opts[0]} {option.metavar or choices or option.type.name.upper()}"


def _cell(text: str) -> str:
    """Return a text as it may stand in a cell of a Markdown table."""
    return text.replace("|", "\\|")


def _roff(text: str) -> str:
    """Return a text in which nothing is taken for a macro."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def _lower(text: str) -> str:
    """Return a sentence as it stands after a dash."""
    return text[:1].lower() + text[1:].rstrip(".")


if __name__ == "__main__":
    write(Path())
