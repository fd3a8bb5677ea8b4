// The details of what is selected.

/** Return the text of an event or message, as JSON. */
async function messageText(row) {
  const own = doc.rows.message[row];
  if (own !== null) return bodies.get(own);
  const frame = await frames.get(doc.rows.frame[row]);
  const text = (await textOf(frame.body)) ?? "";
  return frame.kind === "chunk" ? eventOf(text).data : text;
}

/** Return the fields of a chunk that is one server-sent event. */
function eventOf(text) {
  const event = { event: "message", id: "", data: [] };
  for (const line of text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/)) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (line.slice(0, colon) === "data") event.data.push(value);
    else if (line.startsWith("event:")) event.event = value;
    else if (line.startsWith("id:")) event.id = value;
  }
  return { ...event, data: event.data.join("\n") };
}

/** Return a part of the details that can be closed. */
function section(title, content, { open = true, copy = null, note = "" } = {}) {
  const head = el(
    "summary",
    "",
    el("h3", "", title),
    note && el("span", "note", note),
    copy !== null && copyButton(copy),
  );
  const made = el("details", "part", head);
  made.open = open;
  // Content that is a function is made when the part is opened first.
  const fill = () => made.append(...[content].flat().map((one) => (typeof one === "function" ? one() : one)));
  if (open || typeof content !== "function") fill();
  else made.addEventListener("toggle", fill, { once: true });
  return made;
}

function pairs(list) {
  const made = el("dl", "pairs");
  for (const [name, value] of list.slice(0, MOST_ITEMS)) {
    if (value === null || value === undefined || value === "") continue;
    made.append(el("dt", "", longText(name, "")), el("dd", "", longText(value, "")));
  }
  if (list.length > MOST_ITEMS)
    made.append(el("dt", "", ""), el("dd", "", `${list.length - MOST_ITEMS} more`));
  return made;
}

function findingList(findings) {
  const made = el("ul", "findings");
  for (const [severity, where, what, hint, group, places] of findings.slice(0, MOST_ITEMS)) {
    const place =
      group !== null
        ? button(where, () => goToGroup(group), "link")
        : places.length
          ? button(where, () => goToFrame(places[0]), "link")
          : el("span", "", where);
    const others = places.slice(0, 12).map((frame) => button(String(frame), () => goToFrame(frame), "link"));
    const list =
      group !== null || places.length > 1
        ? el(
            "span",
            "places",
            places.length && (places.length > 1 ? "frames " : "frame "),
            ...others,
            places.length > 12 && `and ${places.length - 12} more`,
          )
        : null;
    made.append(
      el(
        "li",
        severity,
        severityMark([[severity]]),
        el("span", "severity", severity === "diagnosis" ? "" : severity),
        place,
        el("span", "what", what),
        hint && el("span", "hint", hint),
        list,
      ),
    );
  }
  if (findings.length > MOST_ITEMS) made.append(el("li", "", `${findings.length - MOST_ITEMS} more`));
  return made;
}

const UNCHECKED = "The trace was not checked for findings: gradio-transport trace lint does that.";

/** Return the parts for diagnoses and for findings, if there are any. */
function findingSections(findings) {
  const diagnoses = findings.filter((one) => one[0] === "diagnosis");
  const others = findings.filter((one) => one[0] !== "diagnosis");
  return [
    diagnoses.length > 0 && section("Diagnosis", findingList(diagnoses)),
    others.length > 0 && section("Findings", findingList(others), { note: String(others.length) }),
  ];
}

const headersOf = (frame) => Object.entries(frame.headers ?? {});

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

async function frameSections(number, title, open = true) {
  const frame = await frames.get(number);
  const text = await textOf(frame.body);
  const made = [];
  for (const [name, stored] of Object.entries(frame.json ?? {})) {
    const value = await textOf(stored);
    made.push(
      section(title ? `${title}: ${name}` : capital(name), () => bodyElement(value), { open, copy: value }),
    );
  }
  if (headersOf(frame).length)
    made.push(
      section(capital(`${title} headers`.trim()), pairs(headersOf(frame)), {
        open,
        note: counted(headersOf(frame).length, "header"),
      }),
    );
  const binary = await textOf(frame.base64);
  if (binary)
    made.push(
      section(capital(`${title} body`.trim()), () => el("pre", "plain", longText(binary, "")), {
        open: false,
        note: `${bytes(doc.frames.size[number] ?? 0)} that are no text, in base64`,
        copy: binary,
      }),
    );
  else if (text)
    made.push(
      section(capital(`${title} body`.trim()), () => bodyElement(text), {
        open,
        note: bytes(doc.frames.size[number] ?? text.length),
        copy: text,
      }),
    );
  return [frame, made];
}

const fieldPairs = (frame) => Object.entries(frame.fields ?? {});

let detailRun = 0;

