// Charts of one task over time, drawn by uPlot from what the gateway counted; changes of its flag are marked on all of them.
"use strict";

(() => {
  const section = document.querySelector("[data-charts]");
  if (!section || typeof uPlot === "undefined") return;
  section.hidden = false;
  const state = section.querySelector("[data-state]");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const LONGEST_MS = 10_000;
  const plots = new Map();
  let asked = "";
  let data = null;
  let waiting = null;

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const times = (ms) => (ms === null || ms === undefined ? "-" : ms >= 1000 ? `${+(ms / 1000).toPrecision(3)} s` : `${+ms.toPrecision(3)} ms`);
  const counts = (n) => (n === null || n === undefined ? "-" : n.toLocaleString());
  const rates = (rate) => (rate === null || rate === undefined ? "-" : `${rate} %`);

  const KINDS = {
    match: { lines: [["match", "match", "good", true]], value: rates, range: (low) => [Math.max(0, Math.min(low ?? 100, 99) - 1), 100] },
    time: { lines: [["legacy_ms", "legacy", "legacy"], ["events_ms", "events", "events"]], value: times, range: (low, high) => [0, (high || 1) * 1.1] },
    volume: { lines: [["legacy", "legacy", "legacy"], ["events", "events", "events"], ["shadow", "shadows", "shadow"]], value: counts, range: (low, high) => [0, (high || 1) * 1.1] },
  };

  function drawMarks(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = color("mark");
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    let free = -Infinity;
    for (const mark of data.marks) {
      const x = plot.valToPos(mark.at, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const label = `v${mark.version}`;
      const width = ctx.measureText(label).width;
      const left = Math.min(x + 3 * devicePixelRatio, bbox.left + bbox.width - width);
      if (left > free) { ctx.fillText(label, left, bbox.top + 11 * devicePixelRatio); free = left + width + 4 * devicePixelRatio; }
    }
    ctx.restore();
  }

  function options(kind, box) {
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line"), width: 1 }, font: "11px system-ui, sans-serif" };
    return {
      width: box.clientWidth,
      height: 170,
      padding: [8, 8, 0, 0],
      cursor: { sync: { key: "task" }, drag: { x: false, y: false } },
      legend: { live: true, markers: { width: 2 } },
      scales: { x: { range: (_, low, high) => [low, Math.max(high, low + 60)] }, y: { range: (_, low, high) => kind.range(low, high) } },
      axes: [{ ...axis, space: 60 }, { ...axis, size: 56, values: (_, ticks) => ticks.map(kind.value) }],
      series: [
        { label: "time", value: (_, at) => (at === null ? "-" : new Date(at * 1000).toLocaleString()) },
        ...kind.lines.map(([, label, name]) => ({
          label,
          stroke: color(name),
          width: 2,
          spanGaps: false,
          points: { show: (plot, index) => isSparse(plot.data[index]), size: 5, fill: color(name) },
          value: (_, value) => kind.value(value),
        })),
      ],
      hooks: { draw: [drawMarks] },
    };
  }

  // A value between two gaps is a line of no length: without its dot nobody would see it.
  const isSparse = (column) => column.filter((value) => value !== null).length < 40;
  const columns = (kind) => [data.at, ...kind.lines.map(([name]) => data[name])];

  function draw(fresh) {
    for (const box of section.querySelectorAll("[data-plot]")) {
      const kind = KINDS[box.dataset.plot];
      if (fresh || !plots.has(box)) {
        plots.get(box)?.destroy();
        plots.set(box, new uPlot(options(kind, box), columns(kind), box));
      } else {
        plots.get(box).setData(columns(kind));
      }
      const known = kind.lines.map(([name, label]) => [label, data[name].filter((value) => value !== null)]);
      const last = known.map(([label, values]) => `${label} ${values.length ? kind.value(values.at(-1)) : "nothing"}`).join(", ");
      box.setAttribute("aria-label", `${box.parentElement.querySelector("figcaption").firstChild.textContent.trim()} over ${data.window}; at last ${last}`);
    }
  }

  function tell() {
    const nothing = ["legacy", "events", "shadow", "match"].every((name) => data[name].every((value) => !value));
    state.textContent = nothing
      ? `Nothing ran in the last ${data.window}.`
      : `In steps of ${data.step_s >= 3600 ? "an hour" : "five minutes"}; dashed lines are changes of its flag.`;
    for (const button of section.querySelectorAll("[data-window]")) button.setAttribute("aria-pressed", String(button.dataset.window === data.window));
    const format = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" });
    const lines = data.marks.map((mark) => {
      const line = document.createElement("li");
      const link = document.createElement("a");
      link.href = `${document.querySelector(".brand").getAttribute("href")}flags/${mark.version}`;
      link.textContent = `v${mark.version}`;
      const at = new Date(mark.at * 1000);
      line.title = at.toISOString();
      line.append(link, ` ${format.format(at)}: ${mark.text}`);
      return line;
    });
    section.querySelector("[data-marks]").replaceChildren(...lines.slice(-8));
  }

  async function load() {
    // One at a time: questions nobody answers would take up the browser's connections to the gateway.
    waiting?.abort();
    const mine = (waiting = new AbortController());
    try {
      const signal = AbortSignal.any([mine.signal, AbortSignal.timeout(LONGEST_MS)]);
      const answer = await fetch(section.dataset.charts + (asked ? `?window=${encodeURIComponent(asked)}` : ""), { signal });
      if (!answer.ok) throw new Error(answer.statusText);
      const before = data;
      data = await answer.json();
      draw(before?.window !== data.window);
      tell();
    } catch {
      if (waiting !== mine) return;
      state.textContent = "The ledger cannot be asked for charts now; they come back by themselves.";
    }
  }

  for (const button of section.querySelectorAll("[data-window]")) {
    button.addEventListener("click", () => { asked = button.dataset.window; load(); });
  }
  const redraw = () => { if (data) draw(true); };
  dark.addEventListener("change", redraw);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; redraw(); } });
  document.addEventListener("refreshed", () => { if (!document.hidden) load(); });
  load();
})();
