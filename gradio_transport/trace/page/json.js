// JSON, read as text: nothing of it is lost or changed, and NaN is shown as it is.

const SCALAR = /[^\s{}[\],:"]+/y;

/** Return where a string ends, which begins at `start`. */
function stringEnd(text, start) {
  let at = start + 1;
  for (;;) {
    at = text.indexOf('"', at);
    if (at < 0) return text.length;
    let slashes = 0;
    while (text[at - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return at + 1;
    at++;
  }
}

/** Yield the tokens of JSON: [type, text]. What is no JSON comes as scalars. */
function* tokens(text) {
  let at = 0;
  while (at < text.length) {
    const letter = text[at];
    if (letter === '"') {
      const end = stringEnd(text, at);
      yield ["string", text.slice(at, end)];
      at = end;
    } else if ("{}[],:".includes(letter)) {
      yield [letter, letter];
      at++;
    } else if (/\s/.test(letter)) at++;
    else {
      SCALAR.lastIndex = at;
      const found = SCALAR.exec(text)[0];
      yield ["scalar", found];
      at += found.length;
    }
  }
}

/** Yield the lines of indented JSON: {depth, parts: [[type, text], ...], open, close}. */
function* jsonLines(text) {
  let line = { depth: 0, parts: [] };
  let depth = 0;
  const ahead = []; // tokens that were read to see whether a container is short
  const source = tokens(text);
  const next = () => (ahead.length ? ahead.shift() : source.next().value);
  /** Return the tokens up to the end of a container without containers, if they are few, else null. */
  const short = (closer) => {
    const taken = [];
    for (let size = 0; size < 72 && taken.length < 40;) {
      const token = ahead[taken.length] ?? source.next().value;
      if (!token) return null;
      if (ahead.length === taken.length) ahead.push(token);
      taken.push(token);
      size += token[1].length + 1;
      if (token[0] === closer) return taken;
      if ("{}[]".includes(token[0])) return null;
    }
    return null;
  };
  for (let token = next(); token; token = next()) {
    const [type, value] = token;
    if (line.parts.length > MOST_PARTS) {
      yield line;
      line = { depth, parts: [] };
    }
    if (type === "{" || type === "[") {
      const closer = type === "{" ? "}" : "]";
      const whole = short(closer);
      if (whole) {
        ahead.splice(0, whole.length);
        line.parts.push(["mark", value]);
        for (const [kind, one] of whole)
          line.parts.push(
            [kind.length === 1 ? "mark" : kind, one],
            ...(kind === "," || kind === ":" ? [["space", " "]] : []),
          );
        markKeys(line.parts);
        continue;
      }
      line.parts.push(["mark", value]);
      line.open = true;
      yield line;
      line = { depth: ++depth, parts: [] };
    } else if (type === "}" || type === "]") {
      if (line.parts.length) yield line;
      depth = Math.max(0, depth - 1);
      line = { depth, parts: [["mark", value]], close: true };
    } else if (type === ",") {
      line.parts.push(["mark", ","]);
      yield line;
      line = { depth, parts: [] };
    } else if (type === ":") {
      markKeys(line.parts);
      line.parts.push(["mark", ":"], ["space", " "]);
    } else line.parts.push([type, value]);
  }
  if (line.parts.length) yield line;
}

function markKeys(parts) {
  for (let at = 0; at < parts.length; at++) {
    const last = at === parts.length - 1 || parts[at + 1][1] === ":";
    if (parts[at][0] === "string" && last && (at === parts.length - 1 || parts[at + 1][1] === ":"))
      parts[at][0] = "key";
  }
}

const looksLikeJSON = (text) =>
  /^\s*[[{]/.test(text) ||
  /^\s*("[^]*"|-?\d[\d.eE+-]*|true|false|null|NaN|-?Infinity)\s*$/.test(text.slice(0, 200000));

/** Return a JSON string as it is read: line ends and letters as such, the rest as it was written. */
function readable(text) {
  return text.replace(
    /\\(?:\\|"|n|u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?)/g,
    (whole, first, second) => {
      if (whole === "\\n") return "↵\n";
      if (!first) return whole;
      const one = String.fromCharCode(parseInt(first, 16));
      if (second) {
        const pair = one + String.fromCharCode(parseInt(second, 16));
        return pair.codePointAt(0) > 0xffff ? pair : whole;
      }
      return one < " " || one === '"' || one === "\\" ? whole : one;
    },
  );
}

/** Return an element for one token. Long ones are cut, with a button for the rest. */
function tokenElement([type, text]) {
  if (type === "space") return document.createTextNode(" ");
  if (type === "string") return longText(readable(text), "string");
  return longText(text, type === "scalar" ? (/^[-\d]/.test(text) ? "number" : "word") : type);
}

/** Return a text of which the beginning is shown, with a button for more. */
function longText(text, className) {
  const made = el("span", className, text.length > LONGEST * 1.2 ? text.slice(0, LONGEST) : text);
  if (text.length <= LONGEST * 1.2) return made;
  let shown = LONGEST;
  const more = button(
    "",
    () => {
      const next = text.slice(shown, shown + 100 * LONGEST);
      shown += next.length;
      more.before(...show(next));
      label();
    },
    "more",
  );
  const label = () => {
    if (shown >= text.length) more.remove();
    else more.textContent = `… ${(text.length - shown).toLocaleString("en")} more characters`;
  };
  label();
  made.append(more);
  return made;
}

/** Return JSON as foldable lines, `LINES` at a time. */
function jsonElement(text) {
  const box = el("div", "json");
  const lines = jsonLines(text);
  const stack = [box];
  const more = button("", add, "more");
  function add() {
    more.remove();
    let left = LINES;
    let line;
    while (left > 0 && (line = lines.next().value)) {
      addLine(line);
      left -= Math.max(1, line.parts.length / 5);
    }
    if (left > 0) return;
    more.textContent = "Show more lines";
    box.append(more);
  }
  function addLine(line) {
    if (line.close && stack.length > 1 && line.depth < DEEPEST) stack.pop();
    const made = el("div", "line", line.parts.map(tokenElement));
    made.style.setProperty("--depth", Math.min(line.depth, DEEPEST));
    stack.at(-1).append(made);
    if (!line.open || line.depth >= DEEPEST) return;
    const inner = el("div", "inner");
    const fold = button(
      "▾",
      () => {
        inner.hidden = !inner.hidden;
        fold.textContent = inner.hidden ? "▸" : "▾";
        fold.setAttribute("aria-expanded", !inner.hidden);
        made.classList.toggle("folded", inner.hidden);
      },
      "fold",
    );
    fold.setAttribute("aria-label", "Fold");
    fold.setAttribute("aria-expanded", "true");
    made.prepend(fold);
    stack.at(-1).append(inner);
    stack.push(inner);
  }
  add();
  return box;
}

/** Return a body: JSON if it is, else its text. */
function bodyElement(text) {
  if (looksLikeJSON(text)) return jsonElement(text);
  return el("pre", "plain", longText(text, ""));
}

function copyButton(text) {
  const made = button(
    "Copy",
    async (event) => {
      event.preventDefault();
      event.stopPropagation();
      try {
        await navigator.clipboard.writeText(text);
        made.textContent = "Copied";
      } catch {
        made.textContent = "Cannot copy here";
      }
      setTimeout(() => (made.textContent = "Copy"), 1500);
    },
    "copy",
  );
  return made;
}
