// The details: of a cell, or of the runs.

const NOTHING = "No task was sent to the driver.";

/** Show what is behind a cell. */
async function select(place) {
  byId("matrix").querySelector('[aria-selected="true"]')?.removeAttribute("aria-selected");
  state.selected = place;
  const [row, at] = place;
  const column = state.columns[at];
  cellElement(place)?.setAttribute("aria-selected", "true");
  const places = isComparison() ? [["New run", column.at], ["Old run", column.was]] : [["", column.at]];
  const parts = [];
  for (const [title, one] of places)
    if (gradeAt(row, one) !== ".") parts.push(title && el("h3", "run", title), ...(await cellParts(row, one)));
  if (state.selected !== place) return; // another one was selected meanwhile
  const subject = isComparison() ? "" : `${doc.runs[column.run].label}, `;
  const title = `${subject}${column.version}: ${matrix().rows[row][0]}`;
  byId("detail").replaceChildren(detailHead(title, matrix().rows[row][2]), ...parts.filter(Boolean));
  if (!parts.length) byId("detail").append(el("p", "aside", "It was not played."));
  byId("detail").scrollTop = 0;
}

function detailHead(title, text, isCell = true) {
  const close = isCell && button("Close", closeDetail, "close");
  return el("div", "detail-head", el("div", "", el("h2", "", title), text && el("p", "", text)), close);
}

function badge(grade) {
  return el("span", `badge grade-${grade}`, `${SIGNS_OF[grade]} ${word(grade)}`);
}

async function cellParts(row, at) {
  const cell = await cells.get(cellNumber(row, at));
  const cause = causeAt(row, at);
  const reason = cell.reason ?? "";
  return [
    el("div", "verdict", badge(gradeAt(row, at)), cause && el("p", "cause", cause), reason && reason !== cause && el("p", "", reason)),
    part("Expected", list(cell.expected), cell.source && el("p", "source", `Source: ${cell.source}`)),
    part("Answer", cell.answer ? pre(cell.answer) : el("p", "quiet", cell.task ? "There was no answer." : NOTHING)),
    cell.off_tape && part("Off tape: requests that the recording does not answer", list(cell.off_tape)),
    cell.findings && part("Findings of the server, not graded", list(cell.findings)),
    cell.wire && part("Wire log", ...wireParts(cell.wire)),
    cell.task && folded("Task", pre(cell.task)),
    cell.output && folded("Output of the driver", pre(cell.output)),
    cell.seconds && el("p", "aside", `It took ${seconds(cell.seconds)}.`),
  ].filter(Boolean);
}

function part(title, ...content) {
  const made = folded(title, ...content);
  made.open = true;
  return made;
}

function folded(title, ...content) {
  return el("details", "part", el("summary", "", el("h3", "", title)), ...content);
}

const pre = (text) => {
  const made = el("pre", "plain boxed", text);
  made.tabIndex = 0; // it may scroll
  return made;
};

function list(texts) {
  return el("ul", "texts", ...(texts ?? []).map((one) => el("li", "", one)));
}

// The wire log.

function wireParts(wire) {
  if (wire.problem) return [el("p", "error", `It cannot be read: ${wire.problem}`)];
  const table = el("table", "wire");
  const heads = ["Offset", "What", "Status", "Size", `0 to ${seconds(wire.seconds)}`];
  table.append(el("thead", "", el("tr", "", ...heads.map((one) => el("th", "", one)))));
  const body = el("tbody");
  for (const [number, row] of wire.rows.entries()) {
    if (wire.left_out && number === 80) {
      const gap = el("td", "quiet", `${counted(wire.left_out, "row")} left out`);
      gap.colSpan = 5;
      body.append(el("tr", "", gap));
    }
    body.append(...wireRow(row, wire.seconds));
  }
  table.append(body);
  return [table];
}

const DIRECTION = { request: "→", sent: "→", event: "←", end: "←", local: "•" };

