// The output values before and after an edit.

/** Parse JSON, also that of Gradio 3.x with NaN. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(
      [...tokens(text)].map(([, one]) => (/^(NaN|-?Infinity)$/.test(one) ? "null" : one)).join(""),
    );
  }
}

class EditError extends Error {}

/** The value of an output to which an edit did not apply. */
const UNKNOWN = { toJSON: () => "(unknown: an edit does not fit the value before)" };

const OPERATIONS = new Set(["replace", "append", "add", "delete"]);

/** Return the number that a step names, or fail. */
function integer(step) {
  const index = typeof step === "string" && /^-?\d{1,9}$/.test(step) ? Number(step) : step;
  if (!Number.isInteger(index)) throw new EditError();
  return index;
}

/** Return a list index below `size`, or fail. */
function listIndex(step, size) {
  const index = integer(step);
  if (index < 0 || index >= size) throw new EditError();
  return index;
}

/** Return the index or key of an element that a container has, or fail. */
function existing(holder, step) {
  if (Array.isArray(holder)) return listIndex(step, holder.length);
  if (typeof step !== "string" || !Object.hasOwn(holder, step)) throw new EditError();
  return step;
}

/** Return a copy of a container. Objects have no prototype, so that `__proto__` is a key like others. */
function copied(value) {
  if (value === null || typeof value !== "object" || value === UNKNOWN) throw new EditError();
  return Array.isArray(value) ? value.slice() : Object.assign(Object.create(null), value);
}

function changed(value, operation, operand) {
  if (operation === "replace") return operand;
  const fits = typeof value === typeof operand && ["string", "number"].includes(typeof value);
  if (operation !== "append" || !fits) throw new EditError();
  return value + operand;
}

/** Return the value after edits `[operation, path, operand]`, as protocol/diff.py applies them; copies what it changes. */
function applyEdits(base, edits) {
  let root = base;
  if (!Array.isArray(edits)) throw new EditError();
  for (const edit of edits) {
    const [operation, path, operand] = Array.isArray(edit) && edit.length === 3 ? edit : [];
    if (!OPERATIONS.has(operation) || !Array.isArray(path)) throw new EditError();
    if (!path.length) {
      root = changed(root, operation, operand);
      continue;
    }
    let holder = (root = copied(root));
    for (const step of path.slice(0, -1)) {
      const key = existing(holder, step);
      holder = holder[key] = copied(holder[key]);
    }
    applyTo(holder, operation, path.at(-1), operand);
  }
  return root;
}

function applyTo(holder, operation, step, operand) {
  if (operation === "add" && Array.isArray(holder)) {
    holder.splice(listIndex(step, holder.length + 1), 0, operand);
  } else if (operation === "add") {
    if (typeof step !== "string") throw new EditError();
    holder[step] = operand;
  } else if (operation === "delete" && Array.isArray(holder)) {
    // Servers send wrong indices, and only ever delete at the end: protocol/diff.py.
    integer(step);
    if (!holder.length) throw new EditError();
    holder.pop();
  } else {
    const key = existing(holder, step);
    if (operation === "delete") delete holder[key];
    else holder[key] = changed(holder[key], operation, operand);
  }
}

/** Return the output values that a message carries, or null. */
function outputs(message) {
  return [message?.output?.data, message?.data?.data, message?.data, message].find(Array.isArray) ?? null;
}

/** Return the values before and after an edited row: those of the last whole message, with all edits since. */
async function beforeAndAfter(row) {
  const { first } = doc.groups[doc.rows.group[row]];
  const chain = [];
  for (let at = row; at >= first; at--) {
    if (!doc.rows.values[at]) continue;
    chain.push(at);
    if (!rows.edited(at)) break;
  }
  let values = null;
  let before = [];
  for (const at of chain.reverse()) {
    const data = outputs(parse(await messageText(at)));
    if (!data) continue;
    before = values ?? [];
    if (!rows.edited(at)) {
      values = data;
      continue;
    }
    // The first message of a call is whole, or edits of a value that this trace does not have.
    const base = values ?? data.map(() => UNKNOWN);
    const edited = data.map((edits, place) => {
      try {
        return applyEdits(place < base.length ? base[place] : null, edits);
      } catch {
        return UNKNOWN;
      }
    });
    values = edited.concat(base.slice(edited.length));
  }
  return [before, values ?? []];
}

