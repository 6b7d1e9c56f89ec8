"""The one style of every page: colours for light and dark, and a layout that needs no width."""

STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --soft: #5b6470; --page: #fff; --panel: #f5f6f8; --line: #dde1e6;
  --blue: #2a62b8; --bar: #a9c5ee; --good: #1a7340; --bad: #b3261e; --open: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8eb; --soft: #a0a8b3; --page: #16181c; --panel: #1f2228;
  --line: #343a43; --blue: #8ab4f8; --bar: #35517d; --good: #6fcf97; --bad: #ff8a80; --open: #f2b84b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
p { margin: .5rem 0; overflow-wrap: anywhere; } ul { margin: .5rem 0; padding-left: 1.2rem; }
li { margin: .2rem 0; overflow-wrap: anywhere; }
.lead { padding: .75rem 1rem; background: var(--panel); border-left: 4px solid var(--soft); }
.lead.good { border-color: var(--good); } .lead.bad { border-color: var(--bad); }
.lead.open { border-color: var(--open); } .lead.lead b { color: inherit; }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: 0; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.share { min-width: 7rem; white-space: nowrap; font-variant-numeric: tabular-nums; }
td { overflow-wrap: break-word; max-width: 34rem; }
.good b { color: var(--good); } .bad b { color: var(--bad); } .open b { color: var(--open); }
td.good, td.bad, td.open { white-space: nowrap; }
dl { display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr; margin: .75rem 0; font-size: .95rem; }
dt, dd { margin: 0; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
dt { color: var(--soft); }
.bar { display: block; height: .45rem; width: 100%; margin-top: .2rem; } .bar rect { fill: var(--bar); }
figure { margin: .75rem 0; } figcaption { color: var(--soft); font-size: .9rem; }
.curves { display: flex; flex-wrap: wrap; gap: 1rem; } .curve { width: 22rem; max-width: 100%; height: auto; }
.curve text { fill: var(--soft); font-size: 11px; } .curve path { fill: none; } .curve .grid { stroke: var(--line); }
.curve .even { stroke: var(--soft); stroke-dasharray: 4 4; } .curve .line { stroke: var(--blue); stroke-width: 1.5; }
.curve .whisker { stroke: var(--blue); opacity: .55; stroke-width: 2; } .curve circle { fill: var(--blue); }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--blue); }
@media (max-width: 36rem) { main { padding: 1.25rem 1rem 3rem; } dl { grid-template-columns: 1fr; }
  dt { border: 0; padding-bottom: 0; } dd { padding-top: 0; } }
@media print { main { max-width: none; } details > *  { display: block; } }
""".strip()
