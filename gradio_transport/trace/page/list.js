// The list: filter, rows (only those in sight are elements), and selection.

/** Return the parts of a filter: words, `-word`, `name:value`. */
function parseFilter(text) {
  const parts = [];
  for (const word of text.toLowerCase().split(/\s+/).filter(Boolean)) {
    const not = word.length > 1 && word.startsWith("-");
    const bare = not ? word.slice(1) : word;
    const named = /^(status|call|channel|kind|frame|session):(.+)$/.exec(bare);
    parts.push({ not, field: named ? named[1] : "", value: named ? named[2] : bare });
  }
  return parts;
}

function rowText(row) {
  const group = doc.groups[doc.rows.group[row]];
  return `${rows.name(row)} ${doc.rows.text[row]} ${rows.channel(row)} ${doc.rows.status[row] ?? ""} ${group.title}`.toLowerCase();
}

function rowMatches(row, part) {
  const group = doc.groups[doc.rows.group[row]];
  switch (part.field) {
    case "status":
      return String(doc.rows.status[row] ?? "").startsWith(part.value);
    case "call":
      return String(group.number ?? "") === part.value;
    case "session":
      return String(group.session ?? "") === part.value;
    case "channel":
      return rows.channel(row).toLowerCase().includes(part.value);
    case "kind":
      return rows.kind(row).startsWith(part.value);
    case "frame":
      return rows.frames(row).includes(Number(part.value));
    default:
      return rowText(row).includes(part.value) || rows.frames(row).some((one) => part.frames?.has(one));
  }
}

function frameMatches(frame, part) {
  const { frames: columns } = doc;
  switch (part.field) {
    case "status":
      return String(columns.status[frame] ?? "").startsWith(part.value);
    case "call":
      return String(doc.groups[columns.group[frame]]?.number ?? "") === part.value;
    case "session":
      return String(columns.session[frame]) === part.value;
    case "channel":
      return frameOf.channel(frame).toLowerCase().includes(part.value);
    case "kind":
      return frameOf.kind(frame).startsWith(part.value);
    case "frame":
      return frame === Number(part.value);
    default: {
      const text = `${frameOf.kind(frame)} ${columns.text[frame]} ${frameOf.channel(frame)} ${columns.status[frame] ?? ""}`;
      return text.toLowerCase().includes(part.value) || Boolean(part.frames?.has(frame));
    }
  }
}

const shownKinds = {
  all: () => true,
  requests: (row) => ["request", "end"].includes(rows.kind(row)),
  messages: (row) => ["event", "sent"].includes(rows.kind(row)),
  problems: isProblem,
};
const shownFrames = {
  all: () => true,
  requests: (frame) =>
    /^(request|response|error|end|stream-close|ws-(open|accept|close))/.test(frameOf.kind(frame)),
  messages: (frame) => /^(chunk|ws-text)$/.test(frameOf.kind(frame)),
  problems: (frame) =>
    (doc.frames.status[frame] ?? 0) >= 400 || frameOf.kind(frame) === "error" || state.findingOf.has(frame),
};

const wholeTime = () => state.from <= doc.trace.start && state.to >= doc.trace.end;
const inTime = (start, end) => wholeTime() || (end >= state.from && start <= state.to);