function wireRow([owner, start, end, kind, name, text, status, size, sent, answered, failed], total) {
  const content = [sent && el("pre", "plain", sent), answered && el("pre", "plain", `${ARROWS.in[0]} ${answered}`)];
  const what = el(
    "td",
    "",
    el("span", `arrow ${kind}`, DIRECTION[kind] ?? "•"),
    " ",
    el("b", "", name),
    " ",
    el("span", "path", text),
    " ",
    el("span", "quiet", owner),
  );
  if (sent || answered) {
    const twist = button("▸", () => toggle(), "twist");
    twist.setAttribute("aria-expanded", "false");
    twist.setAttribute("aria-label", `Content of ${plain(name)}`);
    what.prepend(twist, " ");
    const more = el("td", "", ...content);
    more.colSpan = 5;
    const under = el("tr", "content", more);
    under.hidden = true;
    const toggle = () => {
      under.hidden = !under.hidden;
      twist.textContent = under.hidden ? "▸" : "▾";
      twist.setAttribute("aria-expanded", String(!under.hidden));
    };
    return [line(what), under];
  }
  return [line(what)];

  function line(cell) {
    return el(
      "tr",
      failed ? "bad" : "",
      el("td", "number", seconds(start)),
      cell,
      el("td", "number", status ?? ""),
      el("td", "number", size ? bytes(size) : ""),
      el("td", "lane", lane(start, end, total, kind)),
    );
  }
}

/** Return where a row is in the time of the whole conversation. */
function lane(start, end, total, kind) {
  const bar = el("i", `time ${kind}`);
  const part = (time) => (total > 0 ? Math.min(100, Math.max(0, (time / total) * 100)) : 0);
  bar.style.left = `${part(start)}%`;
  bar.style.width = `${Math.max(0, part(end) - part(start))}%`;
  return bar;
}

// The runs.

function showRuns() {
  state.selected = null;
  byId("matrix").querySelector('[aria-selected="true"]')?.removeAttribute("aria-selected");
  const title = doc.runs.length > 1 ? counted(doc.runs.length, "run") : "The run";
  const head = detailHead(title, "Select a cell to see its details.", false);
  byId("detail").replaceChildren(head, ...doc.runs.map(drawRun));
  byId("detail").scrollTop = 0;
}

function drawRun(run, number) {
  const made = part(run.label);
  const facts = [
    run.language,
    run.way,
    run.serve && `recordings served as ${run.serve}`,
    run.kit && `gradio-transport ${run.kit}`,
    run.started && run.started.slice(0, 16).replace("T", " ") + " UTC",
    run.seconds && seconds(run.seconds),
  ];
  made.append(el("p", "quiet", facts.filter(Boolean).join(" · ")));
  if (!run.complete) made.append(el("p", "error", "The run was interrupted: not all cells were played."));
  for (const problem of run.problems) made.append(el("p", "error", problem));
  const [grades, causes] = countRun(number);
  const counts = Object.keys(doc.words).filter((grade) => grades.get(grade));
  made.append(el("p", "counts", ...counts.flatMap((grade) => [badge(grade), ` ${grades.get(grade)} `])));
  const sorted = [...causes.values()].sort((a, b) => (b.grade === "F") - (a.grade === "F") || b.count - a.count).slice(0, 40);
  if (sorted.length) made.append(el("table", "causes", ...sorted.map(drawCause)));
  return made;
}

/** Return how many cells of a run have each grade, and each cause of one that is not right. */
function countRun(number) {
  const grades = new Map();
  const causes = new Map();
  for (const one of doc.matrices)
    for (const [at, [run]] of one.columns.entries()) {
      if (run !== number) continue;
      for (const [row, line] of one.grades.entries()) {
        const grade = line[at];
        if (grade === ".") continue;
        grades.set(grade, (grades.get(grade) ?? 0) + 1);
        const text = doc.strings[one.causes[row][at]];
        if (!text || grade === "P" || grade === "U") continue;
        const known = causes.get(`${grade}${text}`) ?? { grade, text, count: 0 };
        known.count++;
        causes.set(`${grade}${text}`, known);
      }
    }
  return [grades, causes];
}

function drawCause({ grade, text, count }) {
  const find = button(text, () => filterBy(text), "link");
  return el("tr", "", el("td", "number", count), el("td", `sign grade-${grade}`, SIGNS_OF[grade]), el("td", "", find));
}

function closeDetail() {
  showRuns();
  cellElement(state.focus)?.focus();
}
