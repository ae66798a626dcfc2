// @ts-check
// The live page: asks for data every two seconds, and shows what comes.

/**
 * @typedef {import("uplot")} Plot
 * @typedef {import("uplot").Options} Options
 * @typedef {(number | null)[]} Column
 * @typedef {{step: number, times: number[], columns: Record<string, Column>}} Past
 * @typedef {{
 *   requests: number, statuses: Record<string, number>, seconds: number,
 *   p50: number | null, p95: number | null, p99: number | null, inFlight: number,
 *   queries: number, databaseShare: number | null, connections: number, hits: number, misses: number
 * }} Service
 * @typedef {[string, number, number | null, number, number | null, number]} Route
 * @typedef {{
 *   at: number, seconds: number, service: Service,
 *   exceptions: [string, number, number | null][],
 *   routes: Route[], routeCount: number, sparklines: Record<string, Column>,
 *   tasks: [string, number, number, number | null, number][],
 *   queues: [string, number | null, number, number | null][],
 *   executions: [string, number, number, number | null, number, number, number | null][],
 *   sockets: Record<string, number> | null,
 *   dollars: number | null, processes: [number, string, number, number][],
 *   off: string[]
 * }} Now
 * @typedef {{check: string, status: string, message: string, hint: string}} Finding
 * @typedef {{label: string, color: string, values: () => Column, shown?: () => Column, fill?: string}} Line
 * @typedef {{text: string, sort: number | string, node?: Node, title?: string, kind?: string}} Cell
 */

const base = document.body.dataset.base ?? "";
const pollSeconds = Number(document.body.dataset.pollSeconds);
const HISTORY_SECONDS = 1800;
const SHORTEST_PLOT_SECONDS = 60;
const LONGEST_PAUSE_SECONDS = 30;
const SECONDS_BETWEEN_FINDINGS = 60;
const MOST_LINES = 8;
// In steps: the server notes a gap after as many.
const LONGEST_STEP = 2.5;
/** @type {typeof import("uplot")} */
const UPlot = /** @type {any} */ (window).uPlot;

// --- numbers ------------------------------------------------------------------

/** @param {number} value @param {number} digits */
const fixed = (value, digits) =>
  value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });

/** @param {number} step */
const digitsOf = (step) => [0, 1, 2].find((digits) => Math.abs(step - Number(step.toFixed(digits))) < step / 1e6) ?? 3;

/**
 * Numbers on an axis are ``step`` apart, and have the same digits.
 * @param {number | null | undefined} value @param {number} [step]
 */
function short(value, step) {
  if (value == null) return "–";
  const size = Math.abs(value);
  if (step && size < 1e4) return size ? fixed(value, digitsOf(step)) : "0";
  if (size >= 1e6) return `${fixed(value / 1e6, 1)} M`;
  if (size >= 1e4) return `${fixed(value / 1e3, size >= 1e5 ? 0 : 1)} k`;
  if (size >= 100 || Number.isInteger(value)) return fixed(value, 0);
  if (size >= 10) return fixed(value, 1);
  if (!size) return "0";
  return size < 0.0095 ? "<0.01" : fixed(value, 2);
}

/** @param {number | null} value */
const rate = (value) => (value && value < 10 ? (value < 0.0095 ? "<0.01" : fixed(value, 2)) : short(value));

/** @param {number | null | undefined} seconds @param {number} [step] */
function duration(seconds, step) {
  if (seconds == null) return "–";
  if (!seconds) return "0";
  if (step && seconds < 120) {
    return seconds < 0.9995 ? `${fixed(seconds * 1000, digitsOf(step * 1000))} ms` : `${fixed(seconds, digitsOf(step))} s`;
  }
  if (seconds < 0.0095) return `${(seconds * 1000).toPrecision(2)} ms`;
  if (seconds < 0.9995) return `${fixed(seconds * 1000, 0)} ms`;
  if (seconds < 9.95) return `${fixed(seconds, 2)} s`;
  return seconds < 120 ? `${fixed(seconds, 0)} s` : age(seconds);
}

