"""A plan as one HTML page that needs nothing else: no script, no font, no image from anywhere.

It is for the person who has to say yes: what it is and costs, what the guards say, then every
change, deletions first, folded by model. Text comes from twins and sources, which strangers can
write, so all of it is escaped; the page forbids itself to load or run anything. At most
``CHANGES_SHOWN`` changes are listed; the file has all of them.
"""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from sync_agent.reconcile.change import Action, Change
from sync_agent.reconcile.plan_file import PlanFile
from sync_agent.report.output import printable, shown
from sync_agent.twins.time import duration, format_time_ms

CHANGES_SHOWN = 5_000
NAMES_SHOWN = 200
_ORDER = (Action.DELETE, Action.UPDATE, Action.CREATE)
_TITLES = {Action.DELETE: "Deletions", Action.UPDATE: "Edits", Action.CREATE: "Creations"}

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --add: #1a7f37; --del: #cf222e; --edit: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --add: #3fb950; --del: #f85149; --edit: #d29922; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
.meta { opacity: .7; margin: 0 0 1.5rem }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem }
.card b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums }
.add { color: var(--add) } .del { color: var(--del) } .edit { color: var(--edit) }
.refused { border-left: .3rem solid var(--del); padding: .4rem .8rem; margin: 1rem 0 }
.warning { border-left: .3rem solid var(--edit); padding: .2rem .8rem; margin: .4rem 0 }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; padding: 0 .8rem }
summary { cursor: pointer; padding: .4rem 0 }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
td, th { text-align: left; padding: .15rem .6rem .15rem 0; vertical-align: top;
  border-top: 1px solid var(--line); overflow-wrap: anywhere }
code { font: 13px ui-monospace, monospace } s { opacity: .65 }
"""


def plan_page(file: PlanFile) -> str:
    """Return the page of a plan."""
    plan = file.plan
    counts = plan.counts()
    instance = _text(file.instance)
    made = (
        f"made {format_time_ms(file.made_ms)} for the twins of <b>{_text(plan.owner.name)}</b>"
        f" from {plan.records:,} records (digest <code>{_text(plan.digest[:12])}</code>),"
        f" {plan.managed:,} managed now"
    )
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">',
        "<meta name=viewport content='width=device-width'>",
        f"<title>Plan for {instance}</title><style>{_STYLE}</style>",
        f"<h1>Plan for {instance}</h1><p class=meta>{made}</p>",
        "<div class=cards>",
        _card("to create", f"{counts[Action.CREATE]:,}", "add"),
        _card("to edit", f"{counts[Action.UPDATE]:,}", "edit"),
        _card("to delete", f"{counts[Action.DELETE]:,}", "del"),
        _card("operations", f"{file.cost.operations:,}"),
        _card("query units, about", f"{file.cost.query_units:,.0f}"),
        _card("at least", duration(file.cost.seconds) if plan.changes else "0 s"),
        "</div>",
        *(f"<p class=refused>The guards refuse it: {_text(r)}</p>" for r in file.refusals),
        f"<p>{_text(file.way.reason)}</p>" if file.way.reason else "",
        *_notes(plan.warnings, plan.foreign),
        *_changes(plan.changes),
    ]
    return "\n".join(part for part in parts if part) + "\n</html>\n"


def _card(label: str, value: str, kind: str = "") -> str:
    return f"<div class=card><b class='{kind}'>{_text(value)}</b>{_text(label)}</div>"


def _notes(warnings: Sequence[str], foreign: Sequence[str]) -> Iterator[str]:
    if warnings:
        yield "<h2>Left alone, and why</h2>"
    for warning in warnings:
        yield f"<p class=warning>{_text(warning)}</p>"
    if foreign:
        names = ", ".join(f"<code>{_text(name)}</code>" for name in foreign[:NAMES_SHOWN])
        more = len(foreign) - NAMES_SHOWN
        rest = f" and {more:,} more" if more > 0 else ""
        yield f"<p>Twins of others with an id the inventory wants: {names}{rest}</p>"


def _changes(changes: Sequence[Change]) -> Iterator[str]:
    if not changes:
        yield "<p>Nothing to do.</p>"
    groups: dict[tuple[Action, str], list[Change]] = defaultdict(list)
    for change in changes:
        groups[change.action, change.kind].append(change)
    left = CHANGES_SHOWN
    for action in _ORDER:
        of_action = {kind: group for (of, kind), group in groups.items() if of is action}
        if of_action:
            yield f"<h2>{_TITLES[action]}</h2>"
        for kind, group in sorted(of_action.items()):
            yield from _group(kind, group, max(left, 0), unfolded=action is not Action.CREATE)
            left -= len(group)


def _group(kind: str, group: Sequence[Change], most: int, *, unfolded: bool) -> Iterator[str]:
    yield (
        f"<details{' open' if unfolded else ''}><summary><b>{_text(kind)}</b>"
        f" ({len(group):,})</summary><table>"
    )
    yield from (_row(change) for change in group[:most])
    yield "</table>"
    if len(group) > most:
        yield f"<p>{len(group) - most:,} more are in the plan's file.</p>"
    yield "</details>"


def _row(change: Change) -> str:
    what = "<br>".join(_what(change))
    return f"<tr><td><code>{_text(change.element)}</code><td>{what}"


def _what(change: Change) -> Iterable[str]:
    if change.relationship is not None and change.action is not Action.UPDATE:
        kind = "add" if change.action is Action.CREATE else "del"
        yield f"<span class={kind}>to <code>{_text(change.edge.target)}</code></span>"
    for edit in change.edits:
        before, after = _value(edit.before), _value(edit.after)
        yield f"{_text(edit.name)}: <s class=del>{before}</s> &rarr; <span class=add>{after}</span>"


def _value(value: object) -> str:
    return "<i>none</i>" if value is None else f"<code>{_text(shown(value))}</code>"


def _text(text: str) -> str:
    return html.escape(printable(text))
