// The head of the page, its filters and keys, and its start.

const darkQuery = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (darkQuery.matches ? "dark" : "light")) === "dark";

function drawTheme() {
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
}

function drawHead() {
  byId("title").replaceChildren(...show(doc.runs.length === 1 ? doc.runs[0].label : "Conformance"));
  const dates = [...new Set(doc.runs.map((run) => run.started.slice(0, 10)).filter(Boolean))].sort();
  const facts = [doc.runs.length === 1 ? doc.runs[0].language : counted(doc.runs.length, "run"), dates.join(", ")];
  byId("facts").replaceChildren(...show(facts.filter(Boolean).join(" · ")));
}

function options(id, list, chosen = "") {
  byId(id).replaceChildren(
    ...list.map(([value, text]) => {
      const made = el("option", "", plain(cut(text, 60)));
      made.value = value;
      return made;
    }),
  );
  byId(id).value = chosen;
}

function drawChoices() {
  byId("kinds").replaceChildren(
    ...doc.matrices.map((one, number) => {
      const made = button(one.kind === "case" ? "Cases" : "Faults", () => {
        state.matrix = number;
        Object.assign(state, { version: "" });
        drawChoices();
        drawMatrix();
        showRuns();
      });
      made.setAttribute("aria-pressed", String(number === state.matrix));
      return made;
    }),
  );
  byId("kinds").hidden = doc.matrices.length < 2;
  const runs = doc.runs.map((run, number) => [String(number), run.label]);
  options("client", [["", "all"], ...runs], state.client);
  const versions = [...new Set(matrix().columns.map((one) => one[1]))].sort(byVersion);
  const majors = [...new Set(versions.filter((one) => /^\d+\./.test(one)).map((one) => `${one.split(".")[0]}.`))];
  const listed = majors.length > 1 ? majors.map((one) => [one, `${one}x`]) : [];
  options("version", [["", "all"], ...listed, ...versions.map((one) => [one, one])], state.version);
  options("old", [["", "nothing"], ...runs], state.old === null ? "" : String(state.old));
  options("new", [["", "…"], ...runs], state.new === null ? "" : String(state.new));
  byId("version-field").firstChild.textContent = matrix().kind === "case" ? "Version " : "Protocol ";
  byId("client-field").hidden = doc.runs.length < 2 || isComparison();
  byId("order-field").hidden = doc.runs.length < 2 || isComparison();
  byId("compare-field").hidden = doc.runs.length < 2;
  byId("version-field").hidden = versions.length < 2;
}

/** Draw a switch for each grade, or for each change. */
function drawGrades() {
  const counts = new Map();
  for (const row of matrix().rows.keys())
    for (const column of state.columns) {
      const found = stateOf(row, column);
      if (found !== null) counts.set(found, (counts.get(found) ?? 0) + 1);
    }
  const kinds = isComparison() ? Object.keys(CHANGES) : Object.keys(doc.words);
  byId("grades").replaceChildren(
    ...kinds
      .filter((kind) => counts.get(kind))
      .map((kind) => {
        const [text, sign] = isComparison() ? CHANGES[kind] : [word(kind), SIGNS_OF[kind]];
        const made = button("", () => switchGrade(kind, made), `switch ${isComparison() ? kind : `grade-${kind}`}`);
        made.append(el("span", "sign", sign), ` ${text} `, el("b", "", counts.get(kind)));
        made.setAttribute("aria-pressed", String(!state.hidden.has(kind)));
        return made;
      }),
  );
}

function switchGrade(kind, made) {
  if (!state.hidden.delete(kind)) state.hidden.add(kind);
  made.setAttribute("aria-pressed", String(!state.hidden.has(kind)));
  filterCells();
}

function setFilter(text) {
  state.words = parseWords(text);
  filterCells();
}

/** Filter by a cause. Its first words are enough. */
function filterBy(text) {
  byId("filter").value = text.toLowerCase().split(/\s+/).filter((one) => !one.startsWith("-")).slice(0, 12).join(" ");
  setFilter(byId("filter").value);
}

function clearFilters() {
  byId("filter").value = "";
  Object.assign(state, { words: [], hidden: new Set(), client: "", version: "" });
  drawChoices();
  drawMatrix();
}

/** Compare two runs, or none. What is unchanged is switched off at first. */
function compare(before, after) {
  const wasComparison = isComparison();
  Object.assign(state, { old: before, new: after });
  if (isComparison() !== wasComparison) state.hidden = new Set(isComparison() ? ["same"] : []);
  drawChoices();
  drawMatrix();
  showRuns();
}

