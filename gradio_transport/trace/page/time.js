// Bars in time, and the overview with its lanes of calls and channels.

const share = (t) => (100 * (t - state.from)) / (state.to - state.from || 1);

/** Return a bar from one time to another, or null if it is out of sight. */
function mark(className, start, end, label = null) {
  if (end < state.from || start > state.to) return null;
  const left = Math.max(0, share(start));
  const made = el("span", className, label);
  made.style.left = `${left}%`;
  made.style.width = `${Math.min(100, share(end)) - left}%`;
  return made;
}

function bars(group) {
  const made = [mark("bar life", group.start, group.end)];
  for (const [name, start, end] of group.phases) {
    const room = ((end - start) / (state.to - state.from || 1)) * byId("axis").clientWidth;
    const bar = mark(
      `bar phase ${PHASES.includes(name) ? name : "other"}`,
      start,
      end,
      room > 7 * name.length + 6 ? name : null,
    );
    if (bar) bar.title = `${plain(name)}: ${seconds(end - start)}`;
    made.push(bar);
  }
  for (const [start, length] of group.silences.slice(0, MOST_ITEMS))
    made.push(mark("bar silence", start, start + length));
  return made;
}

function lane(row) {
  const [start, end] = [doc.rows.t[row], doc.rows.end[row]];
  const kind = rows.kind(row);
  if (kind === "silence") return mark("bar silence", start, end);
  if (kind !== "request") return mark(`bar tick ${rows.direction(row)}`, start, start);
  const reply = start + (doc.rows.took[row] ?? 0);
  return [
    mark(`bar request ${rows.failed(row) ? "bad" : ""}`, start, reply),
    end > reply && mark("bar stream", reply, end),
  ];
}

/** Return round times for the ticks of an axis. */
function ticks(width) {
  const span = state.to - state.from;
  const most = Math.max(3, Math.floor(width / 64));
  let step = 10 ** Math.floor(Math.log10(span / most || 1e-6));
  for (const factor of [1, 2, 5, 10]) {
    if (span / (step * factor) <= most) {
      step *= factor;
      break;
    }
  }
  const made = [];
  for (let at = Math.ceil(state.from / step) * step; at <= state.to && made.length < 50; at += step)
    made.push(at);
  return [made, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9))];
}

function drawAxis() {
  const axis = byId("axis");
  const [times, digits] = ticks(axis.clientWidth);
  axis.replaceChildren(
    ...times
      .filter((t) => share(t) < 94)
      .map((t) => {
        const made = el("span", "tickmark", `${t.toFixed(digits)} s`);
        made.style.left = `${share(t)}%`;
        return made;
      }),
  );
}

// overview

const overview = { lanes: [], drag: null };

/** Put calls into as few lanes as do not overlap, at most `most`; then one lane for each kind of channel. */
function layOverview(most = 6) {
  const ends = [];
  const calls = doc.groups
    .filter((group) => group.kind === "call")
    .map((group) => {
      let place = ends.findIndex((end) => end <= group.start);
      if (place < 0) place = ends.length < most ? ends.push(0) - 1 : ends.indexOf(Math.min(...ends));
      ends[place] = group.end;
      return { place, group };
    });
  const channels = new Map();
  for (let row = 0; row < rows.count(); row++) {
    if (rows.kind(row) !== "request") continue;
    const name = rows.channel(row).replace(/^\d+\./, "");
    if (!channels.has(name)) channels.set(name, []);
    channels.get(name).push(row);
  }
  overview.calls = calls;
  overview.callLanes = ends.length;
  overview.channels = [...channels].slice(0, 8);
}

const LANE = 12;
const GUTTER = 76;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function drawOverview() {
  const canvas = byId("overview");
  const lanes = overview.callLanes + overview.channels.length;
  const [width, height] = [canvas.clientWidth, Math.max(1, lanes) * LANE + 6];
  const ratio = window.devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const span = doc.trace.end - doc.trace.start || 1;
  const x = (t) => GUTTER + ((width - GUTTER - 8) * (t - doc.trace.start)) / span;
  const bar = (lane, start, end, fill, inset = 1) => {
    pen.fillStyle = fill;
    pen.fillRect(x(start), 3 + lane * LANE + inset, Math.max(1.5, x(end) - x(start)), LANE - 2 * inset);
  };
  const colours = Object.fromEntries(
    [...PHASES, "other", "life", "silence", "request", "open", "bad", "dim", "accent", "line"].map((name) => [
      name,
      colour(`--${name}`),
    ]),
  );
  pen.font = "10px system-ui, sans-serif";
  pen.textBaseline = "middle";
  const label = (lane, text) => {
    pen.fillStyle = colours.dim;
    pen.fillText(plain(cut(text, 14)), 8, 3 + lane * LANE + LANE / 2, GUTTER - 14);
  };
  if (overview.callLanes) label((overview.callLanes - 1) / 2, "calls");
  for (const { place, group } of overview.calls) {
    bar(place, group.start, group.end, colours.life);
    for (const [name, start, end] of group.phases) bar(place, start, end, colours[name] ?? colours.other);
    for (const [start, length] of group.silences)
      hatch(pen, x(start), 3 + place * LANE + 1, x(start + length) - x(start), LANE - 2, colours.silence);
    if (BAD.has(group.outcome)) {
      pen.fillStyle = colours.bad;
      pen.fillRect(x(group.end) - 2, 3 + place * LANE, 3, LANE);
    }
  }
  overview.channels.forEach(([name, list], index) => {
    const place = overview.callLanes + index;
    label(place, name || "session");
    for (const row of list) {
      const reply = doc.rows.t[row] + (doc.rows.took[row] ?? 0);
      if (doc.rows.end[row] > reply) bar(place, reply, doc.rows.end[row], colours.open, 3);
      bar(place, doc.rows.t[row], reply, rows.failed(row) ? colours.bad : colours.request, 2);
    }
  });
  const range = overview.drag ?? (wholeTime() ? null : [state.from, state.to]);
  if (range) {
    const [left, right] = [x(Math.min(...range)), x(Math.max(...range))];
    pen.fillStyle = colour("--shade");
    pen.fillRect(GUTTER, 0, left - GUTTER, height);
    pen.fillRect(right, 0, width - right, height);
    pen.strokeStyle = colours.accent;
    pen.strokeRect(left + 0.5, 0.5, Math.max(1, right - left - 1), height - 1);
  }
}

function hatch(pen, left, top, width, height, ink) {
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  pen.fillStyle = colour("--ground");
  pen.fillRect(left, top, width, height);
  pen.strokeStyle = ink;
  for (let at = left - height; at < left + width; at += 5) {
    pen.beginPath();
    pen.moveTo(at, top + height);
    pen.lineTo(at + height, top);
    pen.stroke();
  }
  pen.restore();
}

function timeAt(event) {
  const canvas = byId("overview");
  const part =
    (event.clientX - canvas.getBoundingClientRect().left - GUTTER) / (canvas.clientWidth - GUTTER - 8);
  return doc.trace.start + Math.min(1, Math.max(0, part)) * (doc.trace.end - doc.trace.start);
}

function zoom(from, to) {
  const least = (doc.trace.end - doc.trace.start) * 1e-6 || 1e-6;
  state.from = from;
  state.to = Math.max(to, from + least);
  rebuild();
}
