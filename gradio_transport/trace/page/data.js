// What the page holds: the index, and the frames and texts in blocks.

let doc; // the index: what the lists and the overview need
let frames; // Store of frames
let bodies; // Store of large texts
const state = {
  view: "calls",
  show: "all",
  closed: new Set(), // groups
  from: 0,
  to: 1,
  selected: null, // an entry of `entries`
  entries: [], // of the list: a group as -1 - its number, a row or frame as its number
  found: null, // frames whose content has the words, or null
  findingOf: new Map(), // frame and group to findings
};

/** Return a text that a frame has as itself or as a reference to a body. */
async function textOf(value) {
  if (value === null || value === undefined) return null;
  return typeof value === "number" ? bodies.get(value) : value;
}

// rows, read from columns

const rows = {
  count: () => doc.rows.t.length,
  kind: (row) => KINDS[doc.rows.kind[row]],
  name: (row) => doc.strings[doc.rows.name[row]],
  channel: (row) => doc.strings[doc.rows.channel[row]],
  failed: (row) => (doc.rows.flags[row] & FLAG.failed) !== 0,
  edited: (row) => (doc.rows.flags[row] & FLAG.edited) !== 0,
  retried: (row) => (doc.rows.flags[row] & FLAG.retried) !== 0,
  frames: (row) =>
    [doc.rows.frame[row], doc.rows.reply[row], doc.rows.last[row]].filter((one) => one !== null),
  direction: (row) => DIRECTIONS[doc.rows.direction[row]],
};

const frameOf = {
  kind: (frame) => doc.strings[doc.frames.kind[frame]],
  channel: (frame) => doc.strings[doc.frames.channel[frame]],
  direction: (frame) => DIRECTIONS[doc.frames.direction[frame]],
};

const isGroup = (entry) => entry < 0;
const groupOf = (entry) => doc.groups[-1 - entry];
const isFrameView = () => state.view === "frames";

function isProblem(row) {
  return (
    rows.failed(row) ||
    rows.kind(row) === "silence" ||
    rows.frames(row).some((one) => worst(state.findingOf.get(one)) !== "note")
  );
}

/** Return the worst severity of findings; "note" for none. */
function worst(findings) {
  const found = new Set((findings ?? []).map((one) => one[0]));
  return SEVERITIES.find((severity) => found.has(severity)) ?? "note";
}