const numberOf = (id) => (byId(id).value === "" ? null : Number(byId(id).value));

function chooseOld() {
  const others = [...doc.runs.keys()].filter((one) => one !== numberOf("old"));
  compare(numberOf("old"), numberOf("old") === null ? null : (numberOf("new") ?? others.at(-1)));
}

function chooseNew() {
  const others = [...doc.runs.keys()].filter((one) => one !== numberOf("new"));
  compare(numberOf("new") === null ? null : (numberOf("old") ?? others[0]), numberOf("new"));
}

const KEYS = {
  ArrowDown: () => move(1, 0),
  ArrowUp: () => move(-1, 0),
  ArrowRight: () => move(0, 1),
  ArrowLeft: () => move(0, -1),
  PageDown: () => move(10, 0),
  PageUp: () => move(-10, 0),
  Home: () => move(0, -state.columns.length),
  End: () => move(0, state.columns.length),
  Enter: () => byId("detail").focus(),
  " ": () => select(state.focus),
};

const ANYWHERE = {
  e: nextProblem,
  r: showRuns,
  "/": () => byId("filter").focus(),
  "?": () => byId("help").showModal(),
  Escape: () => (byId("detail").contains(document.activeElement) ? closeDetail() : clearFilters()),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const target = event.target;
  if (target === byId("filter")) {
    if (event.key !== "Escape" && event.key !== "Enter") return;
    event.preventDefault();
    if (event.key === "Escape") clearFilters();
    cellElement(state.focus)?.focus();
    return;
  }
  if (target.closest("select")) return;
  const inMatrix = byId("matrix").contains(target);
  const actions = inMatrix ? { ...KEYS, ...ANYWHERE } : ANYWHERE;
  const action = Object.hasOwn(actions, event.key) ? actions[event.key] : null;
  if (!action) return;
  event.preventDefault();
  action();
}

/** Let the divider between matrix and details be moved, by mouse and by arrow keys. */
function watchDivider() {
  const divider = byId("divider");
  const split = divider.parentElement;
  const isRow = () => getComputedStyle(split).flexDirection === "row";
  const place = (share) => split.style.setProperty("--detail", `${Math.min(80, Math.max(20, share * 100))}%`);
  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const box = split.getBoundingClientRect();
    place(isRow() ? (box.right - event.clientX) / box.width : (box.bottom - event.clientY) / box.height);
  });
  divider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: 0.05, ArrowUp: 0.05, ArrowRight: -0.05, ArrowDown: -0.05 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const [detail, whole] = [byId("detail"), split].map((one) => one.getBoundingClientRect());
    place((isRow() ? detail.width / whole.width : detail.height / whole.height) + step);
  });
}

function watch() {
  document.addEventListener("keydown", onKey);
  byId("matrix").addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-place]");
    if (cell) focusCell([Number(cell.parentElement.dataset.row), Number(cell.dataset.place)]);
  });
  byId("filter").addEventListener("input", () => setFilter(byId("filter").value));
  for (const [id, name] of [["client", "client"], ["version", "version"], ["order", "order"]])
    byId(id).addEventListener("change", () => {
      state[name] = byId(id).value;
      drawMatrix();
    });
  byId("old").addEventListener("change", chooseOld);
  byId("new").addEventListener("change", chooseNew);
  byId("clear").addEventListener("click", clearFilters);
  byId("overview").addEventListener("click", showRuns);
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    drawTheme();
  });
  darkQuery.addEventListener("change", drawTheme);
  watchDivider();
}

function drawLegend() {
  byId("legend").replaceChildren(
    ...Object.keys(doc.words).map((grade) => el("tr", "", el("td", "", badge(grade)), el("td", "", MEANINGS[grade] ?? ""))),
  );
}

async function start() {
  doc = JSON.parse(await inflate("index"));
  if (doc.version !== RESULTS_VERSION) throw new Error(`The data of this page has version ${doc.version}.`);
  cells = new Store("cells", doc.blocks);
  if (doc.compare) Object.assign(state, { old: doc.compare[0], new: doc.compare[1], hidden: new Set(["same"]) });
  drawTheme();
  drawHead();
  drawLegend();
  if (doc.matrices.length) {
    drawChoices();
    drawMatrix();
  }
  showRuns();
  watch();
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  byId("detail").replaceChildren(el("p", "error", `This page cannot be shown: ${error.message}`));
  document.body.dataset.ready = "failed";
  throw error;
});
