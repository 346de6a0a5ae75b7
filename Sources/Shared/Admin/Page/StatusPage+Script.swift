extension StatusPage {
    /// Fetches the document every two seconds and shows it as `layout`, a constant in front of this, says. All that comes with it
    /// is put into the page as text, never as markup.
    static let script = #"""
        const byId = id => document.getElementById(id);
        const interval = 2000;
        let heard = null, shown = null, timer = null;

        function at(value, path) {
          for (const name of path.split(".")) {
            if (value === null || value === undefined) return null;
            value = value[name];
          }
          return value === undefined ? null : value;
        }

        // Numbers as people read them; the table of --status has the same.
        function bytes(count) {
          let unit = 0;
          while (count >= 999.5 && unit < 6) { count /= 1000; unit++; }
          return (unit > 0 && count < 9.95 ? count.toFixed(1) : Math.round(count)) + " " + ["B", "kB", "MB", "GB", "TB", "PB", "EB"][unit];
        }
        function milliseconds(value) {
          if (value < 9.95) return value.toFixed(1) + " ms";
          return value < 999.5 ? Math.round(value) + " ms" : (value / 1000).toFixed(1) + " s";
        }
        function duration(length) {
          const s = Math.max(0, Math.floor(length / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
          const both = (large, unit, small, smallUnit) => large + " " + unit + (small ? " " + small + " " + smallUnit : "");
          if (s < 60) return s + " s";
          if (s < 600) return both(m, "min", s % 60, "s");
          if (s < 3600) return m + " min";
          if (s < 86400) return both(h, "h", m % 60, "min");
          return s < 172800 ? both(1, "day", h % 24, "h") : d + " days";
        }

        const numeric = new Set(["count", "bytes", "milliseconds"]);
        // What a field is shown as: {text, both: [up, down] for bytes each way, path}; null for nothing.
        function view(field, row, now) {
          const value = at(row, field.path);
          if (value === null) return field.kind === "until" ? { text: "never" } : null;
          switch (field.kind) {
            case "text": return value === "" ? null : { text: String(value) };
            case "list": return value.length ? { text: value.join(", ") } : null;
            case "count": return { text: String(value) };
            case "flag": return { text: value ? "yes" : "no" };
            case "bytes": return { text: bytes(value) };
            case "traffic": return { both: [bytes(value.sent), bytes(value.received)] };
            case "rates": return { both: [bytes(value.sent) + "/s", bytes(value.received) + "/s"] };
            case "milliseconds": return { text: milliseconds(value) };
            case "since": return { text: duration(now - value) };
            case "until": case "when": return { text: value > now ? "in " + duration(value - now) : duration(now - value) + " ago" };
            case "path": return { text: String(value), path: value };
            default: return null;
          }
        }
        const asText = v => v === null ? "–" : v.both ? "↑ " + v.both[0] + "  ↓ " + v.both[1] : v.text;

        function element(name, className, text) {
          const made = document.createElement(name);
          if (className) made.className = className;
          if (text !== undefined) made.textContent = text;
          return made;
        }
        // Touches the page only where something is new, so that a selection in it lives.
        function setText(node, text) { if (node.textContent !== text) node.textContent = text; }
        function fill(cell, v) {
          const text = asText(v), path = v && v.path ? v.path : "";
          const key = path + "\n" + text;
          if (cell.shownKey === key) return;
          cell.shownKey = key;
          if (v && v.both) {
            cell.replaceChildren(...[["↑", v.both[0], "up "], ["↓", v.both[1], "down "]].map(([arrow, words, name]) => {
              const way = element("span", "way"), mark = element("i", "", arrow);
              mark.setAttribute("aria-hidden", "true");
              way.append(mark, element("span", "unseen", name), words);
              return way;
            }));
          } else if (path) {
            const mark = element("span", "path", text);
            if (path === "direct" || path === "bridge") mark.classList.add(path);
            cell.replaceChildren(mark);
          } else {
            cell.textContent = text;
          }
          cell.title = text;
        }

        function fillList(list, fields, data, now, wanted) {
          let count = 0;
          for (const field of fields) {
            const v = view(field, data, now);
            let pair = list.pairs.get(field.path);
            if (!wanted(v)) {
              if (pair) { pair[0].hidden = pair[1].hidden = true; }
              continue;
            }
            count++;
            if (!pair) {
              pair = [element("dt", "", field.title), element("dd")];
              list.pairs.set(field.path, pair);
              list.append(...pair);
            }
            pair[0].hidden = pair[1].hidden = false;
            fill(pair[1], v);
          }
          return count;
        }

        function makeTable(table, index) {
          const card = element("section", "card wide"), title = element("h2", "", table.title);
          title.id = "table-" + index;
          card.setAttribute("aria-labelledby", title.id);
          const none = element("p", "none", table.empty), scroll = element("div", "scroll"), grid = element("table");
          // On a phone the rows are shown as cards, which must not make them less of a table to those who listen.
          grid.setAttribute("role", "table");
          grid.setAttribute("aria-labelledby", title.id);
          const head = element("thead"), heads = element("tr"), rows = element("tbody");
          head.setAttribute("role", "rowgroup");
          heads.setAttribute("role", "row");
          rows.setAttribute("role", "rowgroup");
          for (const column of table.columns) {
            const cell = element("th", numeric.has(column.kind) ? "number" : "", column.title);
            cell.scope = "col";
            cell.setAttribute("role", "columnheader");
            heads.append(cell);
          }
          head.append(heads);
          grid.append(head, rows);
          scroll.append(grid);
          scroll.tabIndex = 0;
          scroll.setAttribute("role", "region");
          scroll.setAttribute("aria-labelledby", title.id);
          const more = element("p", "more");
          card.append(title, none, scroll, more);
          byId("tables").append(card);
          return { table, title, none, scroll, rows, more };
        }

        function fillTable(made, data, now) {
          const list = at(data, made.table.path) || [];
          const total = Math.max(list.length, at(data, made.table.path + "_total") || 0);
          setText(made.title, total ? made.table.title + " (" + total + ")" : made.table.title);
          made.none.hidden = list.length > 0;
          made.scroll.hidden = list.length === 0;
          made.more.hidden = total <= list.length;
          setText(made.more, "and " + (total - list.length) + " more");
          while (made.rows.children.length > list.length) made.rows.lastChild.remove();
          list.forEach((row, index) => {
            let line = made.rows.children[index];
            if (!line) {
              line = element("tr");
              line.setAttribute("role", "row");
              for (const column of made.table.columns) {
                const cell = element("td", numeric.has(column.kind) ? "number" : "");
                cell.dataset.title = column.title;
                cell.setAttribute("role", "cell");
                cell.append(element("span"));
                line.append(cell);
              }
              made.rows.append(line);
            }
            made.table.columns.forEach((column, i) => {
              const v = view(column, row, now);
              line.children[i].classList.toggle("empty", v === null);
              fill(line.children[i].firstChild, v);
            });
          });
        }

        function curve(values, top, closed) {
          const slots = 60, x = i => (600 * (slots - values.length + i) / (slots - 1)).toFixed(1);
          const y = v => (118 - 112 * v / top).toFixed(1);
          const points = values.map((v, i) => x(i) + " " + y(v));
          if (!points.length) return "";
          return closed ? "M" + x(0) + " 118L" + points.join("L") + "L600 118Z" : "M" + points.join("L");
        }
        function fillPlot(traffic) {
          const { sent, received, interval_ms } = traffic.history;
          const rate = traffic.rate || { sent: 0, received: 0 };
          const [ups, downs] = [sent, received].map(values => values.slice(-60));
          const top = Math.max(1000, ...ups, ...downs);
          shape("area", curve(downs, top, true));
          shape("line", curve(downs, top, false));
          shape("second", curve(ups, top, false));
          setText(byId("down"), bytes(rate.received) + "/s");
          setText(byId("up"), bytes(rate.sent) + "/s");
          setText(byId("from"), duration(60 * interval_ms) + " ago");
          setText(byId("peak"), downs.length ? "peak " + bytes(Math.max(0, ...ups, ...downs)) + "/s" : "");
          setText(byId("chart-words"), "now " + bytes(rate.received) + " a second down, " + bytes(rate.sent) + " a second up");
        }
        function shape(className, path) { byId("chart").querySelector("." + className).setAttribute("d", path); }

        function show(data) {
          const now = data.time_ms, name = layout.name ? at(data, layout.name) : null;
          setText(byId("name"), name ? String(name) : "");
          document.title = (data.ready ? "" : "(!) ") + data.program + (name ? " · " + name : "");
          setState(data.ready ? "ready" : "not-ready", data.ready ? "ready" : "not ready: " + data.not_ready_because);
          setText(byId("about"), data.version + ", up " + duration(now - data.started_at_ms));
          fillPlot(data.traffic);
          fillList(byId("facts"), layout.facts, data, now, v => v !== null);
          tables.forEach(made => fillTable(made, data, now));
          byId("counters-card").hidden = fillList(byId("counters"), layout.counters, data, now, v => v !== null && v.text !== "0") === 0;
        }
        function setState(className, text) {
          byId("state").className = className;
          setText(byId("state"), text);
          byId("main").classList.toggle("away", className === "away");
        }

        async function look() {
          clearTimeout(timer);
          try {
            const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(5000) });
            if (!answer.ok) throw new Error("it answered " + answer.status);
            const data = await answer.json();
            heard = Date.now();
            shown = data;
            show(data);
          } catch (error) {
            const words = error.name === "TimeoutError" ? "no answer within 5 s" : error.message;
            setState("away", heard ? "no answer for " + duration(Date.now() - heard) + ": the numbers are old" : "no answer: " + words);
            document.title = "(!) " + document.title.replace(/^\(!\) /, "");
          }
          if (!document.hidden) timer = setTimeout(look, interval);
        }

        setText(byId("plot-title"), layout.plot);
        for (const [name, className] of [["path", "area"], ["path", "second"], ["path", "line"], ["path", "base"]]) {
          const part = document.createElementNS("http://www.w3.org/2000/svg", name);
          part.setAttribute("class", className);
          byId("chart").append(part);
        }
        shape("base", "M0 118.5H600");
        byId("facts").pairs = new Map();
        byId("counters").pairs = new Map();
        const tables = layout.tables.map(makeTable);
        document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
        look();
        """#
}