/** Return the numbers of the frames that hold a word, in a body, a header or a field. */
async function searchBodies(word, isCurrent) {
  const pattern = new RegExp(word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
  const inBodies = new Set();
  const found = new Set();
  const holds = (value) => (typeof value === "string" ? pattern.test(value) : inBodies.has(value));
  const hasPair = (pairs) =>
    Object.entries(pairs ?? {}).some(([name, one]) => pattern.test(`${name}: ${one}`));
  let done = 0;
  const progress = () => {
    const part = Math.round((100 * ++done) / (bodies.starts.length + frames.starts.length));
    byId("matches").textContent = `searching… ${part} %`;
  };
  for await (const [start, block] of bodies.blocks()) {
    block.forEach((text, at) => pattern.test(text) && inBodies.add(start + at));
    if (!isCurrent()) return null;
    progress();
  }
  for await (const [start, block] of frames.blocks()) {
    block.forEach((frame, at) => {
      const texts = [frame.body, frame.base64, ...Object.values(frame.json ?? {})];
      if (texts.some(holds) || hasPair(frame.headers) || hasPair(frame.fields)) found.add(start + at);
    });
    if (!isCurrent()) return null;
    progress();
  }
  return found;
}

let filterRun = 0;

/** Make the list anew, after a search of the bodies if that is wanted. */
async function applyFilter() {
  const run = ++filterRun;
  const isCurrent = () => run === filterRun;
  const parts = parseFilter(byId("filter").value);
  if (byId("bodies").checked) {
    for (const part of parts.filter((one) => !one.field)) {
      byId("matches").textContent = "searching…";
      part.frames = await searchBodies(part.value, isCurrent);
      if (!isCurrent()) return;
    }
  }
  rebuild(parts);
}

let lastParts = [];

function rebuild(parts = lastParts) {
  lastParts = parts;
  const kept = state.selected;
  const matches = isFrameView() ? listFrames(parts) : listRows(parts);
  const total = isFrameView() ? doc.frames.t.length : rows.count();
  const filtered = parts.length || state.show !== "all" || !wholeTime();
  byId("matches").textContent = filtered
    ? `${matches.toLocaleString("en")} of ${total.toLocaleString("en")}`
    : "";
  byId("none").hidden = state.entries.length > 0;
  byId("spacer").style.height = `${state.entries.length * ROW}px`;
  byId("rows").setAttribute("aria-rowcount", state.entries.length);
  byId("unzoom").hidden = wholeTime();
  places = null;
  if (kept !== null && placeOf(kept) < 0) select(null);
  drawRows();
  drawOverview();
}

function listFrames(parts) {
  const wanted = shownFrames[state.show];
  state.entries = [];
  for (let frame = 0; frame < doc.frames.t.length; frame++) {
    if (!inTime(doc.frames.t[frame], doc.frames.t[frame]) || !wanted(frame)) continue;
    if (parts.every((part) => frameMatches(frame, part) !== part.not)) state.entries.push(frame);
  }
  return state.entries.length;
}

function listRows(parts) {
  const wanted = shownKinds[state.show];
  const narrowed = parts.length > 0 || state.show !== "all";
  state.entries = [];
  let matches = 0;
  doc.groups.forEach((group, number) => {
    const found = [];
    for (let row = group.first; row < group.first + group.count; row++) {
      if (!inTime(doc.rows.t[row], doc.rows.end[row]) || !wanted(row)) continue;
      if (parts.every((part) => rowMatches(row, part) !== part.not)) found.push(row);
    }
    matches += found.length;
    if (!found.length && (narrowed || !inTime(group.start, group.end))) return;
    state.entries.push(-1 - number);
    if (isOpen(number)) for (const row of found) state.entries.push(row);
  });
  return matches;
}

/** Return whether the rows of a group are shown. With a filter they all are: the matches are what is looked for. */
const isOpen = (number) => lastParts.length > 0 || !state.closed.has(number);

let places = null; // place of each entry in the list

function placeOf(entry) {
  if (!places) places = new Map(state.entries.map((one, place) => [one, place]));
  return places.get(entry) ?? -1;
}

// the list

let drawing = false;

function drawRows() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const box = byId("rows");
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 4);
    const last = Math.min(state.entries.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 4);
    const made = [];
    for (let place = first; place < last; place++) made.push(rowElement(state.entries[place], place));
    byId("spacer").replaceChildren(...made);
    if (state.selected !== null && placeOf(state.selected) >= first && placeOf(state.selected) < last) {
      box.setAttribute("aria-activedescendant", `entry-${placeOf(state.selected)}`);
    } else box.removeAttribute("aria-activedescendant");
    drawAxis();
  });
}

function rowElement(entry, place) {
  const made = isGroup(entry)
    ? groupElement(entry)
    : isFrameView()
      ? frameElement(entry)
      : stepElement(entry);
  made.id = `entry-${place}`;
  made.role = "row";
  made.setAttribute("aria-rowindex", place + 1);
  made.setAttribute("aria-selected", entry === state.selected);
  made.style.top = `${place * ROW}px`;
  made.dataset.place = place;
  for (const cell of made.children) cell.role = "gridcell";
  return made;
}

const cell = (name, ...children) => el("span", `cell ${name}`, ...children);

function severityMark(findings) {
  if (!findings?.length) return null;
  const severity = worst(findings);
  const mark = el("span", `mark ${severity}`, SIGNS[severity]);
  if (findings[0][2]) {
    mark.title = plain(findings.map((one) => `${one[0]}: ${one[2]}`).join("\n"));
    mark.setAttribute("aria-label", counted(findings.length, "finding"));
  } else mark.setAttribute("aria-hidden", "true");
  return mark;
}

function groupElement(entry) {
  const number = -1 - entry;
  const group = doc.groups[number];
  const open = isOpen(number);
  const made = el(
    "div",
    `row group ${group.kind} ${BAD.has(group.outcome) ? "bad" : ""}`,
    cell("offset", group.start.toFixed(3)),
    cell(
      "what",
      el("span", "twist", open ? "▾" : "▸"),
      el("span", "title", group.title),
      el("span", "text", group.text),
      severityMark(state.findingOf.get(entry)),
    ),
    cell(
      "outcome",
      group.outcome
        ? `${MARKS[group.outcome] ?? ""} ${group.error || group.outcome}`
        : counted(group.count, "row"),
    ),
    cell("took", seconds(group.end - group.start)),
    cell("lane", bars(group)),
  );
  made.setAttribute("aria-level", 1);
  made.setAttribute("aria-expanded", open);
  return made;
}

