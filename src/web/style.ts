/**
 * The one stylesheet of every page, served at `/web/style.css`. System fonts, no images. Text has a contrast of at least
 * 4.5:1 and the edges of controls 3:1, in both colour schemes; nothing overflows at 320 px.
 */
export const style = `
:root {
  color-scheme: light dark;
  --page: #f3f5f7; --card: #ffffff; --ink: #17212b; --soft: #4c5a68; --line: #d8dee4; --edge: #6b7988;
  --accent: #0b4a6f; --on-accent: #ffffff; --accent-hover: #08384f; --tint: #eaf2f7;
  --warn: #7a3b00; --warn-tint: #fff4e5; --bad: #9b1c1c; --bad-tint: #fdf0f0; --good: #1c5c38; --good-tint: #eef7f1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f151b; --card: #18212a; --ink: #e8edf2; --soft: #a9b6c2; --line: #2c3945; --edge: #8493a2;
    --accent: #9ccfee; --on-accent: #0c1a24; --accent-hover: #c2e2f5; --tint: #1d2d3a;
    --warn: #ffcf99; --warn-tint: #33261a; --bad: #ffb3b3; --bad-tint: #3a2020; --good: #a5dcbb; --good-tint: #1b3226;
  }
}
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body {
  margin: 0; min-height: 100vh; display: flex; flex-direction: column; background: var(--page); color: var(--ink);
  font: 1.0625rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: break-word;
}
header, main, footer { width: 100%; max-width: 44rem; margin: 0 auto; padding: 0 1.25rem }
header { display: flex; align-items: center; gap: .6rem; padding-top: 1.5rem; padding-bottom: 1.25rem; font-weight: 600; letter-spacing: .01em }
header svg { width: 1.75rem; height: 1.75rem; flex: none; color: var(--accent) }
main { flex: 1 }
footer { padding-top: 2rem; padding-bottom: 2.5rem; color: var(--soft); font-size: .875rem }
footer p { margin: .25rem 0 }
header .home { display: flex; align-items: center; gap: .6rem; color: inherit; text-decoration: none }
.session { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1rem; margin-left: auto; font-size: .875rem; font-weight: 400 }
.session p { margin: 0 }
.session button { min-height: 2.5rem; padding: .35rem 1rem }
body.console header, body.console main { max-width: 80rem }
body.console header { flex-wrap: wrap }
main:focus { outline: none }
h1 { margin: 0 0 1rem; font-size: 1.75rem; line-height: 1.2; letter-spacing: -.015em; text-wrap: balance }
h2 { margin: 0 0 .4rem; font-size: 1.0625rem; line-height: 1.35 }
p, ul, ol { margin: 0 0 .75rem }
ul, ol { padding-left: 1.25rem }
li { margin: .2rem 0 }
a { color: var(--accent); text-underline-offset: .15em }
.lede { margin-bottom: 1.25rem; font-size: 1.125rem; color: var(--soft) }
.soft { color: var(--soft) }
.small { font-size: .9375rem }
.card { margin: 0 0 1.25rem; padding: 1.5rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem }
.card > :last-child, .card form > :last-child { margin-bottom: 0 }
.card h2 + .soft { margin-top: -.25rem }
.skip { position: absolute; left: -100vw }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem 1rem; background: var(--card) }

.steps { display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; margin: 0 0 1.25rem; padding: 0; list-style: none; font-size: .9375rem; color: var(--soft); counter-reset: step }
.steps li { display: flex; align-items: center; gap: .5rem; margin: 0; counter-increment: step }
.steps li::before {
  content: counter(step); display: grid; place-items: center; width: 1.5rem; height: 1.5rem; flex: none; border-radius: 50%;
  border: 1px solid var(--edge); font-size: .8125rem; line-height: 1;
}
.steps [aria-current] { color: var(--ink); font-weight: 600 }
.steps [aria-current]::before { background: var(--accent); border-color: var(--accent); color: var(--on-accent) }

dl { display: grid; grid-template-columns: minmax(7rem, 11rem) minmax(0, 1fr); gap: .6rem 1rem; margin: 0 0 .75rem }
dt { color: var(--soft) }
dd { margin: 0; min-width: 0 }
dd ul { margin: 0; padding: 0; list-style: none }
dd li { margin: 0 }
@media (max-width: 30rem) {
  dl { grid-template-columns: minmax(0, 1fr); gap: 0 }
  dd { margin-bottom: .75rem }
  h1 { font-size: 1.5rem }
  .card { padding: 1.125rem }
}

.disclosure h2 { margin-top: 1.5rem; padding-top: 1.25rem; border-top: 1px solid var(--line) }
.disclosure h2:first-child { margin-top: 0; padding-top: 0; border-top: 0 }

.note { margin: 0 0 1.25rem; padding: .875rem 1rem; border-left: .25rem solid var(--accent); border-radius: .25rem; background: var(--tint) }
.note.warn { border-color: var(--warn); background: var(--warn-tint); color: var(--warn) }
.note.bad { border-color: var(--bad); background: var(--bad-tint); color: var(--bad) }
.note.good { border-color: var(--good); background: var(--good-tint); color: var(--good) }
.note > :last-child { margin-bottom: 0 }
.name { font-weight: 600 }

fieldset { margin: 0 0 1rem; padding: 0; border: 0; min-width: 0 }
legend { padding: 0; margin-bottom: .5rem; font-weight: 600 }
.tick { display: flex; gap: .75rem; align-items: flex-start; padding: .75rem; border: 1px solid var(--line); border-radius: .5rem; margin: 0 0 .5rem; cursor: pointer }
.tick:hover { border-color: var(--edge) }
.tick span { min-width: 0 }
input[type=checkbox] { flex: none; width: 1.25rem; height: 1.25rem; margin: .2rem 0 0; accent-color: var(--accent) }

.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0 0 1.25rem }
.actions > * { flex: 1 1 12rem; margin: 0 }
.actions form button { width: 100% }
button {
  min-height: 3rem; padding: .65rem 1.25rem; border: 2px solid var(--accent); border-radius: .5rem; background: var(--accent); color: var(--on-accent);
  font: inherit; font-weight: 600; line-height: 1.3; cursor: pointer; overflow-wrap: anywhere;
}
button:hover { background: var(--accent-hover); border-color: var(--accent-hover) }
button.quiet { background: transparent; color: var(--accent) }
button.quiet:hover { background: var(--tint); border-color: var(--accent); color: var(--accent) }
.banks { display: grid; gap: .6rem; margin: 0; padding: 0; list-style: none }
.banks li { margin: 0 }
.banks button { width: 100%; text-align: left; border-width: 1px; border-color: var(--edge); color: var(--ink) }
.banks .name::after { content: ' ›'; color: var(--soft) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: .25rem }
button:focus-visible { border-radius: .5rem }
h1:focus { outline: none }

.connection { display: grid; gap: .25rem }
.connection form { margin-top: .75rem }
details { margin-top: .75rem }
summary { padding: .35rem 0; color: var(--accent); cursor: pointer }
details form { margin-top: .5rem }
.end button { width: 100% }
.state { display: inline-block; padding: .1rem .6rem; border-radius: 1rem; font-size: .875rem; font-weight: 600; background: var(--good-tint); color: var(--good) }
.state.ended { background: var(--page); color: var(--soft) }

.entries { list-style: none }
.entries li { margin: 0; padding: .75rem 0; border-top: 1px solid var(--line) }
.entries li:first-child { border-top: 0 }
.entries p { margin: .25rem 0 0 }
.entries h2 { margin: 0; font-size: 1rem }

.figure { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0 1rem; margin: 0 }
.figure strong { font-variant-numeric: tabular-nums; font-size: 1.25rem }
h3 { margin: 1.25rem 0 .25rem; font-size: 1rem }
.transactions { margin: 0; padding: 0; list-style: none; font-size: .9375rem }
.transactions li { display: flex; justify-content: space-between; gap: 1rem; margin: 0; padding: .6rem 0; border-top: 1px solid var(--line) }
.transactions div { min-width: 0; overflow-wrap: anywhere }
.transactions time { display: block; color: var(--soft); font-size: .875rem }
.transactions b { flex: none; font-weight: 500; font-variant-numeric: tabular-nums }
code { font-size: .875em; overflow-wrap: anywhere }
@media (prefers-reduced-motion: no-preference) { button, .tick { transition: background-color .12s, border-color .12s } }
@media (forced-colors: active) { .note, .state { border: 1px solid } }
@media print {
  :root { color-scheme: light; --page: #ffffff; --card: #ffffff; --ink: #000000; --soft: #333333; --line: #999999; --accent: #000000;
    --good: #1c5c38; --good-tint: #ffffff; --bad: #9b1c1c; --bad-tint: #ffffff }
  body { background: none }
  .skip, .actions, footer { display: none }
  header, main { max-width: none; padding: 0 }
  .card { padding: .75rem 0; border-width: 1px 0 0; border-radius: 0 }
  .card h2, h3 { break-after: avoid }
  dt, dd, li, .note { break-inside: avoid }
}
`
