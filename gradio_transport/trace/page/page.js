// The head of the page, its events, and its start.

function drawHead() {
  const trace = doc.trace;
  byId("file").replaceChildren(...show(trace.file));
  const facts = [
    trace.gradio ? `Gradio ${trace.gradio}` : "Gradio of unknown version",
    trace.adapters.join(", "),
    counted(trace.sessions, "session"),
    counted(trace.calls, "call"),
    seconds(trace.end - trace.start),
  ];
  byId("facts").replaceChildren(...show(facts.filter(Boolean).join(" · ")));
  const severity = SEVERITIES.find((name) => doc.findings.some((one) => one[0] === name));
  const count = doc.findings.filter((one) => one[0] === severity).length;
  const none = doc.checked ? "No findings" : "Not checked";
  const noun =
    severity === "diagnosis"
      ? ["diagnosis", "diagnoses"][Number(count !== 1)]
      : severity + (count === 1 ? "" : "s");
  byId("findings").textContent = severity ? `${count.toLocaleString("en")} ${noun}` : none;
  byId("findings").className = severity ?? "";
  const legend = PHASES.filter((name) =>
    doc.groups.some((group) => group.phases.some((phase) => phase[0] === name)),
  );
  byId("legend").replaceChildren(
    ...legend.map((name) => el("span", "", el("i", `key phase ${name}`), name)),
    ...(doc.groups.some((group) => group.silences.length)
      ? [el("span", "", el("i", "key silence"), "silence")]
      : []),
    el("span", "", el("i", "key request"), "request"),
    el("span", "", el("i", "key stream"), "open stream"),
  );
  byId("overview").setAttribute(
    "aria-label",
    `${counted(overview.callLanes, "lane")} of calls and one for each channel, over ${seconds(trace.end - trace.start)}`,
  );
}

const darkQuery = matchMedia("(prefers-color-scheme: dark)");
const isDark = () =>
  (document.documentElement.dataset.theme ?? (darkQuery.matches ? "dark" : "light")) === "dark";

function drawTheme() {
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
  drawOverview();
}

function setAll(open) {
  state.closed = new Set(open ? [] : doc.groups.keys());
  rebuild();
}

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  drawTheme();
}

function zoomToSelected() {
  const entry = state.selected;
  if (entry === null || isFrameView()) return;
  const [start, end] = isGroup(entry)
    ? [groupOf(entry).start, groupOf(entry).end]
    : [doc.rows.t[entry], doc.rows.end[entry]];
  const margin = (end - start) * 0.03 || (doc.trace.end - doc.trace.start) * 0.005;
  zoom(Math.max(doc.trace.start, start - margin), Math.min(doc.trace.end, end + margin));
}

const unzoom = () => zoom(doc.trace.start, doc.trace.end);

const KEYS = {
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  PageDown: () => move(Math.floor(byId("rows").clientHeight / ROW) - 1),
  PageUp: () => move(1 - Math.floor(byId("rows").clientHeight / ROW)),
  Home: () => move(-state.entries.length),
  End: () => move(state.entries.length),
  ArrowRight: () => fold(true),
  ArrowLeft: () => fold(false),
  Enter: enter,
  e: nextProblem,
  z: zoomToSelected,
  0: unzoom,
  f: () => setView(isFrameView() ? "calls" : "frames"),
  "/": () => byId("filter").focus(),
  "?": () => byId("help").showModal(),
  Escape: () => (state.selected !== null ? select(null, true) : clearFilter()),
};

/** Open or close the selected call, or go to the details of a row, where keys scroll. */
function enter() {
  const entry = state.selected;
  if (entry !== null && isGroup(entry)) toggle(-1 - entry, state.closed.has(-1 - entry));
  else byId("detail").focus();
}

function fold(open) {
  const entry = state.selected;
  if (entry === null || isFrameView()) return;
  if (isGroup(entry)) toggle(-1 - entry, open);
  else if (!open) select(-1 - doc.rows.group[entry]);
}

const SCROLLING = new Set([
  "ArrowUp",
  "ArrowDown",
  "ArrowLeft",
  "ArrowRight",
  "PageUp",
  "PageDown",
  "Home",
  "End",
  "Enter",
]);

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const target = event.target;
  if (target === byId("filter")) {
    if (event.key === "Escape") {
      event.preventDefault();
      if (target.value) clearFilter();
      byId("rows").focus();
    } else if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      byId("rows").focus();
      move(state.selected === null ? 1 : 0);
    }
    return;
  }
  if (target === byId("divider") && event.key.startsWith("Arrow")) return;
  // Keys that press stay with controls, and those that scroll with the details.
  if (event.key === "Enter" && target.closest("button, input, summary")) return;
  if (SCROLLING.has(event.key) && byId("detail").contains(target)) return;
  const action = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
  if (!action) return;
  event.preventDefault();
  action();
}

