"""The style sheet of the report: light and dark, wide and narrow, moving and still."""

CHART_STYLE = """
:root { color-scheme: light dark;
  --page: #f4f5f7; --card: #ffffff; --ink: #1b1f24; --soft: #59636e; --rule: #dfe3e8;
  --true: #1b1f24; --c0: #0b62c4; --c1: #c2410c; --c2: #0f766e; --c3: #7c3aed; --c4: #be185d; --c5: #5f6b00;
  --c6: #92400e; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0e1116; --card: #171b22; --ink: #e8ebef; --soft: #a2acb8; --rule: #2c333d; --true: #f2f4f7;
    --c0: #6cb0ff; --c1: #ff9a66; --c2: #4fd1c0; --c3: #bfa2ff; --c4: #ff8fc0; --c5: #c8d450;
    --c6: #e0ae7a; } }
.series-true { color: var(--true); } .series-0 { color: var(--c0); } .series-1 { color: var(--c1); }
.series-2 { color: var(--c2); } .series-3 { color: var(--c3); } .series-4 { color: var(--c4); }
.series-5 { color: var(--c5); } .series-6 { color: var(--c6); }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .row { fill: var(--ink); }
svg .grid { stroke: var(--rule); } svg .axis { stroke: var(--soft); }
svg .reference { stroke: var(--soft); stroke-dasharray: 4 4; }
svg .note { paint-order: stroke; stroke: var(--card); stroke-width: 4px; stroke-linejoin: round; }
svg .mean { fill: none; stroke: currentColor; stroke-width: 2.2; stroke-linejoin: round; }
svg .seed { fill: none; stroke: currentColor; stroke-width: 1; opacity: 0.25; }
svg .target { fill: none; stroke: currentColor; stroke-width: 2; stroke-dasharray: 0.1 5;
  stroke-linecap: round; }
svg .band { fill: currentColor; opacity: 0.15; }
svg .mark { fill: currentColor; stroke: var(--card); stroke-width: 1; }
svg .mark[d*="m0"] { stroke: currentColor; stroke-width: 2.4; }
svg .whisker { stroke: currentColor; stroke-width: 3; stroke-linecap: round; }
svg .title { fill: var(--ink); font-size: 16px; font-weight: 600; }
"""
"""Colours and drawing: what a chart needs wherever it stands."""

STYLE = (
    CHART_STYLE
    + """* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.45;
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1400px; margin: 0 auto; padding: 28px 28px 48px; }
header p, .meaning, small, caption, figcaption, footer { color: var(--soft); }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 1.3rem; margin: 34px 0 10px; }
h3 { font-size: 1rem; margin: 0; color: var(--ink); }
h4 { font-size: 0.95rem; margin: 0 0 8px; }
p { margin: 0 0 10px; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 16px 18px; margin: 16px 0; }
.card > h2 { margin: 0 0 4px; }
.meaning { font-size: 0.87rem; margin: 2px 0 8px; }
.cards { list-style: none; margin: 0 0 14px; padding: 0; display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); }
.cards li { border-left: 4px solid currentColor; padding: 2px 0 2px 12px; }
.cards strong { display: block; font-size: 1.9rem; line-height: 1.15; font-variant-numeric: tabular-nums; }
.cards span { color: var(--soft); font-size: 0.87rem; }
.legend { list-style: none; margin: 0 -6px 6px; padding: 8px 6px;
  display: flex; flex-wrap: wrap; gap: 4px 22px;
  position: sticky; top: 0; background: var(--page); z-index: 1; }
.legend li { display: flex; align-items: center; gap: 8px; }
.charts { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(400px, 1fr)); }
.charts .wide { grid-column: 1 / -1; }
.charts figure { margin: 0; min-width: 0; display: flex; flex-direction: column; }
.charts svg, .forest svg { width: 100%; height: auto; margin-top: auto; }
.wide svg text, .forest svg text { font-size: 13px; }
.forest svg .row { font-size: 14.5px; }
.swatch { flex: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.87rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 0 0 8px; }
th, td { padding: 6px 10px; border-top: 1px solid var(--rule); text-align: left; vertical-align: top; }
thead th { border-top: 0; color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 600; }
th:first-child { padding-left: 0; }
.number { text-align: right; white-space: nowrap; }
tbody th, th + td:not(.number) { white-space: nowrap; }
.scroll + .scroll { margin-top: 22px; }
details { margin-top: 8px; font-size: 0.9rem; }
summary { cursor: pointer; color: var(--soft); }
summary:focus-visible, input:focus-visible, .scroll:focus-visible {
  outline: 2px solid var(--c0); outline-offset: 2px; }
.remarks ul { margin: 0; padding-left: 20px; }
section > h3 { margin: 22px 0 4px; }
.pairs { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); }
.pairs .card { margin: 8px 0 0; }
.clips div { display: flex; flex-wrap: wrap; gap: 14px; }
.clip { margin: 0; flex: 1 1 200px; max-width: 360px; }
.clip img { width: 100%; height: auto; display: block; border-radius: 6px; background: #000; }
.clip figcaption { font-size: 0.85rem; margin-top: 4px; }
.hold { color: var(--soft); font-size: 0.9rem; }
.clip .still { display: none; }
body:has(.hold input:checked) .moving { display: none; }
body:has(.hold input:checked) .still { display: block; }
@media (prefers-reduced-motion: reduce) { .clip .moving { display: none; } .clip .still { display: block; }
  .hold { display: none; } }
footer { font-size: 0.87rem; margin-top: 36px; border-top: 1px solid var(--rule); padding-top: 14px; }
code { overflow-wrap: anywhere; }
@media (max-width: 560px) { main { padding: 16px 12px; }
  .charts, .pairs { grid-template-columns: minmax(0, 1fr); }
  .charts .wide svg { min-width: 640px; } .charts .wide { overflow-x: auto; } }
@media print { body { background: #fff; } .card { break-inside: avoid; } .legend { position: static; }
  .clip .moving { display: none; } .clip .still { display: block; } }
"""
)
"""The page around the charts."""
