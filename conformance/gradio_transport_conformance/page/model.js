// The page of results: what it holds. Texts were written by drivers and servers that may be hostile: they reach the
// document only as text nodes (`show`), never as markup.
"use strict";

const RESULTS_VERSION = 1;

const SIGNS_OF = { P: "✓", F: "✗", K: "⊗", O: "?", C: "–", U: "·" };
const MEANINGS = {
  P: "The result is the expected one.",
  F: "The result differs, or there is none.",
  K: "A known failure of the server or of the client.",
  O: "The client sent a request for which the recording has no reply.",
  C: "The client does not support it. It is never a pass.",
  U: "The version does not support it.",
};
// The changes of a cell between two runs; the first three matter most.
const CHANGES = {
  worse: ["newly wrong", "▼"],
  lost: ["no longer right", "▽"],
  better: ["newly right", "▲"],
  other: ["other change", "≠"],
  cause: ["other cause", "≈"],
  added: ["only in the new run", "+"],
  gone: ["only in the old run", "−"],
  same: ["unchanged", "="],
};

let doc;
let cells; // Store of the cells' details

const state = {
  matrix: 0,
  columns: [], // of the table: {run, version, at} or, of a comparison, {version, at, was}
  hidden: new Set(), // grades, or changes, that are switched off
  words: [],
  client: "",
  version: "",
  order: "client",
  old: null,
  new: null,
  focus: [0, 0],
  selected: null,
};

const isComparison = () => state.old !== null && state.new !== null;
const matrix = () => doc.matrices[state.matrix];
const gradeAt = (row, at) => (at === null ? "." : matrix().grades[row][at]);
const causeAt = (row, at) => {
  const number = at === null ? -1 : matrix().causes[row][at];
  return number < 0 ? "" : doc.strings[number];
};
const word = (grade) => doc.words[grade] ?? "not played";

/** Return the number of what is behind a cell. */
function cellNumber(row, at) {
  let number = matrix().first[row];
  for (let place = 0; place < at; place++) if (matrix().grades[row][place] !== ".") number++;
  return number;
}

/** Return what became of a cell. */
function changeOf(row, column) {
  const was = gradeAt(row, column.was);
  const now = gradeAt(row, column.at);
  if (was === "." && now === ".") return null;
  if (was === ".") return "added";
  if (now === ".") return "gone";
  if (was === now) return now === "F" && causeAt(row, column.was) !== causeAt(row, column.at) ? "cause" : "same";
  if (now === "F") return "worse";
  if (was === "P") return "lost";
  return now === "P" ? "better" : "other";
}

/** Return the grade of a cell, or what became of it; null: there is none. */
function stateOf(row, column) {
  if (isComparison()) return changeOf(row, column);
  const grade = gradeAt(row, column.at);
  return grade === "." ? null : grade;
}

/** Return the columns that the choices leave, in order. */
function chosenColumns() {
  const all = matrix().columns.map(([run, version], at) => ({ run, version, at }));
  if (isComparison()) {
    const of = (run) => new Map(all.filter((one) => one.run === run).map((one) => [one.version, one.at]));
    const [before, after] = [of(state.old), of(state.new)];
    return [...new Set([...after.keys(), ...before.keys()])]
      .filter(isVersion)
      .sort(byVersion)
      .map((version) => ({ version, at: after.get(version) ?? null, was: before.get(version) ?? null }));
  }
  const chosen = all.filter(
    (one) => isVersion(one.version) && (state.client === "" || one.run === Number(state.client)),
  );
  if (state.order === "client") return chosen;
  const versions = [...new Set(all.map((one) => one.version))].sort(byVersion);
  return chosen.sort((a, b) => versions.indexOf(a.version) - versions.indexOf(b.version) || a.run - b.run);
}

const byVersion = (a, b) => a.localeCompare(b, "en", { numeric: true });

const isVersion = (version) =>
  state.version === "" ||
  version === state.version ||
  (state.version.endsWith(".") && version.startsWith(state.version));

/** Return whether the words of the filter fit a cell. */
function fits(row, column) {
  if (!state.words.length) return true;
  const runs = isComparison() ? [] : [doc.runs[column.run].label];
  const causes = [causeAt(row, column.at), isComparison() ? causeAt(row, column.was) : ""];
  const text = [...matrix().rows[row], ...runs, column.version, ...causes].join("\n").toLowerCase();
  return state.words.every(([wanted, one]) => text.includes(one) === wanted);
}

/** Return the words of a filter, each with whether it is wanted. */
function parseWords(text) {
  return text
    .toLowerCase()
    .split(/\s+/)
    .filter((one) => one && one !== "-")
    .map((one) => (one.startsWith("-") ? [false, one.slice(1)] : [true, one]));
}
