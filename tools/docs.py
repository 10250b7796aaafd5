"""Write the generated pages, or with ``--check`` tell whether the docs are true.

Generated: ``docs/configuration.md`` from the settings, ``docs/cli.md`` from the commands,
``docs/ontology/`` from the models, the support matrix in ``docs/stub.md`` from a running stub.
Checked besides: every link from one page to another leads somewhere, anchors included, and every
command that the README shows is there, with its options.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sync_agent.cli.main import COMMANDS, build, load_command
from sync_agent.settings.text import SettingRow, section_summaries, setting_rows, table_rows
from tools import stub_matrix
from tools.ontology_pages import pages

ROOT = Path(__file__).parent.parent
GENERATED = "<!-- Written by `make docs`; do not edit. -->"
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)|<img[^>]*\ssrc=\"([^\"]+)\"")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\s*(?:\$ )?(sync-agent|make) (.*)$", re.MULTILINE)


def configuration_page() -> str:
    """Return the page that documents every setting."""
    lines = [
        "# Configuration",
        "",
        GENERATED,
        "",
        "Settings come from four places; a later one wins: the defaults, a TOML file (`--config`,",
        "`SYNC_AGENT_CONFIG`, or `sync-agent.toml` in the working folder), the environment",
        "(`SYNC_AGENT__SECTION__KEY`; an empty variable counts as not set), and",
        "`--set section.key=value`. Unknown keys are errors. Relative paths in the file start from",
        "the file's folder, elsewhere from the working folder.",
        "",
        "`sync-agent config init` writes a commented file. `sync-agent config show --origin`",
        "prints each value in force and where it came from; secrets are masked.",
    ]
    rows = list(setting_rows())
    for section, summary in section_summaries().items():
        lines += ["", f"## [{section}]", "", summary, ""]
        lines += _setting_table(row for row in rows if row.section == section)
        for name, about, inner in table_rows():
            if name.startswith(f"{section}."):
                lines += ["", f"### [[{name}]]", "", about, "", *_setting_table(inner)]
    return "\n".join(lines) + "\n"


def _setting_table(rows: Iterable[SettingRow]) -> list[str]:
    lines = ["| key | type | default | what it is |", "| --- | --- | --- | --- |"]
    for row in rows:
        default = f"`{row.default}`" if row.is_value else row.default[1:-1]
        kind = row.type.replace("|", "\\|")
        lines.append(f"| `{row.key}` | {kind} | {default} | {row.description} |")
    return lines


def command_page() -> str:
    """Return the page that documents every command and option."""
    lines = [
        "# Commands",
        "",
        GENERATED,
        "",
        "Exit codes: 0 done, 1 error, 2 changes are pending, 130 interrupted. Results go to",
        "standard output, progress and errors to standard error.",
        "",
        "## sync-agent",
        "",
        "Options before the command; they hold for every command.",
        "",
        *_parameters(build()),
    ]
    for name in COMMANDS:
        lines += _command(f"sync-agent {name}", load_command(name))
    return "\n".join(lines) + "\n"


def _command(path: str, command: Any) -> list[str]:
    lines = ["", f"## {path}", "", *_prose(command.help or "")]
    table = _parameters(command)
    lines += ["", *table] if table else []
    for name, inner in getattr(command, "commands", {}).items():
        lines += _command(f"{path} {name}", inner)
    return lines


def _prose(text: str) -> list[str]:
    """Return a docstring's lines without its ``Raises:`` section, which is for callers in code."""
    return re.split(r"\n\s*Raises:\n", text.replace("\b", ""))[0].strip().splitlines()


def _parameters(command: Any) -> list[str]:
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    if not shown:
        return []
    lines = ["| option or argument | default | what it does |", "| --- | --- | --- |"]
    for parameter in shown:
        default = parameter.default
        plain = default is None or default is False or callable(default) or default == ()
        text = "" if plain else f"`{getattr(default, 'value', default)}`"
        summary = " ".join((parameter.help or "").split()).replace("|", "\\|")
        lines.append(f"| {_name(parameter)} | {text} | {summary} |")
    return lines


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
        return f"`{name}`" if parameter.required else f"`[{name}]`"
    return ", ".join(f"`{option}`" for option in [*parameter.opts, *parameter.secondary_opts])


def generated_pages() -> dict[Path, str]:
    """Return every generated page by its file."""
    return {
        ROOT / "docs/configuration.md": configuration_page(),
        ROOT / "docs/cli.md": command_page(),
        stub_matrix.PAGE: stub_matrix.page(),
        **pages(),
    }


def stale_pages() -> Iterator[str]:
    """Yield a sentence for every generated page that is not what it should be."""
    for path, page in generated_pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != page:
            yield f"{path.relative_to(ROOT)} is out of date: run `make docs`"


def broken_links() -> Iterator[str]:
    """Yield a sentence for every link between our pages that leads nowhere."""
    for page in sorted(_our_pages()):
        for target in _links(page.read_text(encoding="utf-8")):
            path, _, anchor = target.partition("#")
            file = (page.parent / path) if path else page
            if not file.exists():
                yield f"{page.relative_to(ROOT)}: {target} leads nowhere"
            elif anchor and file.suffix == ".md" and anchor not in _anchors(file):
                yield f"{page.relative_to(ROOT)}: {target}: no such heading"


def unknown_commands() -> Iterator[str]:
    """Yield a sentence for every command line in a page that the program or Makefile lacks."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in sorted(_our_pages()):
        for fence in _FENCE.findall(page.read_text(encoding="utf-8")):
            for program, rest in _COMMAND.findall(fence):
                words = rest.split("#")[0].split()
                if program == "make":
                    unknown = [w for w in words if "=" not in w and w not in targets]
                else:
                    unknown = list(_unknown_words(words))
                for word in unknown:
                    yield f"{page.relative_to(ROOT)}: `{program} {rest}`: {word} is not known"


def _unknown_words(words: list[str]) -> Iterator[str]:
    """Yield the command and the long options of a ``sync-agent`` line that do not exist."""
    root: Any = build()
    command = root
    known = {option for p in command.params for option in p.opts} | {"--help"}
    for word in words:
        if word in getattr(command, "commands", {}):
            command = load_command(word) if command is root else command.commands[word]
            known |= {o for p in command.params for o in [*p.opts, *p.secondary_opts]}
        elif word.startswith("--") and word.split("=")[0] not in known:
            yield word
    if not any(word in COMMANDS or word in ("--help", "--version") for word in words):
        yield " ".join(words)


def _our_pages() -> set[Path]:
    return {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")}


def _links(text: str) -> Iterator[str]:
    for found in _LINK.finditer(_FENCE.sub("", text)):
        target = found[1] or found[2]
        if not re.match(r"[a-z]+:", target):
            yield target


def _anchors(page: Path) -> set[str]:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def main() -> None:
    """Write the pages, or check the docs and exit with 1 when something is wrong."""
    if sys.argv[1:] == ["--check"]:
        problems = [*stale_pages(), *broken_links(), *unknown_commands()]
        for problem in problems:
            print(problem, file=sys.stderr)
        sys.exit(1 if problems else 0)
    for path, page in generated_pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(page, encoding="utf-8")
        print(f"Wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
