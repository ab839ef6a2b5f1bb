/** The style of a report: light and dark, desk and phone, screen and paper. No `</` in it. */

export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --paper: #ffffff; --line: #d9dde3; --text: #1b2129; --quiet: #566070; --link: #0b5cad;
  --code: #f3f5f7; --on-colour: #ffffff;
  --s4: #9b1536; --s3: #c2410c; --s2: #96590a; --s1: #1d6a9e; --s0: #566173;
  --good: #17693f; --warn: #8a5300; --bad: #a81425;
  --good-bg: #e8f5ed; --warn-bg: #fff4de; --bad-bg: #fdeaec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151a; --paper: #1a1f26; --line: #333b46; --text: #e6e9ee; --quiet: #a3adbb; --link: #80b8f5;
    --code: #12161c; --on-colour: #12151a;
    --s4: #f4748c; --s3: #f79256; --s2: #e2b340; --s1: #6bb5ec; --s0: #9aa7b8;
    --good: #62c98f; --warn: #eab04c; --bad: #f47e88;
    --good-bg: #14291f; --warn-bg: #2d2413; --bad-bg: #331a1e;
  }
}
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--text); overflow-wrap: anywhere;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
main, footer { max-width: 1120px; margin: 0 auto; padding: 0 20px; }
main { padding-top: 28px; }
footer { padding-bottom: 32px; color: var(--quiet); font-size: 13px; }
h1 { margin: 0; font-size: 26px; line-height: 1.25; letter-spacing: -.01em; }
h2 { margin: 0 0 12px; font-size: 18px; line-height: 1.3; }
h3 { margin: 18px 0 6px; font-size: 15px; }
h4 { margin: 14px 0 4px; font-size: 13px; color: var(--quiet); }
p { margin: 0 0 8px; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.kind { margin: 0 0 2px; color: var(--quiet); font-size: 13px; }
.quiet, .note { color: var(--quiet); }
.note { font-size: 13px; }
.lines { white-space: pre-line; }
.hidden {
  position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; border: 0;
}
header { margin-bottom: 20px; }
section { margin: 0 0 20px; padding: 20px; background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
.banner {
  margin: 0 0 16px; padding: 10px 14px; border: 2px dashed var(--warn); border-radius: 8px;
  background: var(--warn-bg); color: var(--text);
}
.banner strong { color: var(--warn); letter-spacing: .04em; }
.mark {
  display: inline-block; margin-left: 8px; padding: 1px 8px; border: 1px solid currentColor; border-radius: 10px;
  color: var(--quiet); font-size: 12px; font-weight: 600; vertical-align: middle; letter-spacing: normal;
}
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: 12px 24px; margin: 14px 0 0; }
dl.facts dt { color: var(--quiet); font-size: 13px; }
dl.facts dd { margin: 0; }
dl.facts .wide { grid-column: 1 / -1; }
dl.facts .double { grid-column: span 2; }
dl.facts p { margin: 0; }

.quality { border-left-width: 6px; }
.quality.complete { border-left-color: var(--good); }
.quality.limited { border-left-color: var(--warn); background: var(--warn-bg); }
.quality.unusable { border-left-color: var(--bad); background: var(--bad-bg); }
.verdict { margin: 0 0 4px; font-size: 22px; font-weight: 700; line-height: 1.3; }
.verdict small { display: block; font-size: 13px; font-weight: 400; color: var(--quiet); }
.complete .verdict strong { color: var(--good); }
.limited .verdict strong { color: var(--warn); }
.unusable .verdict strong { color: var(--bad); }
.meaning { font-weight: 600; }
.reasons { margin: 8px 0 0; padding-left: 20px; }
.caution { padding: 6px 12px; border-left: 4px solid var(--warn); background: var(--warn-bg); }
.caution.unusable { border-left-color: var(--bad); background: var(--bad-bg); }
details[data-list] { margin-top: 12px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 20px; margin-bottom: 20px; }
.pair section { margin: 0; }

.scroll { overflow-x: auto; margin: 0 0 8px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
/* words stay whole where a box can scroll */
th, td { padding: 6px 10px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
thead th { color: var(--quiet); font-size: 13px; font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 400; }
tbody tr:last-child > * { border-bottom: 0; }
.number, .count { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.name { min-width: 200px; }
.short { white-space: nowrap; }
.badge {
  display: inline-block; min-width: 62px; padding: 1px 8px; border-radius: 4px; background: var(--colour);
  color: var(--on-colour); font-size: 12px; font-weight: 600; text-align: center; white-space: nowrap;
}
.s4, .c-new { --colour: var(--s4); } .s3, .c-changed { --colour: var(--s3); } .s2, .c-unsure { --colour: var(--s2); }
.s1 { --colour: var(--s1); } .s0, .c-persisting { --colour: var(--s0); } .c-fixed { --colour: var(--good); }
.bars { max-width: 720px; }
.bars th, .bars td { padding: 4px 0; border: 0; vertical-align: middle; }
.bars tbody th { width: 150px; padding-right: 12px; }
.bars .count { width: 64px; font-weight: 600; }
.bars svg { display: block; width: 100%; height: 16px; background: var(--code); border-radius: 3px; fill: var(--colour); }
.heatmap thead th, .heatmap tbody th { padding-left: 0; }
.heatmap tbody th { min-width: 96px; overflow-wrap: anywhere; }
.heat { width: 12%; min-width: 48px; text-align: right; font-variant-numeric: tabular-nums; border: 1px solid var(--paper); border-radius: 4px; }
.heat.zero { color: var(--quiet); }
.h1 { background: color-mix(in srgb, var(--colour) 12%, var(--paper)); }
.h2 { background: color-mix(in srgb, var(--colour) 20%, var(--paper)); }
.h3 { background: color-mix(in srgb, var(--colour) 28%, var(--paper)); }
.h4 { background: color-mix(in srgb, var(--colour) 36%, var(--paper)); }
.h5 { background: color-mix(in srgb, var(--colour) 44%, var(--paper)); font-weight: 600; }

#filter { display: flex; flex-wrap: wrap; gap: 10px 18px; align-items: end; margin: 0 0 12px; }
#filter fieldset { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 0; padding: 6px 0; border: 0; min-width: 0; }
#filter .search { flex: 1 1 240px; font-size: 13px; color: var(--quiet); }
#filter input[type=search] {
  display: block; width: 100%; padding: 6px 10px; border: 1px solid var(--quiet); border-radius: 6px;
  background: var(--paper); color: var(--text); font: inherit; font-size: 16px;
}
.choice { display: inline-flex; align-items: center; gap: 5px; min-height: 24px; font-size: 14px; }
.choice input { width: 16px; height: 16px; margin: 0; accent-color: var(--link); }
.dot { width: 10px; height: 10px; border-radius: 2px; background: var(--colour); }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; }
button {
  padding: 6px 12px; border: 1px solid var(--quiet); border-radius: 6px; background: var(--paper); color: var(--text);
  font: inherit; font-size: 14px; cursor: pointer;
}
button:hover { border-color: var(--link); }
#filter-status { margin: 0; font-weight: 600; }
#filter-status:not(:empty) { margin-bottom: 10px; }

summary { cursor: pointer; }
h3.inline { display: inline; }
details.finding { border-top: 1px solid var(--line); }
details.finding > summary { display: flex; align-items: baseline; gap: 10px; padding: 9px 4px; list-style: none; }
details.finding > summary::-webkit-details-marker { display: none; }
details.finding > summary::after {
  content: ""; flex: none; align-self: center; width: 7px; height: 7px; margin: -3px 4px 0 2px;
  border: solid var(--quiet); border-width: 0 2px 2px 0; transform: rotate(45deg);
}
details.finding[open] > summary::after { transform: rotate(225deg); margin-top: 3px; }
details.finding > summary:hover h3 { text-decoration: underline; }
details.finding .badge { flex: none; }
details.finding summary h3 { flex: 1; min-width: 0; margin: 0; font-weight: 600; }
details.finding .where { flex: 0 1 auto; min-width: 0; max-width: 45%; text-align: right; color: var(--quiet); font-size: 13px; }
details.finding > .body { padding: 2px 4px 18px; }
@media (min-width: 720px) { details.finding > .body { padding-left: 76px; } }
.body > h4:first-child { margin-top: 4px; }
.body ul { margin: 0; padding-left: 20px; }
.chips { display: flex; flex-wrap: wrap; gap: 4px 6px; margin: 0; padding: 0 !important; list-style: none; }
.chips li { padding: 0 7px; border: 1px solid var(--line); border-radius: 4px; font-size: 13px; }
.place { margin: 0 0 6px; font-size: 14px; }
summary.place { padding: 2px 0; }
pre {
  margin: 4px 0 10px; padding: 10px 12px; border: 1px solid var(--line);
  border-radius: 6px; background: var(--code); white-space: pre-wrap; unicode-bidi: plaintext;
  font: 12.5px/1.45 ui-monospace, SFMono-Regular, Consolas, "Liberation Mono", monospace;
}
.empty { padding: 14px; border: 1px dashed var(--line); border-radius: 6px; }
.empty > :last-child { margin: 0; }
.left-out { margin-top: 14px; padding: 10px 14px; border: 1px solid var(--line); border-radius: 6px; background: var(--code); }
.left-out > :last-child { margin: 0; }
.folded p { margin: 6px 0 0; }
code { font: .92em ui-monospace, SFMono-Regular, Consolas, "Liberation Mono", monospace; }

@media (max-width: 600px) {
  main, footer { padding-left: 12px; padding-right: 12px; }
  main { padding-top: 16px; }
  section { padding: 14px 12px; }
  h1 { font-size: 22px; }
  dl.facts { grid-template-columns: minmax(0, 1fr); gap: 8px; }
  dl.facts .double { grid-column: auto; }
  th, td { padding: 6px; }
  .bars tbody th { width: 92px; }
  .bars .count { width: 56px; }
  .heatmap { font-size: 13px; }
  .heatmap thead th { font-size: 11px; padding: 4px 3px; }
  .heat { min-width: 36px; padding: 6px 3px; }
  .name { min-width: 160px; }
  details.finding > summary { flex-wrap: wrap; }
  details.finding > summary h3 { order: 3; flex-basis: 100%; }
  details.finding .where { flex: 1; max-width: none; }
}
@media print {
  :root {
    color-scheme: light;
    --page: #fff; --paper: #fff; --line: #bbb; --text: #000; --quiet: #444; --link: #000; --code: #fff; --on-colour: #fff;
    --s4: #9b1536; --s3: #c2410c; --s2: #96590a; --s1: #1d6a9e; --s0: #566173;
    --good: #17693f; --warn: #8a5300; --bad: #a81425; --good-bg: #fff; --warn-bg: #fff; --bad-bg: #fff;
  }
  @page { margin: 16mm 14mm; }
  body { font-size: 10.5pt; }
  main, footer { max-width: none; padding: 0; }
  section { padding: 0 0 8pt; border: 0; border-radius: 0; }
  .quality { padding: 6pt 10pt; border: 1px solid var(--line); border-left: 6px solid; }
  .badge, .heat, .dot { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  #filter { display: none; }
  /* closed ones too, where the script could not open them */
  details::details-content { content-visibility: visible; display: block; height: auto; }
  details.finding > summary::after { display: none; }
  .scroll { overflow: visible; }
  h2, h3, h4, summary, caption, thead { break-after: avoid; }
  tr, .quality, .banner, .caution, .bars { break-inside: avoid; }
  p { orphans: 3; widows: 3; }
  section > a[href]::after, .body a[href]::after { content: none; }
}
`;
