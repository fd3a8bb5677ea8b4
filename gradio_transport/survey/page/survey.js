// The page of a survey. Texts were written by servers that may be hostile: they reach the document only as text
// nodes (`show`), never as markup.
"use strict";

const SURVEY_VERSION = 1;
const ROWS = 500; // rows that are drawn at a time
const MOST_NAMES = 100; // endpoints that are listed

let apps = []; // results, each with what it is grouped and filtered by
let reasons = {}; // word: [meaning, whether it may pass]

const state = {
  words: [],
  chosen: { reasons: new Set(), generations: new Set(), protocols: new Set() },
  sort: ["index", 1],
  shown: [],
  drawn: 0,
};

const darkQuery = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (darkQuery.matches ? "dark" : "light")) === "dark";

function drawTheme() {
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
}

// What an app is grouped by.

/** Return the adapter that serves the most endpoints of an app. */
function mainAdapter(app) {
  const counts = new Map();
  for (const one of app.endpoints ?? []) if (one.adapter) counts.set(one.adapter, (counts.get(one.adapter) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? "";
}

/** Add to a result what the page needs besides. */
function prepare(app) {
  const adapters = app.adapters ?? [];
  const protocol = mainAdapter(app);
  return {
    ...app,
    groups: {
      reasons: app.reason,
      generations: app.generation === undefined ? "" : `Gradio ${app.generation}`,
      protocols: protocol,
    },
    protocols: [protocol, ...adapters.filter((one) => one !== protocol)].filter(Boolean).join(", "),
    text: [app.source, app.title, app.url, app.reason, app.gradio, app.stage, app.why, ...adapters]
      .concat((app.endpoints ?? []).map((one) => one.name))
      .filter(Boolean)
      .join("\n")
      .toLowerCase(),
  };
}

const COLUMNS = {
  source: ["App", (app) => app.source],
  reason: ["Answer", (app) => app.reason],
  gradio: ["Gradio", (app) => app.gradio ?? (app.generation === undefined ? "" : `${app.generation}.x`)],
  protocol: ["Protocol", (app) => app.protocols],
  endpoints: ["Endpoints", (app) => app.endpoint_count],
  seconds: ["Time", (app) => app.seconds],
};
const NUMBERS = new Set(["endpoints", "seconds"]);

// The counts, which are filters too.

function drawGroups() {
  drawGroup("reasons", (word) => (reasons[word]?.[0] ? `${word}: ${reasons[word][0]}` : word), byAnswer);
  drawGroup("generations", (word) => word, (a, b) => b[0].localeCompare(a[0], "en", { numeric: true }));
  drawGroup("protocols", (word) => word, (a, b) => b[1] - a[1]);
}

const byAnswer = (a, b) => Number(b[0] === "answers") - Number(a[0] === "answers") || b[1] - a[1];

/** Draw the counts of one group. Each counts the apps that the other groups and the words leave. */
function drawGroup(name, describe, order) {
  const counts = new Map();
  const all = new Map();
  for (const app of apps) {
    const word = app.groups[name];
    if (!word) continue;
    all.set(word, (all.get(word) ?? 0) + 1);
    if (fits(app, name)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const most = Math.max(1, ...all.values());
  byId(name).replaceChildren(
    ...[...all].sort(order).map(([word, whole]) => {
      const made = button("", () => choose(name, word), "count");
      const bar = el("span", `fill ${name === "reasons" && word !== "answers" ? "not" : ""}`);
      bar.style.width = `${(100 * (counts.get(word) ?? 0)) / most}%`;
      made.append(bar, el("span", "word", word), el("b", "", (counts.get(word) ?? 0).toLocaleString("en")));
      made.title = plain(describe(word));
      made.setAttribute("aria-pressed", String(state.chosen[name].has(word)));
      made.dataset.word = plain(word);
      made.dataset.whole = String(whole);
      return made;
    }),
  );
  byId(name).parentElement.hidden = !all.size;
}

function choose(name, word) {
  if (!state.chosen[name].delete(word)) state.chosen[name].add(word);
  filter();
  byId(name).querySelector(`[data-word="${CSS.escape(plain(word))}"]`)?.focus();
}

/** Return whether the filters leave an app, but for those of one group. */
function fits(app, besides = "") {
  for (const [name, chosen] of Object.entries(state.chosen))
    if (name !== besides && chosen.size && !chosen.has(app.groups[name])) return false;
  return state.words.every(([wanted, word]) => app.text.includes(word) === wanted);
}

function parseWords(text) {
  return text
    .toLowerCase()
    .split(/\s+/)
    .filter((one) => one && one !== "-")
    .map((one) => (one.startsWith("-") ? [false, one.slice(1)] : [true, one]));
}

// The table.

function drawHeads() {
  byId("heads").replaceChildren(
    ...Object.entries(COLUMNS).map(([name, [text]]) => {
      const isSorted = state.sort[0] === name;
      const made = el("th", name, button(text, () => sortBy(name)));
      made.scope = "col";
      made.setAttribute("aria-sort", isSorted ? (state.sort[1] > 0 ? "ascending" : "descending") : "none");
      return made;
    }),
  );
}

function sortBy(name) {
  state.sort = state.sort[0] === name ? [name, -state.sort[1]] : [name, 1];
  drawHeads();
  filter();
}

function compare(a, b) {
  const [name, sign] = state.sort;
  if (name === "index") return a.index - b.index;
  const [x, y] = [a, b].map(COLUMNS[name][1]);
  if (!NUMBERS.has(name) && (x === "") !== (y === "")) return x === "" ? 1 : -1; // what is not known comes last
  const order = NUMBERS.has(name) ? x - y : x.localeCompare(y, "en", { numeric: true });
  return sign * order || a.index - b.index;
}

function filter() {
  state.shown = apps.filter((app) => fits(app)).sort(compare);
  state.drawn = 0;
  byId("rows").replaceChildren();
  drawMore();
  drawGroups();
  const isFiltered = state.words.length || Object.values(state.chosen).some((one) => one.size);
  byId("matches").textContent = isFiltered
    ? `${state.shown.length.toLocaleString("en")} of ${counted(apps.length, "app")}`
    : counted(apps.length, "app");
  byId("clear").hidden = !isFiltered;
}

function drawMore() {
  const next = state.shown.slice(state.drawn, state.drawn + ROWS);
  byId("rows").append(...next.map(drawRow));
  state.drawn += next.length;
  const left = state.shown.length - state.drawn;
  byId("more").hidden = left === 0;
  byId("more").textContent = `Show ${Math.min(left, ROWS).toLocaleString("en")} more of ${left.toLocaleString("en")}`;
}

function drawRow(app) {
  const open = button(app.source, () => toggle(line, open, app), "open");
  open.setAttribute("aria-expanded", "false");
  const answer = el("span", app.reason === "answers" ? "badge yes" : "badge no", app.reason);
  answer.title = plain(reasons[app.reason]?.[0] ?? "");
  const line = el(
    "tr",
    "",
    el("td", "source", open, app.title ? el("span", "title", app.title) : null),
    el("td", "reason", answer),
    el("td", "gradio", COLUMNS.gradio[1](app)),
    el("td", "protocol", app.protocols),
    el("td", "endpoints", app.answers ? app.endpoint_count : ""),
    el("td", "seconds", seconds(app.seconds)),
  );
  return line;
}

// survey.css hides three of the columns at this width.
const narrowQuery = matchMedia("(max-width: 700px)");
const shownColumns = () => Object.keys(COLUMNS).length - (narrowQuery.matches ? 3 : 0);

function fitDetails() {
  for (const cell of byId("rows").querySelectorAll(".detail-row td")) cell.colSpan = shownColumns();
}

/** Show or hide what is behind a row, in a row of its own below it. */
function toggle(line, open, app) {
  const isOpen = open.getAttribute("aria-expanded") === "true";
  open.setAttribute("aria-expanded", String(!isOpen));
  if (isOpen) line.nextElementSibling.remove();
  else {
    const cell = el("td", "", drawDetail(app));
    cell.colSpan = shownColumns();
    line.after(el("tr", "detail-row", cell));
  }
}

function drawDetail(app) {
  const meaning = reasons[app.reason]?.[0] ?? app.reason;
  const pairs = [
    ["Answer", `${meaning}.`],
    ["Seen", app.why],
    ["Advice", app.advice],
    ["Step", app.step],
    ["Address", app.url],
    ["Title", app.title],
    ["Stage", app.stage],
    ["Gradio", COLUMNS.gradio[1](app)],
    ["Config names", app.protocol],
    ["Adapters", app.protocols],
    ["Took", seconds(app.seconds)],
  ].filter(([, text]) => text);
  const list = el("dl", "pairs", ...pairs.flatMap(([name, text]) => [el("dt", "", name), el("dd", "", text)]));
  return [list, ...(app.endpoints?.length ? drawEndpoints(app) : [])];
}

/** List the endpoints by adapter. */
function drawEndpoints(app) {
  const byAdapter = new Map();
  for (const one of app.endpoints.slice(0, MOST_NAMES)) {
    const name = one.adapter ?? "no adapter";
    byAdapter.set(name, [...(byAdapter.get(name) ?? []), one.name]);
  }
  const rest = app.endpoint_count - Math.min(app.endpoints.length, MOST_NAMES);
  const lists = [...byAdapter].flatMap(([name, names]) => [el("dt", "", name), el("dd", "", names.join("  "))]);
  const more = rest > 0 ? el("p", "quiet", `${rest.toLocaleString("en")} more are not listed.`) : null;
  return [el("h3", "", counted(app.endpoint_count, "endpoint")), el("dl", "pairs", ...lists), more];
}

// The start.

function drawFacts(index) {
  const answers = apps.filter((app) => app.answers).length;
  const facts = [
    counted(apps.length, "app"),
    `${answers.toLocaleString("en")} answer${answers === 1 ? "s" : ""}`,
    index.complete ? "" : "stopped before the end",
    index.made,
  ];
  byId("facts").replaceChildren(...show(facts.filter(Boolean).join(" · ")));
}

function clearFilters() {
  byId("filter").value = "";
  state.words = [];
  for (const chosen of Object.values(state.chosen)) chosen.clear();
  filter();
  byId("filter").focus();
}

function watch() {
  byId("filter").addEventListener("input", () => {
    state.words = parseWords(byId("filter").value);
    filter();
  });
  byId("clear").addEventListener("click", clearFilters);
  byId("more").addEventListener("click", drawMore);
  byId("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    drawTheme();
  });
  darkQuery.addEventListener("change", drawTheme);
  narrowQuery.addEventListener("change", fitDetails);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") clearFilters();
    else if (event.key === "/" && event.target !== byId("filter")) byId("filter").focus();
    else return;
    event.preventDefault();
  });
}

async function start() {
  const index = JSON.parse(await inflate("index"));
  if (index.version !== SURVEY_VERSION) throw new Error(`The data of this page has version ${index.version}.`);
  reasons = index.reasons;
  for await (const [, records] of new Store("apps", index.blocks).blocks()) apps.push(...records.map(prepare));
  drawTheme();
  drawFacts(index);
  drawHeads();
  filter();
  watch();
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  byId("facts").replaceChildren(...show(`This page cannot be shown: ${error.message}`));
  document.body.dataset.ready = "failed";
  throw error;
});
