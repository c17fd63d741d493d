// Draws the charts of the status page and keeps the page new. All it shows as text it sets as text;
// the page that it fetches was written by the agent and has no script of its own.
"use strict";

(() => {
  const EVERY = 15_000;
  const PATIENCE = 10_000;
  // As many lines as tables have columns; what is beyond is added up.
  const SERIES = 10;
  const DASHES = [[], [8, 4], [2, 3]];
  const BORDERS = ["solid", "dashed", "dotted"];

  const charts = new Map();
  const live = document.getElementById("live");
  const said = document.createElement("span");
  const button = document.createElement("button");
  let paused = false;
  let newest = Date.now();

  // For tests, and for whoever opens the console.
  window.beacontail = { charts, refresh };

  // Control characters, and what is invisible or turns the direction of text.
  const visible = (text) =>
    String(text).replace(/[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/gu, (letter) => `\\u{${letter.codePointAt(0).toString(16)}}`);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const clock = (at) => new Date(at).toISOString().slice(11, 19);

  async function ask(url) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
    if (!answer.ok) {
      throw new Error(`${answer.status} ${answer.statusText}`);
    }
    return answer;
  }

  const value = (answer, point) => (answer.kind !== "histogram" && point.sum != null ? point.sum : point.n);
  const statusClass = (code) => (/^[1-5]\d\d$/.test(code) ? `${code[0]}xx` : code);

  // Minutes, and for each name a value or null: null where there is no data, so that the line has a gap.
  function columnsOf(answer, classes) {
    const minutes = [];
    for (let at = answer.from; at < answer.to; at += answer.step) {
      minutes.push(at);
    }
    const known = new Set(answer.steps.map((step) => step.at));
    const closed = Math.floor((answer.watermark ?? answer.from) / 60) * 60;
    // A minute that is still counted would look like a fall.
    const empty = () => minutes.map((at) => (known.has(at) && at < closed ? 0 : null));
    const lines = new Map();
    for (const series of answer.series) {
      const labels = classes ? series.labels.map(statusClass) : series.labels;
      const name = labels.join(", ");
      const line = lines.get(name) ?? { name, total: 0, values: empty() };
      lines.set(name, line);
      for (const point of series.points) {
        const at = (point.at - answer.from) / answer.step;
        if (line.values[at] !== null && line.values[at] !== undefined) {
          line.values[at] += value(answer, point);
          line.total += value(answer, point);
        }
      }
    }
    const order = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
    const found = [...lines.values()].filter((line) => !classes || line.total > 0 || /^[2-5]xx$/.test(line.name));
    const all = found.sort((a, b) => b.total - a.total || order(a, b));
    const shown = all.slice(0, SERIES).sort(order);
    const rest = all.slice(SERIES);
    if (rest.length > 0) {
      const sum = (_, at) => rest.reduce((sum, line) => (line.values[at] == null ? sum : (sum ?? 0) + line.values[at]), null);
      shown.push({ name: `others (${rest.length})`, values: minutes.map(sum) });
    }
    return { minutes, names: shown.map((line) => visible(line.name)), values: shown.map((line) => line.values) };
  }

  // Behind the lines: minutes that are still counted, and marks.
  function backdrop(chart) {
    const { ctx, bbox } = chart;
    const place = (at) => Math.round(chart.valToPos(at, "x", true));
    ctx.save();
    const from = Math.max(bbox.left, place(chart.closed));
    const width = bbox.left + bbox.width - from;
    if (width > 0) {
      ctx.fillStyle = colour("--band");
      ctx.fillRect(from, bbox.top, width, bbox.height);
    }
    ctx.strokeStyle = colour("--ink");
    ctx.lineWidth = Math.max(1, devicePixelRatio);
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const at of marks()) {
      const x = place(at);
      if (x >= bbox.left && x <= bbox.left + bbox.width) {
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
      }
    }
    ctx.restore();
  }

  const marks = () => [...document.querySelectorAll("[data-mark]")].map((row) => Number(row.dataset.mark));

  function options(names, width) {
    const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const series = names.map((label, n) => ({
      label,
      stroke: colour(`--s${n}`),
      width: 2,
      dash: DASHES[n % DASHES.length],
      spanGaps: false,
      points: { size: 4 },
      value: (_, shown, __, at) => (at == null ? "" : shown == null ? "no data" : shown.toLocaleString("en")),
    }));
    return {
      width,
      height: width < 500 ? 170 : 200,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      cursor: { points: { size: 6 }, drag: { x: false, y: false } },
      legend: { live: true, markers: { width: 3, dash: (_, n) => BORDERS[(n - 1) % BORDERS.length] } },
      scales: { y: { range: (_, __, most) => [0, Math.max(5, Math.ceil((most ?? 0) * 1.1))] } },
      axes: [
        { ...axis, values: (_, at) => at.map((one) => clock(one * 1000).slice(0, 5)), space: 55 },
        { ...axis, size: 52, values: (_, at) => at.map((one) => (Number.isInteger(one) ? one.toLocaleString("en") : "")) },
      ],
      series: [{ label: "UTC", value: (_, at) => (at == null ? "" : clock(at * 1000).slice(0, 5)) }, ...series],
      hooks: { drawClear: [backdrop] },
    };
  }

  async function draw(figure) {
    const answer = await (await ask(figure.dataset.src)).json();
    const { minutes, names, values } = columnsOf(answer, figure.dataset.classes === "yes");
    const place = figure.querySelector(".plot");
    const data = [minutes, ...values];
    let known = charts.get(figure.id);
    if (known && (known.names.join() !== names.join() || known.plot.root.parentNode !== place)) {
      known.plot.destroy();
      known = undefined;
      charts.delete(figure.id);
    }
    const closed = Math.floor((answer.watermark ?? answer.from) / 60) * 60;
    if (known) {
      known.plot.closed = closed;
      known.plot.setData(data);
    } else {
      const plot = new uPlot(options(names, place.clientWidth || figure.clientWidth), data, (made, begin) => {
        made.closed = closed;
        place.replaceChildren(made.root);
        begin();
      });
      known = { plot, names };
      charts.set(figure.id, known);
    }
    known.answer = answer;
  }

  const drawAll = () => Promise.all([...document.querySelectorAll("figure.chart")].map(draw));

  // Takes the inside of every part of a newer page over. False when the page has other parts.
  function take(page) {
    const parts = (root) => [...root.querySelectorAll("[data-part]")];
    const [before, after] = [parts(document), parts(page)];
    const names = (list) => list.map((part) => part.dataset.part).join();
    const sources = (root) => [...root.querySelectorAll("figure.chart")];
    if (names(before) !== names(after) || sources(document).length !== sources(page).length) {
      return false;
    }
    const open = [...document.querySelectorAll("[data-part] details[open]")].map((one) => one.id);
    before.forEach((part, n) => {
      if (part.innerHTML !== after[n].innerHTML) {
        part.replaceChildren(...[...after[n].childNodes].map((node) => document.adoptNode(node)));
      }
    });
    open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    sources(document).forEach((figure, n) => {
      figure.dataset.src = sources(page)[n].dataset.src;
    });
    document.title = page.title;
    return true;
  }

  async function refresh() {
    try {
      const text = await (await ask("/")).text();
      if (!take(new DOMParser().parseFromString(text, "text/html"))) {
        location.reload();
        return;
      }
      await drawAll();
      newest = Date.now();
      say();
    } catch (error) {
      said.textContent = `No answer from the agent (${visible(error.message)}): what you see is of ${clock(newest)} UTC`;
      live.className = "lost";
    }
  }

  function say() {
    said.textContent = paused ? "Paused" : "";
    live.className = "";
    button.textContent = paused ? "Resume updates" : "Pause updates";
  }

  function begin() {
    button.type = "button";
    button.addEventListener("click", () => {
      paused = !paused;
      say();
      if (!paused) {
        refresh();
      }
    });
    live.append(said, button);
    say();
    drawAll().catch((error) => {
      said.textContent = `Charts cannot be drawn: ${visible(error.message)}`;
      live.className = "lost";
    });
    const reading = () => document.hidden || String(getSelection()) !== "";
    setInterval(() => paused || reading() || refresh(), EVERY);
    document.addEventListener("visibilitychange", () => document.hidden || paused || refresh());
    const again = () => {
      for (const { plot } of charts.values()) {
        plot.destroy();
      }
      charts.clear();
      drawAll().catch(() => {});
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    new ResizeObserver(() => {
      for (const { plot } of charts.values()) {
        const width = plot.root.parentNode.clientWidth;
        if (width > 0 && width !== plot.width) {
          plot.setSize({ width, height: width < 500 ? 170 : 200 });
        }
      }
    }).observe(document.querySelector("main"));
  }

  begin();
})();
