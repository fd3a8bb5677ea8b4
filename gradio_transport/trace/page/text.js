// The page of a trace. What it shows was written by servers that may be hostile: data reaches the document only as
// text nodes (`show`), never as markup, and the policy of the page forbids every other script and every request.
"use strict";

const DOCUMENT_VERSION = 1;
const ROW = 24; // height of a row in pixels; page.css has the same
const KEPT_BLOCKS = 12; // decoded blocks that are kept
const LINES = 2000; // lines of JSON that are shown at a time
const LONGEST = 3000; // characters of a string that are shown at first
const DEEPEST = 60; // levels of JSON that can be folded; deeper ones are shown flat
const MOST_PARTS = 200; // tokens of a line of JSON; what is no JSON may have no line ends
const MOST_ITEMS = 500; // headers, findings, phases that are shown
const CONTEXT = 3; // unchanged lines around a change

const KINDS = ["local", "request", "event", "sent", "end", "silence"];
const DIRECTIONS = ["out", "in", "local"];
const ARROWS = { out: ["→", "sent"], in: ["←", "received"], local: ["•", "here"] };
const PHASES = ["connect", "join", "queue", "run", "stream"];
const FLAG = { failed: 1, edited: 2, shared: 4, retried: 8 };
const MARKS = { completed: "✓", failed: "✗", cancelled: "⊘", abandoned: "✗", refused: "✗", unfinished: "…" };
const SEVERITIES = ["error", "diagnosis", "warning", "note"]; // the worst first
const SIGNS = { error: "E", diagnosis: "?", warning: "!", note: "i" };
const BAD = new Set(["failed", "abandoned", "refused"]);

// Elements and texts.

const byId = (id) => document.getElementById(id);

/** Return an element; children are nodes or texts, and texts become visible text nodes. */
function el(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    made.append(...(child instanceof Node ? [child] : show(String(child))));
  }
  return made;
}

function button(text, onClick, className = "") {
  const made = el("button", className, text);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

// Characters that reorder or hide text, control characters and halves of surrogate pairs; as STEERING in errors.py.
const STEERING =
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e007f}]/gu;

const escaped = (letter) => {
  const code = letter.codePointAt(0);
  const hex = code.toString(16);
  return code < 0x100
    ? `\\x${hex.padStart(2, "0")}`
    : code < 0x10000
      ? `\\u${hex.padStart(4, "0")}`
      : `\\U${hex.padStart(8, "0")}`;
};

/** Return a text as nodes, in which what would steer the display is written out and marked. */
function show(text) {
  const nodes = [];
  let last = 0;
  for (const found of text.matchAll(STEERING)) {
    if (found.index > last) nodes.push(document.createTextNode(text.slice(last, found.index)));
    const mark = document.createElement("span");
    mark.className = "steering";
    mark.textContent = escaped(found[0]);
    nodes.push(mark);
    last = found.index + found[0].length;
  }
  if (last < text.length || !nodes.length) nodes.push(document.createTextNode(text.slice(last)));
  return nodes;
}

/** Return a text for an attribute or a title. */
const plain = (text) => text.replace(STEERING, escaped);

const cut = (text, longest) => (text.length > longest ? `${text.slice(0, longest)}…` : text);

function seconds(value) {
  if (value < 0.0005) return value > 0 ? "<1 ms" : "0 ms";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value.toFixed(2)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
  return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
}

function bytes(value) {
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${(value / 1e3).toFixed(1)} kB`;
  return `${(value / 1e6).toFixed(1)} MB`;
}

const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
