extension StatusPage {
    /// One column on a phone, where each row of a table becomes a card; light and dark as the system wants it.
    static let style = #"""
        :root {
          color-scheme: light dark;
          --paper: #f6f7f8; --card: #fff; --line: #e3e6e9; --ink: #1c2226; --soft: #5c6870;
          --accent: #0e7c86; --wash: #0e7c8622; --warn: #a15c00; --bad: #b3261e;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --paper: #12161a; --card: #1a2026; --line: #2b333a; --ink: #e4e9ec; --soft: #97a4ad;
            --accent: #4fc3cd; --wash: #4fc3cd22; --warn: #e5a54b; --bad: #ff8a80;
          }
        }
        * { box-sizing: border-box; margin: 0; }
        html { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
        body { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1.25rem 2rem; font-variant-numeric: tabular-nums; }
        header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; margin-bottom: 1.25rem; }
        h1 { font-size: 1.3rem; font-weight: 600; letter-spacing: -.01em; overflow-wrap: anywhere; }
        #name:not(:empty)::before { content: "·"; color: var(--soft); margin: 0 .45rem; font-weight: 400; }
        #name { font-weight: 400; }
        h2 { font-size: .8rem; font-weight: 600; color: var(--soft); letter-spacing: .02em; }
        #state { font-weight: 500; overflow-wrap: anywhere; }
        #state::before { content: ""; display: inline-block; width: .55rem; height: .55rem; border-radius: 50%;
          background: var(--soft); margin-right: .45rem; }
        #state.ready { color: var(--accent); }
        #state.ready::before { background: var(--accent); }
        #state.not-ready { color: var(--warn); }
        #state.not-ready::before { background: var(--warn); }
        #state.away { color: var(--bad); }
        #state.away::before { background: var(--bad); }
        #about { color: var(--soft); margin-left: auto; }
        main { display: grid; gap: 1rem; grid-template-columns: repeat(2, minmax(0, 1fr)); }
        main.away { opacity: .55; }
        #tables { display: contents; }
        .card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.15rem; }
        .wide, #counters-card, noscript { grid-column: 1 / -1; }
        #plot { display: flex; flex-direction: column; }
        .now { display: flex; flex-wrap: wrap; gap: 0 1.5rem; font-size: 1.3rem; letter-spacing: -.01em; margin: .1rem 0 .5rem; }
        .now span::before { color: var(--soft); font-size: .85em; margin-right: .3rem; }
        #down::before { content: "↓"; }
        #up::before { content: "↑"; }
        .now #down::before { color: var(--accent); }
        svg { display: block; width: 100%; height: 7rem; flex: 1 1 auto; overflow: visible; }
        svg .base { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
        svg .area { fill: var(--wash); stroke: none; }
        svg .line { fill: none; stroke: var(--accent); stroke-width: 1.75; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
        svg .second { fill: none; stroke: var(--soft); stroke-width: 1.25; stroke-dasharray: 3 3; vector-effect: non-scaling-stroke;
          stroke-linejoin: round; }
        .axis { display: flex; justify-content: space-between; color: var(--soft); font-size: .8rem; margin-top: .35rem; }
        dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1.25rem; }
        h2 + dl { margin-top: .5rem; }
        #counters { grid-template-columns: repeat(auto-fill, minmax(9rem, max-content) 5rem); }
        dt { color: var(--soft); }
        dd { overflow-wrap: anywhere; }
        .none { color: var(--soft); margin-top: .35rem; }
        .scroll { position: relative; overflow-x: auto; margin: .5rem -1.15rem -1rem; padding: 0 1.15rem .6rem; }
        table { border-collapse: collapse; width: 100%; }
        th { text-align: left; font-weight: 500; font-size: .8rem; color: var(--soft); white-space: nowrap; }
        th, td { padding: .4rem 1.5rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
        th:last-child, td:last-child { padding-right: 0; }
        tr:last-child td { border-bottom: 0; }
        td { white-space: nowrap; max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
        td.number, th.number { text-align: right; }
        .way { white-space: nowrap; }
        .way + .way { margin-left: .7rem; }
        .way i { font-style: normal; color: var(--soft); margin-right: .2rem; }
        .path::before { content: ""; display: inline-block; width: .5rem; height: .5rem; border-radius: 50%; margin-right: .4rem;
          border: 1.5px solid var(--soft); }
        .path.direct::before { background: var(--accent); border-color: var(--accent); }
        .path.bridge::before { border-color: var(--warn); }
        .more { color: var(--soft); padding-top: .4rem; }
        footer { margin-top: 1.25rem; color: var(--soft); font-size: .85rem; }
        footer a { color: inherit; margin-right: .9rem; }
        a:focus-visible, .scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
        .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
        [hidden] { display: none !important; }
        @media (max-width: 46rem) {
          body { padding: 1rem .75rem 1.5rem; }
          main { grid-template-columns: minmax(0, 1fr); gap: .75rem; }
          .card { padding: .85rem .9rem; }
          #about { margin-left: 0; width: 100%; }
          .scroll { margin: .35rem 0 0; padding: 0; }
          table, tbody, tr, td { display: block; width: 100%; }
          thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
          tr { padding: .55rem 0; border-bottom: 1px solid var(--line); }
          tr:last-child { border-bottom: 0; padding-bottom: 0; }
          td, td.number { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); gap: .75rem; padding: .1rem 0; border: 0;
            text-align: left; white-space: normal; overflow-wrap: anywhere; max-width: none; }
          td::before { content: attr(data-title); color: var(--soft); }
          td.empty { display: none; }
          td:first-child, td.number:first-child { display: block; font-weight: 600; padding-bottom: .15rem; }
          td:first-child::before { content: none; }
          dl { gap: .3rem .9rem; }
        }
        """#
}
