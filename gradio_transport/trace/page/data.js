// What the page holds: the index, and blocks that are decoded when they are needed.

/** Return the text of a block of this page: base64 of zlib data. */
async function inflate(id) {
  const encoded = byId(id).textContent;
  const data = Uint8Array.fromBase64?.(encoded) ?? decodeBase64(encoded);
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}

/** Decode base64 in browsers without `Uint8Array.fromBase64`. */
function decodeBase64(encoded) {
  const text = atob(encoded);
  const data = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) data[at] = text.charCodeAt(at);
  return data;
}

/** Numbered records in blocks, decoded when they are needed. */
class Store {
  constructor(name, starts) {
    this.name = name;
    this.starts = starts; // number of the first record of each block
    this.kept = new Map();
  }

  find(number) {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= number) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  async block(place) {
    if (!this.kept.has(place)) {
      this.kept.set(place, inflate(`${this.name}-${place}`).then(JSON.parse));
      if (this.kept.size > KEPT_BLOCKS) this.kept.delete(this.kept.keys().next().value);
    }
    return this.kept.get(place);
  }

  async get(number) {
    const place = this.find(number);
    return (await this.block(place))[number - this.starts[place]];
  }

  /** Yield the first number and the records of each block, without keeping them. */
  async *blocks() {
    for (let place = 0; place < this.starts.length; place++) {
      yield [
        this.starts[place],
        await (this.kept.get(place) ?? inflate(`${this.name}-${place}`).then(JSON.parse)),
      ];
    }
  }
}

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
