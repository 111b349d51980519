"""A run's savings as one HTML file: nothing to load, light and dark, narrow and wide."""

import html
from collections.abc import Iterable, Sequence

from spotbatch.tools.savings_after import Account, dollars

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f23; --paper: #fff; --faint: #667; --line: #d8dde3; --saved: #2a9d8f; --cost: #d1573b; --net: #44688c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ea; --paper: #15181b; --faint: #9aa3ad; --line: #343a41; --saved: #4cc3b4; --cost: #f08a70; --net: #7fa6cf; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 52rem; padding: 1.2rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.25rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 2rem 0 .4rem; }
.big { font-size: clamp(2.2rem, 9vw, 3.4rem); line-height: 1.1; font-weight: 650; margin: .6rem 0 0; }
.faint, small { color: var(--faint); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .5rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.steps { display: grid; gap: .55rem; margin: 0; padding: 0; list-style: none; }
.steps .says { display: flex; justify-content: space-between; gap: 0 1rem; flex-wrap: wrap; }
.track { background: color-mix(in srgb, var(--line) 55%, transparent); height: .8rem; border-radius: 3px; position: relative; }
.track i { position: absolute; top: 0; bottom: 0; border-radius: 3px; min-width: 2px; }
.net { font-weight: 650; }
@media (min-width: 36rem) { td:not(:last-child) { white-space: nowrap; } }
@media (max-width: 36rem) {
  thead { position: absolute; left: -99rem; }
  tr { display: block; border-bottom: 1px solid var(--line); padding: .4rem 0; }
  td { display: grid; grid-template-columns: 5rem 1fr; border: 0; padding: 0; overflow-wrap: anywhere; }
  td::before { content: attr(data-name); color: var(--faint); }
}
"""


def page(account: Account) -> str:
    """The whole file."""
    steps, reached = [], 0.0
    lines = [line for line in account.lines if line is account.lines[0] or line.usd]
    scale = max([account.on_demand_usd, *(abs(line.usd) for line in lines)]) or 1.0
    for line in lines:
        begin, reached = reached, reached + line.usd
        steps.append(
            _step(
                line.name,
                f"{account.percent(line.usd):+.1f} % &nbsp; {dollars(line.usd)}"
                + ("" if line.hours is None else f" &nbsp; <small>{_lasting(line.hours)}</small>"),
                min(begin, reached) / scale,
                abs(line.usd) / scale,
                "saved" if line.usd >= 0 else "cost",
            )
        )
    steps.append(
        _step("net saving", f"{account.percent(reached):.1f} % &nbsp; {dollars(reached)}", min(0.0, reached) / scale, abs(reached) / scale, "net")
    )
    told = account.to_json()
    ran = f"{told['from']} to {told['to']}" + ("" if account.ended else ", still running")
    prices = [(one.instance_type, one.kind, f"${one.usd_per_hour:.4f}", one.region, one.date, one.source) for one in account.prices]
    uses = [(one.service, f"{one.units:,.4g}", f"${one.usd:.7f}", one.date, one.table) for one in account.uses]
    paid, whole = dollars(account.on_demand_usd - account.net_usd), dollars(account.on_demand_usd)
    body = [
        f"<h1>{html.escape(account.title)}</h1>",
        f'<p class="big">{account.percent(account.net_usd):.1f} % saved</p>',
        f"<p>net of waste: {paid} instead of {whole} for the same work on demand.<br>"
        f'<span class="faint">{ran}; {told["machines"]} machines; {_lasting(told["useful_hours"])} of useful machine time, '
        f"waste {told['waste_percent']:.1f} % of it</span></p>",
        "<h2>From gross to net</h2>",
        f'<ul class="steps">{"".join(steps)}</ul>',
        "<h2>Prices, an hour</h2>",
        _table(("type", "kind", "price", "region", "date", "source"), prices),
        *(["<h2>Storage and handler</h2>", _table(("service", "units", "cost", "date", "source"), uses)] if uses else []),
        "<h2>What the records cannot tell</h2>",
        f"<ul>{''.join(f'<li>{html.escape(remark)}</li>' for remark in account.remarks)}</ul>",
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(account.title)}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"


def _step(name: str, says: str, begin: float, width: float, colour: str) -> str:
    left = f"left:{100 * max(0.0, begin):.2f}%;width:{100 * min(1.0, width):.2f}%"
    bar = f'<div class="track" aria-hidden="true"><i style="{left};background:var(--{colour})"></i></div>'
    return f'<li class="{colour}"><div class="says"><span>{html.escape(name)}</span><span>{says}</span></div>{bar}</li>'


def _table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{html.escape(one)}</th>" for one in heads)
    cells = ["".join(f'<td data-name="{name}">{html.escape(cell)}</td>' for name, cell in zip(heads, row, strict=True)) for row in rows]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in cells)}</tbody></table>"


def _lasting(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