/** @param {number} seconds */
function age(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

/** @param {number | null | undefined} share @param {number} [step] */
function percent(share, step) {
  if (share == null) return "–";
  if (step) return `${fixed(share * 100, digitsOf(step * 100))} %`;
  if (share && share < 0.001) return "<0.1 %";
  return `${fixed(share * 100, share && share < 0.0995 ? 1 : 0)} %`;
}

/** @param {number} bytes */
const memory = (bytes) => `${fixed(bytes / 1048576, 0)} MB`;

/** @param {number} time @param {boolean} [hasSeconds] */
const clock = (time, hasSeconds = true) => new Date(time * 1000).toLocaleTimeString("en", {
  hour: "2-digit", minute: "2-digit", ...(hasSeconds ? { second: "2-digit" } : {}), hourCycle: "h23",
});

/** @param {number} part @param {number} whole */
const ratio = (part, whole) => (whole ? part / whole : null);

// --- elements -----------------------------------------------------------------

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name @param {Record<string, string>} [attributes] @param {(Node | string)[]} children
 */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** @param {Node} node @param {string} text */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// --- state --------------------------------------------------------------------

/** @type {Past} */
const past = { step: 5, times: [], columns: {} };
/** @type {Now | null} */
let now = null;
let windowSeconds = 300;
let since = 0;

function forget() {
  Object.assign(past, { times: [], columns: {} });
  since = 0;
}

/** @param {Past} news */
function remember(news) {
  past.step = news.step;
  const last = past.times.at(-1);
  if (last != null && news.times[0] - last > LONGEST_STEP * past.step) {
    // The history was lost, and the time without it is a gap.
    news.times.unshift(last + past.step);
    for (const column of Object.values(news.columns)) column.unshift(null);
  }
  const before = past.times.length;
  const names = new Set([...Object.keys(past.columns), ...Object.keys(news.columns)]);
  past.times.push(...news.times);
  for (const name of names) {
    const column = (past.columns[name] ??= new Array(before).fill(null));
    column.push(...(news.columns[name] ?? new Array(news.times.length).fill(null)));
  }
  const oldest = (now?.at ?? 0) - HISTORY_SECONDS;
  const old = past.times.findIndex((time) => time >= oldest);
  if (old > 0) for (const column of [past.times, ...Object.values(past.columns)]) column.splice(0, old);
  since = past.times.at(-1) ?? since;
}

// --- tiles --------------------------------------------------------------------

/** @type {[string, (now: Now) => [string, string, string?]][]} */
const TILES = [
  ["Requests", ({ service: { requests, statuses }, seconds }) => [
    `${rate(ratio(requests, seconds))} <small>/s</small>`,
    ["3xx", "4xx", "5xx"].filter((name) => statuses[name]).map((name) => `${name} ${short(statuses[name])}`).join(" · ") || "2xx only",
  ]],
  ["Latency p95", ({ service: { p50, p95, p99 } }) => [duration(p95), `p50 ${duration(p50)} · p99 ${duration(p99)}`]],
  ["Errors", ({ service: { requests, statuses } }) => {
    const failed = statuses["5xx"] ?? 0;
    return [percent(ratio(failed, requests)), `${short(failed)} of ${short(requests)} requests`, failed ? "bad" : ""];
  }],
  ["In flight", ({ service: { inFlight, seconds: busy }, seconds }) => [short(inFlight), `${short(ratio(busy, seconds))} on average`]],
  ["Time in database", ({ service: { databaseShare, queries, connections }, seconds }) => [
    percent(databaseShare),
    `${short(ratio(queries, seconds))} queries/s · ${short(connections)} open`,
  ]],
  ["Cache hits", ({ service: { hits, misses }, seconds }) => [percent(ratio(hits, hits + misses)), `${short(ratio(hits + misses, seconds))} lookups/s`]],
  ["Processes", ({ processes }) => [
    short(processes.length),
    `${memory(processes.reduce((sum, one) => sum + one[2], 0))} · youngest ${age(Math.min(...processes.map((one) => one[3]), Infinity) || 0)}`,
  ]],
];

const tiles = TILES.map(([label, show]) => {
  const value = element("dd", { class: "value" }, "–");
  const sub = element("dd", { class: "sub" });
  byId("tiles").append(element("div", { class: "tile" }, element("dt", {}, label), value, sub));
  return { value, sub, show };
});

/** @param {Now} now */
function showTiles(now) {
  for (const { value, sub, show } of tiles) {
    const [text, more, kind] = show(now);
    const [main, unit] = text.split("<small>");
    const parts = [main.trim(), (unit ?? "").replace("</small>", "")];
    if (value.dataset.text !== text) {
      value.dataset.text = text;
      value.replaceChildren(parts[0], ...(parts[1] ? [" ", element("small", {}, parts[1])] : []));
    }
    value.className = `value ${kind ?? ""}`;
    write(sub, more);
    sub.title = more;
  }
}

// --- plots --------------------------------------------------------------------

/** @param {string} name */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** @param {string} name */
const column = (name) => past.columns[name] ?? new Array(past.times.length).fill(null);

/** @param {string[]} names */
const sum = (...names) => past.times.map((_, at) => {
  const found = names.map((name) => column(name)[at]);
  return found.some((value) => value != null) ? found.reduce((/** @type {number} */ total, value) => total + (value ?? 0), 0) : null;
});

/**
 * Return the points beside which there is none, so that no line leads to them.
 * @param {Plot} plot @param {number} series
 */
function alone({ data }, series) {
  const values = /** @type {Column} */ (data[series]);
  /** @type {number[]} */
  const found = [];
  values.forEach((value, at) => {
    if (value != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  });
  return found;
}

class Figure {
  /**
   * @param {string} id @param {string} title @param {(value: number | null, step?: number) => string} format
   * @param {() => Line[]} lines @param {() => number[]} times
   */
  constructor(id, title, format, lines, times) {
    this.format = format;
    this.lines = lines;
    this.times = times;
    this.title = element("h2", { id: `${id}-title` }, title);
    this.toggle = element("button", { type: "button", "aria-pressed": "false", "aria-label": `${title}: as a table` }, "Table");
    this.time = element("span", { class: "muted" });
    this.bar = element("div", { class: "bar" }, this.title, this.time, this.toggle);
    this.canvas = element("div", { class: "canvas", role: "img", "aria-label": `${title}, a plot; the button Table shows its values` });
    this.values = element("div", { class: "values", tabindex: "0", role: "group", "aria-label": `${title}: values` });
    this.values.hidden = true;
    this.panel = element("section", { class: "panel plot", id, "aria-labelledby": `${id}-title` }, this.bar, this.canvas, this.values);
    byId("plots").append(this.panel);
    /** @type {Plot | null} */
    this.plot = null;
    this.drawn = "";
    this.toggle.addEventListener("click", () => {
      const isTable = this.values.hidden;
      this.values.hidden = !isTable;
      this.canvas.hidden = isTable;
      this.toggle.setAttribute("aria-pressed", String(isTable));
      this.show();
    });
    new ResizeObserver(() => this.resize()).observe(this.canvas);
  }

  size() {
    const legend = this.plot?.root.querySelector(".u-legend")?.clientHeight ?? 20;
    return { width: this.canvas.clientWidth, height: Math.max(this.canvas.clientHeight - legend, 40) };
  }

  /** @returns {[number, number]} */
  range() {
    const end = now?.at ?? 0;
    // A service that has just started is not one line at the right edge.
    return [Math.min(Math.max(this.times()[0] ?? end, end - HISTORY_SECONDS), end - SHORTEST_PLOT_SECONDS), end];
  }

  resize() {
    if (this.plot && this.canvas.clientWidth) this.plot.setSize(this.size());
  }

  forget() {
    this.plot?.destroy();
    this.plot = null;
    this.show();
  }

  show() {
    const lines = this.lines();
    if (!this.values.hidden) return this.showValues(lines);
    if (!this.canvas.clientWidth) return undefined;
    const data = /** @type {any} */ ([this.times(), ...lines.map((line) => line.values())]);
    const names = lines.map((line) => line.label).join("\n");
    if (this.plot && this.drawn === names) {
      this.plot.setData(data);
      // The legend may need one more line, or one less.
      if (this.size().height !== this.plot.height) this.resize();
      return undefined;
    }
    this.plot?.destroy();
    this.drawn = names;
    this.plot = new UPlot(this.options(lines), data, this.canvas);
    this.resize();
    return undefined;
  }

  /** @param {Line[]} lines @returns {Options} */
  options(lines) {
    const axis = { stroke: color("muted"), grid: { stroke: color("grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    return {
      ...this.size(),
      padding: [6, 20, 0, 0],
      cursor: { sync: { key: "live" }, points: { size: 5 }, drag: { x: false, y: false } },
      scales: {
        x: { time: true, range: () => this.range() },
        y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] },
      },
      hooks: {
        setCursor: [({ cursor: { idx } }) => write(this.time, idx == null ? "" : clock(this.times()[idx] ?? 0))],
      },
      axes: [
        { ...axis, size: 22, gap: 2, space: 70, values: (plot, splits, _, __, step) => splits.map((time) => {
          const isNear = step < 60 && (this.range()[1] - time) * plot.bbox.width < 10 * devicePixelRatio * (this.range()[1] - this.range()[0]);
          // One with seconds is wider than the place at the right edge.
          return isNear ? "" : clock(time, step < 60);
        }) },
        { ...axis, size: 50, gap: 4, space: 24, values: (_, splits, __, ___, step) => splits.map((value) => this.format(value, step)) },
      ],
      series: [
        { label: "Time", value: (_, time) => (time == null ? "" : clock(time)) },
        ...lines.map((line) => ({
          label: line.label,
          stroke: line.color,
          width: line.fill ? 1 : 1.5,
          fill: line.fill,
          points: { show: () => false, size: 5, filter: alone },
          value: (/** @type {Plot} */ _plot, /** @type {number} */ _, /** @type {number} */ __, /** @type {number | null} */ at) => {
            const shown = (line.shown ?? line.values)();
            return this.format(shown[at ?? shown.length - 1] ?? null);
          },
        })),
      ],
    };
  }

  /** @param {Line[]} lines */
  showValues(lines) {
    const times = this.times();
    const every = Math.max(Math.round(60 / past.step), 1);
    const rows = [];
    for (let at = times.length - 1; at >= 0; at -= every) {
      rows.push(element("tr", {}, element("td", {}, clock(times[at])),
        ...lines.map((line) => element("td", {}, this.format((line.shown ?? line.values)()[at] ?? null)))));
    }
    const head = ["Time", ...lines.map((line) => line.label)].map((name) => element("th", { scope: "col" }, name));
    this.values.replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
  }
}

/** @param {string} label @param {string} name @param {string} hue @returns {Line} */
const line = (label, name, hue) => ({ label, color: color(hue), values: () => column(name) });

/** @param {string} name @param {string[]} below @returns {Line} */
const stacked = (name, ...below) => ({
  label: name, color: color(`c${name[0]}`), fill: color(`f${name[0]}`), values: () => sum(name, ...below), shown: () => column(name),
});

const pastTimes = () => past.times;
const figures = [
  new Figure("plot-requests", "Requests per second", short, () => [
    stacked("2xx", "3xx", "4xx", "5xx"), stacked("3xx", "4xx", "5xx"), stacked("4xx", "5xx"), stacked("5xx"),
  ], pastTimes),
  new Figure("plot-latency", "Latency", duration, () => [line("p99", "p99", "c"), line("p95", "p95", "b"), line("p50", "p50", "d")], pastTimes),
  new Figure("plot-busy", "Busy, on average", short, () => [line("requests", "busy", "b"), line("in the database", "database", "d")], pastTimes),
];

// --- any metric ---------------------------------------------------------------

const OUTCOMES = "Errors and cache";

const explored = {
  /** @type {Map<string, [string, string]>} */
  known: new Map(),
  name: "",
  type: "",
  isAsking: false,
  /** @type {number[]} */
  times: [],
  /** @type {Map<string, Column>} */
  columns: new Map(),
  /** @type {Map<string, [number, number, number | null]>} */
  last: new Map(),
};

const picker = element("input", {
  id: "explore-name", list: "metric-names", placeholder: "Any metric…", autocomplete: "off", spellcheck: "false", "aria-label": "Plot any metric",
});
const mode = element("select", { "aria-label": "What to plot" }, element("option", { value: "rate" }, "per second"), element("option", { value: "mean" }, "mean"));
mode.hidden = true;
const metricNames = element("datalist", { id: "metric-names" });

/**
 * Name the lines by the labels in which they differ.
 * @param {[string, Column][]} found @returns {[string, Column][]}
 */
function distinct(found) {
  const sets = found.map(([label]) => label.split(", "));
  return found.map(([label, values], at) => {
    const parts = sets[at].filter((part) => !sets.every((others) => others.includes(part)));
    const shown = parts.map((part) => part.slice(part.indexOf("=") + 1)).join(" ");
    return [(found.length > 1 && shown) || label || explored.name, values];
  });
}

const HUES = ["b", "c4", "c2", "c", "d", "c5", "c3", "a"];
const explorer = new Figure("plot-explore", OUTCOMES,
  (value, step) => (explored.name ? (mode.value === "mean" && /seconds$/.test(explored.name) ? duration : short) : percent)(value, step),
  () => explored.name
    ? distinct([...explored.columns].slice(0, MOST_LINES)).map(([label, values], at) => ({ label, color: color(HUES[at]), values: () => values }))
    : [line("cache hits", "hits", "d"), line("errors", "errors", "c5")],
  () => (explored.name ? explored.times : past.times));
explorer.title.after(picker, mode, metricNames);
figures.push(explorer);

picker.addEventListener("focus", () => void listMetrics(), { once: true });
for (const event of ["change", "input"]) picker.addEventListener(event, () => explore(picker.value.trim()));
mode.addEventListener("change", () => explore(explored.name, true));

async function listMetrics() {
  const found = /** @type {[string, string, string][]} */ (await ask("metrics.json"));
  explored.known = new Map(found.map(([name, type, help]) => [name, [type, help]]));
  metricNames.replaceChildren(...found.map(([name, , help]) => element("option", { value: name, label: help })));
}

/** @param {string} name @param {boolean} [again] */
function explore(name, again = false) {
  const found = explored.known.get(name);
  const chosen = found ? name : "";
  if (chosen === explored.name && !again) return;
  Object.assign(explored, { name: chosen, type: found?.[0] ?? "", times: [], columns: new Map(), last: new Map() });
  mode.hidden = !["histogram", "summary"].includes(explored.type);
  const title = chosen || OUTCOMES;
  write(explorer.title, chosen ? "" : title);
  explorer.panel.setAttribute("aria-label", title);
  explorer.panel.removeAttribute("aria-labelledby");
  explorer.toggle.setAttribute("aria-label", `${title}: as a table`);
  explorer.values.setAttribute("aria-label", `${title}: values`);
  explorer.canvas.setAttribute("aria-label", `${title}, a plot; the button Table shows its values`);
  explorer.panel.title = found?.[1] ?? "";
  explorer.forget();
  void addExplored();
}

async function addExplored() {
  const { name, type } = explored;
  if (!name || explored.isAsking) return;
  explored.isAsking = true;
  try {
    const found = /** @type {[string, number | null, number | null][]} */ (
      await ask(`metric.json?name=${encodeURIComponent(name)}&type=${encodeURIComponent(type)}`));
    if (explored.name !== name) return;
    const at = Date.now() / 1000;
    const old = explored.times.findIndex((time) => time >= at - HISTORY_SECONDS);
    if (old > 0) for (const column of [explored.times, ...explored.columns.values()]) column.splice(0, old);
    const last = explored.times.at(-1) ?? at;
    if (at < last || at - last > LONGEST_PAUSE_SECONDS) {
      // The tab was hidden, or the clock was set.
      Object.assign(explored, { times: [], columns: new Map(), last: new Map() });
    }
    const length = explored.times.push(at);
    for (const [label, value, count] of found) {
      const values = explored.columns.get(label) ?? new Array(length - 1).fill(null);
      values.length = length - 1;
      values.push(plotted(label, value ?? 0, count, at));
      explored.columns.set(label, values);
    }
    for (const values of explored.columns.values()) while (values.length < length) values.push(null);
    explorer.show();
  } finally {
    explored.isAsking = false;
  }
}

/** @param {string} label @param {number} value @param {number | null} count @param {number} at */
function plotted(label, value, count, at) {
  const before = explored.last.get(label);
  explored.last.set(label, [at, value, count]);
  if (["gauge", "untyped", "unknown"].includes(explored.type)) return value;
  if (!before) return null;
  const seconds = at - before[0];
  if (count == null) return Math.max(value - before[1], 0) / seconds;
  const more = count - (before[2] ?? 0);
  return mode.value === "rate" ? Math.max(more, 0) / seconds : more > 0 ? (value - before[1]) / more : null;
}

// --- tables -------------------------------------------------------------------

class Table {
  /**
   * @param {Element} place @param {string} caption @param {[string, string?, string?][]} columns
   * @param {{sort?: number, empty?: string}} [options]
   */
  constructor(place, caption, columns, { sort = -1, empty = "" } = {}) {
    this.sort = sort;
    this.isDescending = true;
    /** @type {Cell[][]} */
    this.rows = [];
    this.body = element("tbody");
    this.empty = element("p", { class: "empty" }, empty);
    this.heads = columns.map(([name, title, kind], at) => {
      const inside = sort < 0 ? name : element("button", { type: "button" }, name);
      const head = element("th", { scope: "col", ...(title ? { title } : {}), ...(kind ? { class: kind } : {}) }, inside);
      if (typeof inside !== "string") inside.addEventListener("click", () => this.sortBy(at));
      return head;
    });
    const table = element("table", {}, element("caption", { class: "hidden" }, caption),
      element("thead", {}, element("tr", {}, ...this.heads)), this.body);
    this.scroll = element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption }, table);
    place.append(this.scroll, this.empty);
  }

  /** @param {number} at */
  sortBy(at) {
    this.isDescending = this.sort === at ? !this.isDescending : typeof this.rows[0]?.[at]?.sort !== "string";
    this.sort = at;
    this.show(this.rows);
  }

  /** @param {Cell[][]} rows */
  show(rows) {
    this.rows = rows;
    if (this.sort >= 0) {
      const sign = this.isDescending ? -1 : 1;
      rows = [...rows].sort((one, other) => {
        const [a, b] = [one[this.sort].sort, other[this.sort].sort];
        return sign * (a < b ? -1 : a > b ? 1 : 0);
      });
      this.heads.forEach((head, at) => {
        if (at === this.sort) head.setAttribute("aria-sort", this.isDescending ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
    }
    while (this.body.rows.length > rows.length) this.body.deleteRow(-1);
    rows.forEach((cells, at) => {
      const row = this.body.rows[at] ?? this.body.insertRow();
      cells.forEach((cell, place) => fill(row.cells[place] ?? row.insertCell(), cell));
    });
    this.empty.hidden = rows.length > 0 || !this.empty.textContent;
    this.scroll.hidden = !this.empty.hidden;
  }
}

/** @param {HTMLTableCellElement} cell @param {Cell} content */
function fill(cell, { text, node, title = "", kind = "" }) {
  if (cell.className !== kind) cell.className = kind;
  if (cell.title !== title) cell.title = title;
  if (node) cell.replaceChildren(node, text);
  else write(cell, text);
}

/** @param {string} text @returns {Cell} */
const named = (text) => ({ text, sort: text.toLowerCase(), title: text });

/** @param {number | null} value @param {(value: number | null) => string} format @param {string} [kind] @returns {Cell} */
const number = (value, format, kind = "") => ({ text: format(value), sort: value ?? -1, kind });

/** @param {number} count @returns {Cell} */
const failures = (count) => number(count, short, count ? "bad" : "");

/** @param {Column} [values] */
function sparkline(values = []) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 60 16");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const most = Math.max(...values.map((value) => value ?? 0), 1e-9);
  const step = 60 / Math.max(values.length - 1, 5);
  const first = 60 - step * (values.length - 1);
  const points = values.map((value, at) => `${(first + step * at).toFixed(1)} ${(15 - ((value ?? 0) / most) * 14).toFixed(1)}`);
  if (points.length > 1) {
    for (const [kind, path] of [["area", `M${first} 15L${points.join("L")}L60 15Z`], ["line", `M${points.join("L")}`]]) {
      const drawn = document.createElementNS("http://www.w3.org/2000/svg", "path");
      drawn.setAttribute("class", kind);
      drawn.setAttribute("d", path);
      svg.append(drawn);
    }
  }
  return svg;
}

const routes = new Table(byId("routes"), "Routes", [
  ["Route"], ["Rate", "Requests per second"], ["p95", "95 % of the requests took no longer"], ["5xx", "Responses 500 to 599"],
  ["Queries", "Database queries per request"], ["Time", "The route's share of the time that all requests took"], ["30 min", "Time taken, in the last 30 minutes", "narrow-off"],
], { sort: 5, empty: "No requests in this time." });
const filter = /** @type {HTMLInputElement} */ (byId("filter"));
filter.addEventListener("input", () => now && showRoutes(now));

/** @param {Now} now */
function showRoutes({ routes: found, routeCount, sparklines, seconds, service, off }) {
  const wanted = filter.value.trim().toLowerCase();
  const shown = found.filter(([name]) => name.toLowerCase().includes(wanted));
  const noQueries = off.includes("http_request_db_queries") ? "Off: add http_request_db_queries to EXTRA_METRICS" : "";
  routes.show(shown.map(([name, count, p95, failed, queries, taken]) => {
    const share = ratio(taken, service.seconds) ?? 0;
    const meter = element("meter", { value: String(share), max: "1", "aria-hidden": "true" });
    const line = sparklines[name] ?? [];
    return [
      named(name), number(ratio(count, seconds), rate), number(p95, duration), failures(failed),
      { ...number(queries, short, queries != null && queries >= 20 ? "warn" : ""), title: noQueries },
      { text: percent(share), sort: share, node: meter, kind: "share" },
      { text: "", sort: line.reduce((/** @type {number} */ total, value) => total + (value ?? 0), 0), node: sparkline(line), kind: "narrow-off" },
    ];
  }));
  write(byId("shown"), wanted ? `${shown.length} of ${found.length}` : routeCount > found.length ? `${found.length} of ${routeCount} routes` : found.length === 1 ? "1 route" : `${found.length} routes`);
}

/** @param {string} id @param {string} title @param {[string, string?][]} columns @param {string} [kind] @param {string} [empty] */
function side(id, title, columns, kind = "", empty = "") {
  const heading = element("h2", { id: `${id}-title` }, title);
  const panel = element("section", { class: `panel ${kind}`, id, "aria-labelledby": `${id}-title` }, element("div", { class: "bar" }, heading));
  byId("side").append(panel);
  return { panel, title: heading, table: new Table(panel, title, columns, { empty }) };
}

const exceptions = side("exceptions", "Exceptions", [["Class"], ["Number"], ["Last"]], "", "None in this time.");
const processes = side("processes", "Processes", [["Process"], ["Memory"], ["Age"]]);
const executions = side("executions", "LLM calls", [["Model"], ["Calls"], ["Failed"], ["p95"], ["Tokens in"], ["out"], ["US $"]], "wide");
const tasks = side("tasks", "Tasks", [["Task"], ["Runs"], ["Failed", "Runs that did not end in success"], ["p95"], ["Time"]], "wide");
const queues = side("queues", "Queues", [["Queue"], ["Length"], ["Wait p95"]]);
const sockets = side("sockets", "WebSockets", [["Open"], ["Opened"], ["Received"], ["Sent"]]);

/** @param {Now} now */
function showSides(now) {
  exceptions.table.show(now.exceptions.map(([name, count, last]) => [
    named(name), number(count, short, "bad"), { text: last == null ? "" : `${age(Math.max(now.at - last, 0))} ago`, sort: last ?? 0 },
  ]));
  processes.table.show(now.processes.map(([pid, name, bytes, seconds]) => [
    named(`${name || "process"} ${pid}`), number(bytes, (value) => memory(value ?? 0)), number(seconds, (value) => age(value ?? 0)),
  ]));
  executions.panel.hidden = !now.executions.length;
  write(executions.title, now.dollars == null ? "LLM calls" : `LLM calls: US $ ${fixed(now.dollars, now.dollars < 10 ? 4 : 2)}`);
  executions.table.scroll.classList.toggle("no-dollars", now.executions.every((one) => one[6] == null));
  executions.table.show(now.executions.map(([name, calls, failed, p95, prompt, completion, dollars]) => [
    named(name), number(calls, short), failures(failed), number(p95, duration), number(prompt, short), number(completion, short),
    number(dollars, (value) => (value == null ? "–" : fixed(value, value < 1 ? 4 : 2))),
  ]));
  tasks.panel.hidden = !now.tasks.length;
  tasks.table.show(now.tasks.map(([name, runs, failed, p95, seconds]) => [
    named(name), number(runs, short), failures(failed), number(p95, duration), number(seconds, duration),
  ]));
  queues.panel.hidden = !now.queues.length;
  queues.table.show(now.queues.map(([name, length, , wait]) => [named(name), number(length, short), number(wait, duration)]));
  sockets.panel.hidden = !now.sockets;
  sockets.table.show([["open", "opened", "received", "sent"].map((key) => number(now.sockets?.[key] ?? 0, short))]);
}

// --- findings -----------------------------------------------------------------

let findingsAt = -Infinity;

async function showFindings() {
  if (performance.now() / 1000 - findingsAt < SECONDS_BETWEEN_FINDINGS) return;
  findingsAt = performance.now() / 1000;
  const found = /** @type {Finding[]} */ (await ask("findings.json"));
  const troubles = found.filter((one) => one.status !== "ok");
  const worst = found[0]?.status ?? "ok";
  const kinds = { ok: "good", warning: "warn", error: "bad" };
  const details = byId("findings");
  const summary = /** @type {HTMLElement} */ (details.querySelector("summary"));
  const others = troubles.length > 1 ? ` (and ${troubles.length - 1} more)` : "";
  write(summary, troubles.length ? `${shortened(troubles[0].message)}${others}` : `✓ ${found.length} checks of the metrics passed`);
  summary.className = kinds[/** @type {keyof kinds} */ (worst)] ?? "bad";
  details.querySelector("ul")?.replaceChildren(...found.map((one) => element("li", {},
    element("strong", { class: kinds[/** @type {keyof kinds} */ (one.status)] ?? "bad" }, one.status), ` ${one.message}`,
    ...(one.hint ? [element("p", {}, one.hint)] : []))));
}

/** @param {string} text */
const shortened = (text) => (text.length > 90 ? `${text.slice(0, 88)}…` : text);

document.addEventListener("keydown", (event) => {
  const details = /** @type {HTMLDetailsElement} */ (byId("findings"));
  if (event.key !== "Escape" || !details.open) return;
  details.open = false;
  details.querySelector("summary")?.focus();
});

// --- polling ------------------------------------------------------------------

class Refused extends Error {}

/** A response that says why there is none of the data. */
class Unavailable extends Error {}

/** @param {string} path */
async function ask(path) {
  const response = await fetch(base + path, { cache: "no-store", credentials: "same-origin", redirect: "error", signal: AbortSignal.timeout(10000) });
  if (response.status === 401 || response.status === 403) throw new Refused();
  if (!response.ok) {
    const isText = response.headers.get("Content-Type")?.startsWith("text/plain");
    throw new Unavailable(isText ? await response.text() : `The server responds with status ${response.status}.`);
  }
  return response.json();
}

const connection = byId("connection");
let timer = 0;
let pause = pollSeconds;
let lastAt = Date.now();
let isPolling = false;
let isAgain = false;

async function poll() {
  clearTimeout(timer);
  if (isPolling) { isAgain = true; return; }
  isPolling = true;
  try {
    const asked = windowSeconds;
    const answer = await ask(`data.json?window=${asked}&since=${since}`);
    pause = pollSeconds;
    lastAt = Date.now();
    if (asked === windowSeconds) {
      now = /** @type {Now} */ (answer.now);
      // The clock of the server was set back, by more than an answer for several viewers is old.
      if (now.at < since - LONGEST_PAUSE_SECONDS) forget();
      else remember(answer.history);
      show();
      write(connection, now.seconds < asked * 0.9 ? `Live: the last ${age(now.seconds)}` : "Live");
      connection.className = "chip good";
      connection.title = "";
    }
    void Promise.allSettled([addExplored(), showFindings()]);
  } catch (error) {
    pause = Math.min(pause * 2, LONGEST_PAUSE_SECONDS);
    const since = clock(lastAt / 1000);
    if (error instanceof Refused) write(connection, "Not allowed any more: reload to log in");
    else if (error instanceof Unavailable) {
      write(connection, `No data since ${since}. ${shortened(error.message.trim())}`);
      void showFindings().catch(() => {});
    } else write(connection, `Not connected since ${since}`);
    connection.title = error instanceof Unavailable ? error.message : "";
    connection.className = "chip bad";
  } finally {
    isPolling = false;
    schedule();
  }
}

function schedule() {
  clearTimeout(timer);
  if (document.hidden) return;
  timer = window.setTimeout(poll, isAgain ? 0 : pause * 1000);
  isAgain = false;
}

function show() {
  if (!now) return;
  showTiles(now);
  for (const figure of figures) figure.show();
  showRoutes(now);
  showSides(now);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else { pause = pollSeconds; void poll(); }
});
window.addEventListener("online", () => { pause = pollSeconds; void poll(); });

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => figures.forEach((figure) => figure.forget()));

for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("#windows input"))) {
  input.checked = Number(input.value) === windowSeconds;
  input.addEventListener("change", () => { windowSeconds = Number(input.value); void poll(); });
}

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.key === "/" && !["INPUT", "SELECT"].includes(target.tagName)) {
    event.preventDefault();
    filter.focus();
  }
});

void poll();

// The compiler takes a file without it for one of the page's global scope.
export {};
