"""How the page looks: one column, light and dark, tables that scroll in boxes of their own."""

# Colours of lines are Okabe and Ito's (2008), which colour-blind readers tell apart, in light and dark.
CSS = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1e23; --soft: #5a6270; --rule: #d8dce2; --panel: #f5f6f8; --attacked: #e4eefa;
  --link: #00609c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --ink: #e7e9ec; --soft: #a4acb8; --rule: #363c46; --panel: #1d2127; --attacked: #1c3145;
    --link: #7cc0f0;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 78rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0 .25rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; overflow-wrap: anywhere; }
p, ul, dl { max-width: 46rem; margin: .5rem 0; overflow-wrap: anywhere; }
a { color: var(--link); }
.facts { color: var(--soft); }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; max-width: none; }
nav { font-size: .875rem; margin: 1rem 0; }
figure { margin: 1rem 0; }
figcaption { color: var(--soft); font-size: .875rem; margin-bottom: .4rem; max-width: 46rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: 6px; max-width: max-content; }
table { border-collapse: separate; border-spacing: 0; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--rule); }
thead th { font-weight: 600; vertical-align: bottom; background: var(--panel); max-width: 9rem; }
thead td { background: var(--panel); }
th[scope=colgroup] { text-align: center; border-left: 1px solid var(--rule); max-width: none;
  overflow-wrap: anywhere; }
tbody:last-child tr:last-child > * { border-bottom: 0; }
tbody + tbody tr:first-child > * { border-top: 3px double var(--soft); }
th[scope=row], tr > :first-child { text-align: left; position: sticky; left: 0; min-width: 7.5rem; max-width: 13rem; }
th[scope=row] { font-weight: 500; background: var(--paper); border-right: 1px solid var(--rule);
  overflow-wrap: anywhere; }
td small, th small { display: block; color: var(--soft); font-size: .75rem; font-weight: 400; line-height: 1.25; }
td small span { white-space: nowrap; }
td.attacked { background: var(--attacked); }
td.nothing { color: var(--soft); }
.mark { color: var(--link); font-size: .7em; margin-left: .3em; }
details { margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; padding: .25rem 0; overflow-wrap: anywhere; }
.words { text-align: left; min-width: 6rem; max-width: 34rem; overflow-wrap: break-word; }
.faces td, .faces thead th { padding: .2rem; text-align: center; }
.faces img { display: block; width: 6.5rem; height: auto; margin: auto; }
.faces th[scope=colgroup] { font-weight: 400; font-size: .75rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: .5rem 1.5rem; }
.charts > * { min-width: 0; max-width: 36rem; }
.charts.wide > * { max-width: 44rem; }
.chart { display: block; width: 100%; height: auto; background: var(--panel); border-radius: 6px; }
.chart text { fill: var(--ink); font: 11.5px system-ui, sans-serif; }
.chart .label { font-size: 12px; fill: var(--soft); }
.grid { stroke: var(--rule); stroke-width: 1; }
.rule { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 1 3; }
.line { fill: none; stroke: var(--c); stroke-linejoin: round; }
.interval { stroke: var(--c); stroke-width: 1.2; opacity: .7; }
.filled { fill: var(--c); stroke: var(--panel); stroke-width: .75; }
.hollow { fill: none; stroke: var(--c); stroke-width: 1.5; }
.ink { --c: var(--ink); } .grey { --c: var(--soft); } .vermillion { --c: #d55e00; } .blue { --c: #0072b2; }
.green { --c: #009e73; } .purple { --c: #cc79a7; } .sky { --c: #56b4e9; } .orange { --c: #e69f00; }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; max-width: none;
  font-size: .875rem; }
.legend li { display: flex; align-items: center; gap: .4rem; }
.sample { flex: none; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .2rem 1rem; font-size: .875rem;
  max-width: none; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
@media (max-width: 40rem) {
  main { padding: .75rem; }
  th, td { padding: .3rem .4rem; }
  th[scope=row], tr > :first-child { min-width: 6.5rem; max-width: 8rem; }
  .faces img { width: 5rem; }
  dl { grid-template-columns: 1fr; }
  dd { margin-bottom: .4rem; }
}
"""