async function showDetail() {
  const run = ++detailRun;
  const entry = state.selected;
  const box = byId("detail");
  let parts;
  try {
    if (entry === null) parts = summaryParts();
    else if (isGroup(entry)) parts = await groupParts(-1 - entry);
    else parts = isFrameView() ? await frameParts(entry) : await rowParts(entry);
  } catch (error) {
    parts = [el("p", "error", `This cannot be shown: ${error.message}`)];
  }
  if (run !== detailRun) return;
  box.replaceChildren(...parts.flat().filter(Boolean));
  box.scrollTop = 0;
  const frame = entry === null || isGroup(entry) ? null : isFrameView() ? entry : doc.rows.frame[entry];
  history.replaceState(null, "", frame === null ? "#" : `#frame-${frame}`);
}

function detailHead(title, subtitle) {
  const close = button("Close", () => select(null, true), "close");
  close.setAttribute("aria-label", "Close the details");
  return el(
    "header",
    "detail-head",
    el("div", "", el("h2", "", title), subtitle && el("p", "", subtitle)),
    state.selected !== null && close,
  );
}

function summaryParts() {
  const trace = doc.trace;
  const outcomes = new Map();
  for (const group of doc.groups)
    if (group.kind === "call") outcomes.set(group.outcome, (outcomes.get(group.outcome) ?? 0) + 1);
  const list = [...outcomes].map(([name, count]) => `${count} ${name}`).join(", ");
  return [
    detailHead("The trace", "Select a row for its details."),
    section(
      "Summary",
      pairs([
        ["Calls", list || "none"],
        ["Gradio", trace.gradio],
        ["Protocol", trace.adapters.join(", ")],
        ["Server", trace.source],
        ["Sessions", String(trace.sessions)],
        ["Frames", trace.frames.toLocaleString("en")],
        ["Length", seconds(trace.end - trace.start)],
        ["Recorded by", trace.recorder],
        ["Complete", trace.truncated ? "no: the file ends in the middle of a line" : "yes"],
      ]),
    ),
    ...findingSections(doc.findings),
    doc.findings.length === 0 && section("Findings", el("p", "quiet", doc.checked ? "None." : UNCHECKED)),
    doc.findings.length > 0 && !doc.checked && el("p", "aside", UNCHECKED),
    section("Meta data of the file", () => bodyElement(trace.meta), { open: false, copy: trace.meta }),
  ];
}

/** Return the last output values of a call as JSON, or null. */
async function lastValues(group) {
  if (group.values !== null) return textOf(group.values);
  for (let row = group.first + group.count - 1; row >= group.first && group.kind === "call"; row--) {
    if (doc.rows.values[row]) return JSON.stringify((await beforeAndAfter(row))[1]);
  }
  return null;
}

async function groupParts(number) {
  const group = doc.groups[number];
  const findings = state.findingOf.get(-1 - number) ?? [];
  const parts = [
    detailHead(
      group.title,
      group.outcome ? `${MARKS[group.outcome] ?? ""} ${group.outcome}` : counted(group.count, "row"),
    ),
    section(
      "Summary",
      pairs([
        ["Error", group.error],
        ["Message", group.message],
        ["Session", group.session ? String(group.session) : ""],
        ["Protocol", group.adapter],
        ["Event id", group.event_id],
        ["From", `${group.start.toFixed(3)} s`],
        ["To", `${group.end.toFixed(3)} s`],
        ["Took", seconds(group.end - group.start)],
      ]),
    ),
    ...findingSections(findings),
  ];
  if (group.phases.length || group.silences.length) {
    const table = el("table", "phases");
    const long = group.end - group.start || 1;
    const line = (className, name, start, end) => {
      const bar = el("span", `bar ${className}`);
      bar.style.width = `${Math.max(1, (100 * (end - start)) / long)}%`;
      bar.style.left = `${(100 * (start - group.start)) / long}%`;
      return el(
        "tr",
        "",
        el("th", "", name),
        el("td", "number", seconds(end - start)),
        el("td", "track", bar),
      );
    };
    for (const [name, start, end] of group.phases)
      table.append(line(`phase ${PHASES.includes(name) ? name : "other"}`, name, start, end));
    for (const [start, length, beats] of group.silences.slice(0, MOST_ITEMS))
      table.append(
        line("silence", beats ? `silence, ${counted(beats, "heartbeat")}` : "silence", start, start + length),
      );
    parts.push(section("Phases", table));
  }
  if (group.frame !== null) {
    const frame = await frames.get(group.frame);
    for (const [name, stored] of Object.entries(frame.json ?? {})) {
      const text = await textOf(stored);
      parts.push(section(name === "data" ? "Arguments" : name, () => bodyElement(text), { copy: text }));
    }
    if (group.kind === "session") parts.push(section("Fields", pairs(fieldPairs(frame))));
  }
  const values = await lastValues(group);
  if (values !== null) parts.push(section("Last output values", () => bodyElement(values), { copy: values }));
  return parts;
}