function stepElement(row) {
  const kind = rows.kind(row);
  const columns = doc.rows;
  const [arrow, spoken] = ARROWS[rows.direction(row)];
  const sign = el(
    "span",
    `arrow ${rows.direction(row)}`,
    kind === "silence" ? "┆" : rows.failed(row) ? "✗" : arrow,
  );
  sign.setAttribute(
    "aria-label",
    kind === "silence" ? "silence" : rows.failed(row) ? `${spoken}, failed` : spoken,
  );
  const findings = [...new Set(rows.frames(row).flatMap((one) => state.findingOf.get(one) ?? []))];
  const status = columns.status[row];
  const made = el(
    "div",
    `row step ${kind} ${rows.failed(row) ? "bad" : ""}`,
    cell("offset", columns.t[row].toFixed(3)),
    cell(
      "what",
      sign,
      el("span", "name", rows.name(row)),
      rows.edited(row) && el("span", "tag", "edit"),
      rows.retried(row) && el("span", "tag", "sent again"),
      el("span", "text", columns.text[row]),
      severityMark(findings),
    ),
    cell("status", status === null ? "" : String(status)),
    cell("size", columns.size[row] === null ? "" : bytes(columns.size[row])),
    cell(
      "took",
      kind === "silence" || (columns.took[row] ?? 0) < (kind === "request" ? 0 : 0.0005)
        ? ""
        : seconds(columns.took[row] ?? 0),
    ),
    cell("lane", lane(row)),
  );
  made.setAttribute("aria-level", 2);
  return made;
}

function frameElement(frame) {
  const columns = doc.frames;
  const [arrow, spoken] = ARROWS[frameOf.direction(frame)];
  const sign = el("span", `arrow ${frameOf.direction(frame)}`, arrow);
  sign.setAttribute("aria-label", spoken);
  const bad = frameOf.kind(frame) === "error" || (columns.status[frame] ?? 0) >= 400;
  const made = el(
    "div",
    `row step frame ${bad ? "bad" : ""}`,
    cell("offset", columns.t[frame].toFixed(3)),
    cell(
      "what",
      sign,
      el("span", "number", String(frame)),
      el("span", "name", frameOf.kind(frame)),
      el(
        "span",
        "channel",
        `${columns.session[frame] ? `${columns.session[frame]}:` : ""}${frameOf.channel(frame)}`,
      ),
      el("span", "text", columns.text[frame]),
      severityMark(state.findingOf.get(frame)),
    ),
    cell("status", columns.status[frame] === null ? "" : String(columns.status[frame])),
    cell("size", columns.size[frame] === null ? "" : bytes(columns.size[frame])),
    cell("took", ""),
    cell("lane", mark(`bar tick ${frameOf.direction(frame)}`, columns.t[frame], columns.t[frame])),
  );
  made.setAttribute("aria-level", 1);
  return made;
}

// selection

/** Scroll the list until an entry is in sight. */
function scrollToEntry(entry) {
  const place = entry === null ? -1 : placeOf(entry);
  if (place < 0) return;
  const box = byId("rows");
  const top = place * ROW;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
}

function select(entry, focus = false) {
  state.selected = entry;
  scrollToEntry(entry);
  if (focus) byId("rows").focus({ preventScroll: true });
  drawRows();
  showDetail();
}

function move(step) {
  if (!state.entries.length) return;
  const at = state.selected === null ? (step > 0 ? -1 : state.entries.length) : placeOf(state.selected);
  select(state.entries[Math.min(state.entries.length - 1, Math.max(0, at + step))]);
}

function toggle(number, open) {
  if (open) state.closed.delete(number);
  else state.closed.add(number);
  rebuild();
}

/** Show a frame wherever it is: its row if it has one, else the frame itself. */
function goToFrame(frame) {
  clearFilter();
  if (!isFrameView()) {
    for (let row = 0; row < rows.count(); row++) {
      if (!rows.frames(row).includes(frame)) continue;
      state.closed.delete(doc.rows.group[row]);
      rebuild();
      select(row, true);
      return;
    }
    setView("frames");
  }
  select(frame, true);
}

function goToGroup(number) {
  clearFilter();
  setView("calls");
  select(-1 - number, true);
}

function nextProblem() {
  const bad = (entry) =>
    isGroup(entry)
      ? BAD.has(groupOf(entry).outcome)
      : isFrameView()
        ? shownFrames.problems(entry)
        : isProblem(entry);
  const from = state.selected === null ? -1 : placeOf(state.selected);
  for (let step = 1; step <= state.entries.length; step++) {
    const entry = state.entries[(from + step) % state.entries.length];
    if (bad(entry)) return select(entry);
  }
}

function clearFilter() {
  byId("filter").value = "";
  byId("bodies").checked = false;
  setPressed("show", (state.show = "all"));
  filterRun++;
  state.from = doc.trace.start;
  state.to = doc.trace.end;
  rebuild([]);
}

function setView(view) {
  if (view === state.view) return;
  state.view = view;
  setPressed("view", view);
  byId("expand").hidden = byId("collapse").hidden = isFrameView();
  state.selected = null;
  byId("rows").scrollTop = 0;
  rebuild();
  showDetail();
}

function setPressed(name, value) {
  for (const one of document.querySelectorAll(`[data-${name}]`))
    one.setAttribute("aria-pressed", one.dataset[name] === value);
}