/** Return the lines of two texts that differ, with some of those around: [type, text], type " ", "-", "+" or "…". */
function changedLines(before, after) {
  const [old, now] = [before.split("\n"), after.split("\n")];
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head++;
  let tail = 0;
  while (tail < old.length - head && tail < now.length - head && old.at(-1 - tail) === now.at(-1 - tail))
    tail++;
  const around = (list, from, to) => list.slice(Math.max(0, from), Math.max(0, to)).map((one) => [" ", one]);
  const made = [];
  if (head > CONTEXT) made.push(["…", `${head - CONTEXT} unchanged lines`]);
  made.push(...around(now, head - CONTEXT, head));
  const [gone, come] = [old.slice(head, old.length - tail), now.slice(head, now.length - tail)];
  made.push(...gone.map((one) => ["-", one]), ...come.map((one) => ["+", one]));
  made.push(...around(now, now.length - tail, now.length - tail + CONTEXT));
  if (tail > CONTEXT) made.push(["…", `${tail - CONTEXT} unchanged lines`]);
  return [made, gone.length === 1 && come.length === 1 ? [gone[0], come[0]] : null];
}

/** Return a line of which the part that differs from another is marked. */
function markedLine(line, other, tag) {
  let head = 0;
  while (head < line.length && line[head] === other[head]) head++;
  let tail = 0;
  while (
    tail < line.length - head &&
    tail < other.length - head &&
    line.at(-1 - tail) === other.at(-1 - tail)
  )
    tail++;
  const start = line.slice(0, head);
  const end = line.slice(line.length - tail);
  const far = (text, last) =>
    text.length > 300 ? (last ? `…${text.slice(-280)}` : `${text.slice(0, 280)}…`) : text;
  const middle = line.slice(head, line.length - tail);
  return [...show(far(start, true)), middle && el(tag, "", cut(middle, LONGEST)), ...show(far(end, false))];
}

function editElement(before, after) {
  const pretty = (value) => (value === null ? "" : JSON.stringify(value, null, 2));
  const [lines, pair] = changedLines(pretty(before), pretty(after));
  const side = (title, sign, other) => {
    const box = el("div", "side", el("h4", "", title));
    const list = el("div", "lines");
    const wanted = lines.filter(([type]) => type !== other);
    for (const [type, text] of wanted.slice(0, LINES)) {
      const content =
        type === sign && pair
          ? markedLine(text, sign === "-" ? pair[1] : pair[0], sign === "-" ? "del" : "ins")
          : [longText(text, "")];
      list.append(
        el(
          "div",
          `line ${{ "-": "gone", "+": "come", "…": "skipped" }[type] ?? ""}`,
          el("span", "sign", type === "…" ? "" : type),
          el("span", "text", ...content),
        ),
      );
    }
    if (wanted.length > LINES) list.append(el("div", "line skipped", `${wanted.length - LINES} more lines`));
    box.append(list);
    return box;
  };
  return el("div", "sides", side("Before", "-", "+"), side("After", "+", "-"));
}

function editsElement(message) {
  const table = el("table", "edits");
  const list = (outputs(message) ?? []).flatMap((edits, place) =>
    Array.isArray(edits) ? edits.map((edit) => [place, edit]) : [],
  );
  for (const [place, edit] of list.slice(0, 200)) {
    const [operation, path, operand] = Array.isArray(edit) ? edit : [String(edit)];
    const at = `output ${place}${(Array.isArray(path) ? path : []).map((step) => `[${JSON.stringify(step)}]`).join("")}`;
    table.append(
      el(
        "tr",
        "",
        el("td", "", operation),
        el("td", "path", at),
        el("td", "value", cut(JSON.stringify(operand) ?? "", 400)),
      ),
    );
  }
  if (list.length > 200)
    table.append(el("tr", "", el("td", "", ""), el("td", "", `${list.length - 200} more edits`)));
  return table;
}