async function frameParts(number) {
  const findings = state.findingOf.get(number) ?? [];
  const [frame, sections] = await frameSections(number, "");
  const columns = doc.frames;
  const text = await textOf(frame.body);
  const event =
    frame.kind === "chunk" && text && /^(data|event|id):/m.test(text) && !/\n\n[^]*\S/.test(text.trim())
      ? eventOf(text)
      : null;
  return [
    detailHead(
      `Frame ${number}: ${frame.kind}`,
      `${ARROWS[frameOf.direction(number)][1]} at ${columns.t[number].toFixed(6)} s`,
    ),
    ...findingSections(findings),
    section(
      "Fields",
      pairs([
        ["Channel", frameOf.channel(number)],
        ["Session", String(columns.session[number] || "none")],
        ["Size", columns.size[number] === null ? "" : bytes(columns.size[number])],
        ...fieldPairs(frame),
      ]),
    ),
    event &&
      section(
        "Event",
        [
          pairs([
            ["event", event.event],
            ["id", event.id],
          ]),
          bodyElement(event.data),
        ],
        { copy: event.data },
      ),
    ...sections,
  ];
}

async function rowParts(row) {
  const columns = doc.rows;
  const kind = rows.kind(row);
  const group = doc.groups[columns.group[row]];
  const findings = [...new Set(rows.frames(row).flatMap((one) => state.findingOf.get(one) ?? []))];
  const first = columns.frame[row] === null ? {} : await frames.get(columns.frame[row]);
  const parts = [detailHead(rows.name(row), `${group.title}, at ${columns.t[row].toFixed(3)} s`)];
  parts.push(...findingSections(findings));
  const list = rows.frames(row).map((one) =>
    button(
      String(one),
      () => {
        setView("frames");
        goToFrame(one);
      },
      "link",
    ),
  );
  const about = [
    ["URL", first.fields?.url],
    ["Status", columns.status[row] === null ? "" : String(columns.status[row])],
    ["Error", rows.failed(row) ? columns.text[row] : ""],
    [
      kind === "request" ? "Reply after" : "Took",
      (columns.took[row] ?? 0) < (kind === "request" ? 0 : 0.0005) ? "" : seconds(columns.took[row] ?? 0),
    ],
    [
      "Open for",
      kind === "request" && columns.end[row] > columns.t[row] + (columns.took[row] ?? 0) + 1e-6
        ? seconds(columns.end[row] - columns.t[row])
        : "",
    ],
    ["Size", columns.size[row] === null ? "" : bytes(columns.size[row])],
    ["Since the last", columns.gap[row] ? seconds(columns.gap[row]) : ""],
    ["Channel", rows.channel(row)],
    ...fieldPairs(first).filter(([name]) => !["url", "status"].includes(name)),
  ];
  const summary = pairs(about);
  if (list.length)
    summary.append(
      el("dt", "", "Frames"),
      el("dd", "", ...list.flatMap((one, at) => (at ? [" ", one] : [one]))),
    );
  parts.push(section("Summary", summary));
  if (kind === "event" || kind === "sent") parts.push(...(await messageParts(row, first)));
  else {
    if (columns.frame[row] !== null)
      parts.push(...(await frameSections(columns.frame[row], kind === "request" ? "Request" : ""))[1]);
    if (columns.reply[row] !== null) {
      const [reply, sections] = await frameSections(columns.reply[row], "Reply");
      if (reply.kind === "error" || reply.kind === "end")
        parts.push(section("No reply", pairs(fieldPairs(reply))));
      parts.push(...sections);
    }
    if (columns.last[row] !== null)
      parts.push(section("End of the stream", pairs(fieldPairs(await frames.get(columns.last[row])))));
  }
  return parts;
}

async function messageParts(row, frame) {
  const text = await messageText(row);
  const parts = [];
  if (rows.edited(row)) {
    const [before, after] = await beforeAndAfter(row);
    parts.push(
      section("Value before and after", editElement(before, after), { copy: JSON.stringify(after) }),
    );
    parts.push(section("Edits", editsElement(parse(text))));
  }
  const raw = await textOf(frame.body);
  const isEvent = frame.kind === "chunk" && doc.rows.message[row] === null;
  const event = isEvent ? eventOf(raw) : null;
  parts.push(
    section(
      isEvent ? "Event" : "Message",
      [
        event && (event.event !== "message" || event.id)
          ? pairs([
              ["event", event.event],
              ["id", event.id],
            ])
          : "",
        bodyElement(text),
      ],
      { note: bytes(doc.rows.size[row] ?? text.length), copy: text },
    ),
  );
  if (raw && frame.kind === "chunk")
    parts.push(
      section("Bytes of the stream", () => el("pre", "plain", longText(raw, "")), { open: false, copy: raw }),
    );
  if (headersOf(frame).length) parts.push(section("Headers", pairs(headersOf(frame)), { open: false }));
  return parts;
}
