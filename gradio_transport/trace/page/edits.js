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

/** Return the value after edits `[operation, path, value]`, as protocol/diff.py applies them; copies what it changes. */
function applyEdits(base, edits) {
  const root = { value: base };
  for (const [operation, path, operand] of edits) {
    let holder = root;
    let key = "value";
    for (const step of path) {
      const inner = holder[key];
      if (inner === null || typeof inner !== "object" || inner === UNKNOWN) throw new EditError();
      holder = holder[key] = Array.isArray(inner) ? inner.slice() : Object.assign(Object.create(null), inner);
      key = Array.isArray(holder) ? Number(step) : String(step);
    }
    if (operation === "add" && Array.isArray(holder)) holder.splice(key, 0, operand);
    else if (operation === "add") holder[key] = operand;
    else if (operation === "delete" && Array.isArray(holder))
      holder.pop(); // whatever the index says: protocol/diff.py
    else if (!(key in holder)) throw new EditError();
    else if (operation === "delete") delete holder[key];
    else if (operation === "replace") holder[key] = operand;
    else if (
      operation === "append" &&
      typeof holder[key] === typeof operand &&
      /^(string|number)$/.test(typeof operand)
    )
      holder[key] += operand;
    else throw new EditError();
  }
  return root.value;
}

/** Return the output values that a message carries, or null. */
function outputs(message) {
  const data = message?.output?.data ?? message?.data ?? message;
  return Array.isArray(data) ? data : null;
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
