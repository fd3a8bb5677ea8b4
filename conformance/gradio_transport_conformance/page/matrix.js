// The matrix: a grid of cells with a sign each. One cell can be reached by Tab; arrow keys move from there.

/** Draw the table anew: the columns changed. */
function drawMatrix() {
  state.columns = chosenColumns();
  const table = byId("matrix");
  table.setAttribute("aria-label", matrix().kind === "case" ? "Cases by version" : "Faults by protocol");
  const body = el("tbody");
  let group = null;
  for (const [row, [name, own, about]] of matrix().rows.entries()) {
    if (own !== group) {
      group = own;
      const head = el("th", "", group);
      head.colSpan = state.columns.length + 1;
      const line = el("tr", "group", head);
      line.dataset.group = group;
      body.append(line);
    }
    body.append(drawRow(row, name, about));
  }
  table.classList.toggle("comparison", isComparison());
  table.replaceChildren(drawHeads(), body);
  state.focus = [0, 0];
  drawGrades();
  filterCells();
}

function drawHeads() {
  const corner = el("th", "corner", matrix().kind === "case" ? "Case" : "Fault");
  corner.scope = "col";
  if (isComparison()) return el("thead", "", el("tr", "names", corner, ...state.columns.map((one) => head(one.version))));
  const byClient = state.order === "client";
  const outer = (column) => (byClient ? doc.runs[column.run].label : column.version);
  const inner = (column) => (byClient ? column.version : doc.runs[column.run].label);
  corner.rowSpan = 2;
  const groups = el("tr", "subjects", corner);
  let last = null;
  for (const column of state.columns) {
    const name = outer(column);
    if (last?.title !== plain(name)) {
      last = el("th", "first", el("span", "", cut(name, 60)));
      last.title = plain(name);
      last.scope = "colgroup";
      groups.append(last);
      column.first = true;
    } else last.colSpan++;
  }
  for (const one of groups.cells) one.classList.toggle("upright", one.colSpan * 26 < 8 * one.title.length);
  const names = el("tr", "names", ...state.columns.map((column) => head(inner(column), column.first)));
  return el("thead", "", groups, names);
}

function head(name, isFirst) {
  const made = el("th", isFirst ? "first" : "", el("span", "", cut(name, 30)));
  made.scope = "col";
  made.title = plain(name);
  return made;
}

function drawRow(row, name, about) {
  const title = el("th", "", el("span", "", name.slice(name.indexOf(" | ") < 0 ? 0 : name.indexOf(" | ") + 3)));
  title.scope = "row";
  title.title = plain(about || name);
  const made = el("tr", "", title);
  made.dataset.row = row;
  for (const [place, column] of state.columns.entries()) made.append(drawCell(row, column, place));
  return made;
}

function drawCell(row, column, place) {
  const found = stateOf(row, column);
  const made = document.createElement("td");
  made.tabIndex = -1;
  made.dataset.place = place;
  if (column.first) made.classList.add("first");
  if (found === null) {
    made.classList.add("empty");
    made.setAttribute("aria-label", "not played");
    return made;
  }
  const [was, now] = [gradeAt(row, column.was ?? null), gradeAt(row, column.at)];
  made.classList.add(isComparison() ? found : `grade-${now}`);
  if (!isComparison()) made.textContent = SIGNS_OF[now];
  else if (found === "same") made.textContent = SIGNS_OF[now];
  else made.textContent = `${SIGNS_OF[was] ?? " "}${CHANGES[found][1]}${SIGNS_OF[now] ?? " "}`;
  made.setAttribute("aria-label", describe(row, column));
  return made;
}

/** Return what a cell says, as text. */
function describe(row, column) {
  const grade = word(gradeAt(row, column.at));
  const cause = plain(causeAt(row, column.at));
  if (!isComparison()) return cause ? `${grade}: ${cause}` : grade;
  return `${CHANGES[changeOf(row, column)][0]}: was ${word(gradeAt(row, column.was))}, is ${grade}${cause && `: ${cause}`}`;
}

/** Show the rows that fit the filters, and dim the cells that do not. */
function filterCells() {
  let [shown, count] = [0, 0];
  const groups = new Set();
  for (const line of byId("matrix").tBodies[0].rows) {
    if (line.dataset.row === undefined) continue;
    const row = Number(line.dataset.row);
    let any = false;
    for (const [place, column] of state.columns.entries()) {
      const found = stateOf(row, column);
      const isShown = found !== null && !state.hidden.has(found) && fits(row, column);
      line.cells[place + 1].classList.toggle("dim", !isShown);
      any ||= isShown;
      count += Number(isShown);
    }
    line.hidden = !any;
    shown += Number(any);
    if (any) groups.add(matrix().rows[row][1]);
  }
  for (const line of byId("matrix").querySelectorAll("tr.group")) line.hidden = !groups.has(line.dataset.group);
  byId("matches").textContent = `${counted(count, "cell")} in ${counted(shown, "row")}`;
  byId("none").hidden = shown > 0;
  const isEqual = isComparison() && state.columns.every((one) => matrix().rows.every((_, row) => changeOf(row, one) === "same"));
  byId("none").firstChild.textContent = isEqual ? "Nothing changed. " : "Nothing matches. ";
  byId("scroller").hidden = shown === 0;
  const [row] = state.focus;
  if (rowLine(row)?.hidden ?? true) state.focus = [shownRows()[0] ?? 0, state.focus[1]];
  placeTab();
}

const rowLine = (row) => byId("matrix").querySelector(`tr[data-row="${row}"]`);
const shownRows = () =>
  [...byId("matrix").querySelectorAll("tr[data-row]:not([hidden])")].map((line) => Number(line.dataset.row));
const cellElement = ([row, place]) => rowLine(row)?.cells[place + 1];

/** Let Tab reach the one cell that has the place. */
function placeTab() {
  for (const one of byId("matrix").querySelectorAll('td[tabindex="0"]')) one.tabIndex = -1;
  const cell = cellElement(state.focus);
  if (cell) cell.tabIndex = 0;
}

function focusCell(place) {
  state.focus = place;
  placeTab();
  const cell = cellElement(place);
  cell?.focus({ preventScroll: true });
  cell?.scrollIntoView({ block: "nearest", inline: "nearest" });
  select(place);
}

/** Move the place by so many shown rows and columns. */
function move(down, right) {
  const rows = shownRows();
  const at = rows.indexOf(state.focus[0]);
  const row = rows[Math.min(rows.length - 1, Math.max(0, at + down))];
  const place = Math.min(state.columns.length - 1, Math.max(0, state.focus[1] + right));
  if (row !== undefined && place >= 0) focusCell([row, place]);
}

/** Go to the next cell, after the place, that is wrong or became worse. */
function nextProblem() {
  const found = [];
  for (const row of shownRows())
    for (const [place, column] of state.columns.entries())
      if (["F", "worse", "lost"].includes(stateOf(row, column)) && !cellElement([row, place]).classList.contains("dim"))
        found.push([row, place]);
  const [row, place] = state.focus;
  const isHere = document.activeElement === cellElement(state.focus);
  const next = found.find((one) => one[0] > row || (one[0] === row && one[1] >= place + Number(isHere)));
  if (next ?? found[0]) focusCell(next ?? found[0]);
}