/** Let the divider between list and details be moved, by mouse and by arrow keys. */
function watchDivider() {
  const divider = byId("divider");
  const split = divider.parentElement;
  const isRow = () => getComputedStyle(split).flexDirection === "row";
  const place = (part) => {
    const kept = Math.min(0.8, Math.max(0.2, part));
    split.style.setProperty("--detail", `${kept * 100}%`);
    divider.setAttribute("aria-valuenow", Math.round(kept * 100));
    drawRows();
  };
  const partAt = (event) => {
    const box = split.getBoundingClientRect();
    return isRow() ? (box.right - event.clientX) / box.width : (box.bottom - event.clientY) / box.height;
  };
  divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
  divider.addEventListener(
    "pointermove",
    (event) => divider.hasPointerCapture(event.pointerId) && place(partAt(event)),
  );
  divider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: 0.03, ArrowUp: 0.03, ArrowRight: -0.03, ArrowDown: -0.03 }[event.key];
    if (!step) return;
    event.preventDefault();
    place(Number(divider.getAttribute("aria-valuenow") ?? 42) / 100 + step);
  });
  divider.setAttribute("aria-valuenow", 42);
  divider.setAttribute("aria-valuemin", 20);
  divider.setAttribute("aria-valuemax", 80);
}

function watch() {
  document.addEventListener("keydown", onKey);
  byId("rows").addEventListener("scroll", drawRows, { passive: true });
  byId("rows").addEventListener("click", (event) => {
    const place = event.target.closest("[data-place]")?.dataset.place;
    if (place === undefined) return;
    const entry = state.entries[place];
    if (isGroup(entry) && (event.target.closest(".twist") || entry === state.selected))
      toggle(-1 - entry, state.closed.has(-1 - entry));
    else select(entry);
  });
  let typing = 0;
  byId("filter").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(applyFilter, byId("bodies").checked ? 250 : 60);
  });
  byId("bodies").addEventListener("change", applyFilter);
  byId("clear").addEventListener("click", clearFilter);
  byId("expand").addEventListener("click", () => setAll(true));
  byId("collapse").addEventListener("click", () => setAll(false));
  byId("unzoom").addEventListener("click", unzoom);
  byId("findings").addEventListener("click", () => {
    select(null);
    byId("detail").focus();
  });
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("theme").addEventListener("click", toggleTheme);
  for (const one of document.querySelectorAll("[data-view]"))
    one.addEventListener("click", () => setView(one.dataset.view));
  for (const one of document.querySelectorAll("[data-show]")) {
    one.addEventListener("click", () => {
      setPressed("show", (state.show = one.dataset.show));
      rebuild();
    });
  }
  const canvas = byId("overview");
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    overview.drag = [timeAt(event), timeAt(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!overview.drag) return;
    overview.drag[1] = timeAt(event);
    drawOverview();
  });
  canvas.addEventListener("pointerup", () => {
    const range = overview.drag;
    overview.drag = null;
    if (!range) return;
    const [from, to] = [Math.min(...range), Math.max(...range)];
    if (to - from > (doc.trace.end - doc.trace.start) / 200) zoom(from, to);
    else drawOverview();
  });
  canvas.addEventListener("dblclick", unzoom);
  darkQuery.addEventListener("change", drawTheme);
  new ResizeObserver(() => {
    scrollToEntry(state.selected);
    drawRows();
    drawOverview();
  }).observe(byId("rows"));
  watchDivider();
}

async function start() {
  if (typeof DecompressionStream === "undefined")
    throw new Error(
      "this browser is too old: it has no DecompressionStream (Chrome 80, Firefox 113, Safari 16.4)",
    );
  doc = JSON.parse(await inflate("index"));
  if (doc.version !== DOCUMENT_VERSION) throw new Error(`its data has version ${doc.version}`);
  frames = new Store("frames", doc.blocks.frames);
  bodies = new Store("bodies", doc.blocks.bodies);
  state.from = doc.trace.start;
  state.to = doc.trace.end;
  for (const finding of doc.findings) {
    const [, , , , group, places] = finding;
    for (const place of [...places, ...(group === null ? [] : [-1 - group])]) {
      // A frame has a number from 0, a group a number below it, as in the list.
      if (!state.findingOf.has(place)) state.findingOf.set(place, []);
      state.findingOf.get(place).push(finding);
    }
  }
  const calls = doc.groups.filter((group) => group.kind === "call");
  const many = calls.reduce((sum, group) => sum + group.count, 0) > 400 && calls.length > 8;
  doc.groups.forEach((group, number) => {
    if (calls.length && (group.kind !== "call" || (many && !BAD.has(group.outcome))))
      state.closed.add(number);
  });
  layOverview();
  drawHead();
  watch();
  drawTheme();
  rebuild([]);
  const named = /^#frame-(\d+)$/.exec(location.hash);
  if (named && Number(named[1]) < doc.frames.t.length) goToFrame(Number(named[1]));
  else showDetail();
  document.body.dataset.ready = "true";
}

start().catch((error) => {
  byId("detail").replaceChildren(el("p", "error", `The trace cannot be shown: ${error.message}`));
  document.body.dataset.ready = "failed";
  console.error(error);
});
