// SPDX-License-Identifier: Apache-2.0
// A driver of @gradio/client in Node, 0.5.2 (websockets) and 1.0 to the current version: answers the tasks of the
// conformance run. It reads JSON lines on standard input and writes its answers on standard output.
//
//     node driver.mjs FOLDER      FOLDER is the directory of the package: .../node_modules/@gradio/client
//
// It uses the documented API of the client, and reports its results. Unsupported features are answered with
// "cannot"; wrong results are reported unchanged.

import { File } from "node:buffer"; // in Node 18 it is not global
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const PROTOCOL = 1;
const LONGEST_TEXT = 5000; // characters: what servers send as an error may be anything
const PACKAGE = process.argv[2] ?? "node_modules/@gradio/client";
const QUEUE_FULL = ["This application is too busy. Keep trying!", "This application is currently busy. Please try again. "];
const BROKEN_CONNECTION = "Connection errored out.";

const manifest = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8"));
const entry = manifest.exports["."].import ?? manifest.module ?? manifest.main;
const library = await import(pathToFileURL(join(PACKAGE, entry)));

// Until 0.20 there is one function, calls have listeners, and there is no login; then a class, and iterators.
const hasListeners = library.Client === undefined;

const features = ["cancel", "component", "event_data", "events", "files", "fn_index", "parallel", "sessions", "yields"];
if (!hasListeners) features.push("auth", "session_endpoints", "streaming");

class Refusal extends Error {} // the client says that the server wants something else

async function connect(url, credentials) {
  if (hasListeners) {
    // Without a callback, its promise stays pending when the app cannot be reached.
    return await new Promise((resolve, reject) => {
      const status_callback = (status) => reject(new Error(status.message));
      library.client(url, { status_callback }).then(resolve, reject);
    });
  }
  const auth = credentials ? [credentials.username, credentials.password] : null;
  return await library.Client.connect(url, { auth, events: ["data", "status", "log", "render"] });
}

// Yields the client's events of a call: {type: "data" | "status" | "log" | "render", ...}
async function* eventsOf(call) {
  if (!hasListeners) {
    yield* call;
    return;
  }
  const queue = [];
  let wake = () => {};
  for (const type of ["data", "status", "log"]) {
    call.on(type, (event) => {
      queue.push({ ...event, type });
      wake();
    });
  }
  while (true) {
    while (queue.length) yield queue.shift();
    await new Promise((resolve) => (wake = resolve));
  }
}

function isRunning(status) {
  return status.original_msg === "process_starts" || (hasListeners && status.position === 0 && !("eta" in status));
}

// Returns the protocol's name of a client's event, or undefined if it does not come from the server.
function eventName(event) {
  if (event.type === "log") return "log";
  if (event.type !== "status") return undefined;
  if (event.stage === "generating") return "process_generating";
  if (event.stage === "streaming") return "process_streaming";
  if (event.stage === "complete" || (event.stage === "error" && event.success === false)) return "process_completed";
  if (event.progress_data) return "progress";
  if (isRunning(event)) return "process_starts";
  return "position" in event ? "estimation" : undefined;
}

function textOf(message) {
  const text = typeof message === "string" ? message : message === undefined ? "" : JSON.stringify(message);
  return text.slice(0, LONGEST_TEXT);
}

// Returns a status of stage "error" as an error of the protocol. It has `success` only if the server sent it about
// the run of the function.
function statusError(status) {
  const message = textOf(status.message);
  let kind = "refused";
  if (status.broken || message.startsWith(BROKEN_CONNECTION)) kind = "lost";
  else if (status.code === "validation_error" || QUEUE_FULL.includes(message)) kind = "refused";
  else if (status.session_not_found) kind = "refused";
  else if (status.success === false || (status.queue === false && message)) kind = "app";
  else if (message === "An Unexpected Error Occurred!") kind = "lost";
  return { error: { kind, message, type: "status" } };
}

function exceptionError(error, phase) {
  const type = error?.name ?? typeof error;
  const message = textOf(error?.message ?? error);
  let kind = phase === "submit" ? "usage" : "lost";
  if (error instanceof Refusal || (phase === "connect" && /authori[sz]ed|credentials|log ?in/i.test(message))) {
    kind = "refused";
  }
  return { error: { kind, message, type } };
}

class Task {
  constructor(task) {
    this.task = task;
    this.apps = new Map();
    this.kept = [];
  }

  async answer() {
    const steps = [];
    for (const group of this.task.groups) {
      const seconds = this.task.deadline ?? 20;
      const running = group.map((step) => ({ step, found: { yields: [], events: [] }, answer: null }));
      let timer;
      const late = new Promise((resolve) => (timer = setTimeout(resolve, seconds * 1000)));
      await Promise.race([this.playGroup(running), late]);
      clearTimeout(timer);
      const message = `The client gave no result within ${seconds} s; the driver stopped waiting.`;
      const hung = { error: { kind: "timeout", message, type: "Deadline" } };
      steps.push(...running.map((one) => one.answer ?? { ...hung, events: one.found.events }));
    }
    return { type: "answer", id: this.task.id, steps };
  }

  async playGroup(running) {
    // First, because connecting takes longer than some calls.
    await Promise.all(running.map(({ step }) => this.connect(step)));
    await Promise.all(running.map((one) => this.start(one)));
  }

  // A client has one address and one session.
  place(step) {
    return JSON.stringify([step.url ?? this.task.url, step.session ?? "main"]);
  }

  async connect(step) {
    const place = this.place(step);
    if (this.apps.has(place)) return;
    this.apps.set(place, null); // for the others of the group
    try {
      const app = await connect(step.url ?? this.task.url, this.task.credentials);
      if (app.config?.auth_required) throw new Refusal("The app wants a login: config.auth_required");
      this.apps.set(place, app);
    } catch (error) {
      this.apps.set(place, { failure: exceptionError(error, "connect") });
    }
  }

  async start(running) {
    const { step } = running;
    const app = this.apps.get(this.place(step));
    running.answer = app.failure ?? (await this.play(app, step, running.found));
  }

  async play(app, step, found) {
    const data = withStates(app, step, step.data.map((one) => this.argument(one)));
    try {
      if (step.component_function) {
        const value = await app.component_server(step.component_id, step.component_function, data[0]);
        return { value: [await this.portable(app, value, [])] };
      }
      const event_data = await this.eventData(app, step.event_data ?? null);
      const call = app.submit(this.endpoint(app, step), data, event_data);
      return await this.follow(app, step, call, found);
    } catch (error) {
      return { ...exceptionError(error, step.component_function ? "result" : "submit"), ...found };
    }
  }

  // Files in data are uploaded by the client, those in event data by its caller.
  async eventData(app, value) {
    const given = this.argument(value);
    if (!(given instanceof Blob) || hasListeners) return given;
    const [uploaded] = await app.upload(await library.prepare_files([given]), app.config.root);
    return uploaded;
  }

  // Names come from the app's first config; endpoints of gr.render have only a number.
  endpoint(app, step) {
    if (!step.endpoint) return step.fn_index;
    const name = step.endpoint.replace(/^\//, "");
    if (hasListeners || name in app.api_map) return step.endpoint;
    return app.config.dependencies.find((one) => one.api_name === name)?.id ?? step.endpoint;
  }

  async follow(app, step, call, found) {
    const chunks = [...(step.send ?? [])];
    const yields = [];
    let last;
    let failure = null;
    let generating = false;
    let cancelled = false;
    let closed = false;
    const cancel = () => {
      cancelled = true;
      // Not awaited: events continue to arrive during the request.
      Promise.resolve(call.cancel()).catch(console.error);
    };
    try {
      for await (const event of eventsOf(call)) {
        const name = eventName(event);
        if (name) found.events.push(name);
        if (event.type === "data") {
          // Copied immediately, with files read later: the client changes this object at the next message.
          const copy = structuredClone(event.data);
          if (generating) yields.push(copy);
          last = copy;
          generating = false;
          if (step.send && chunks.length) call.send_chunk({ data: chunks.shift() });
          else if (step.send) {
            call.close_stream(); // ends the iterator too
            closed = true;
          }
        } else if (event.type === "status") {
          if (event.stage === "error") failure = statusError(event);
          generating = event.stage === "generating" || event.stage === "streaming";
          if (event.stage === "complete" || event.stage === "error") break;
          if (step.cancel_after === 0 && isRunning(event) && !cancelled) cancel();
        }
        if (step.cancel_after && yields.length === step.cancel_after && !cancelled) cancel();
      }
    } catch (error) {
      failure = exceptionError(error, "result");
    }
    if (closed) delete found.events; // what the server says at the end is not shown
    for (const one of yields) found.yields.push(await this.portable(app, withoutStates(app, step, one), []));
    if (failure) return { ...failure, ...found };
    if (cancelled) return { error: { kind: "cancelled", message: "", type: "status" }, ...found };
    if (last === undefined) {
      const message = "The client ended the call without data and without an error.";
      return { error: { kind: "lost", message, type: "status" }, ...found };
    }
    const kept = [];
    const value = await this.portable(app, withoutStates(app, step, last), kept);
    if (step.keep) this.kept.push(...kept);
    return { value, ...found };
  }

  argument(value) {
    if (Array.isArray(value)) return value.map((one) => this.argument(one));
    if (value === null || typeof value !== "object") return value;
    if ("$kept" in value) return structuredClone(this.kept[value.$kept]);
    if (!("$file" in value)) {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, this.argument(one)]));
    }
    const content = Buffer.from(value.$file.base64, "base64");
    return new File([content], value.$file.name);
  }

  // Returns a value of the client with the content of its files; `kept` collects the files as the client returned them.
  async portable(app, value, kept) {
    if (Array.isArray(value)) {
      const found = [];
      for (const one of value) found.push(await this.portable(app, one, kept));
      return found;
    }
    if (typeof value === "string" && /^data:[\w./+-]*;base64,/.test(value)) return inlineFile("file", value);
    if (value === null || typeof value !== "object") return value === undefined ? null : value;
    if (!isFile(value)) {
      const found = {};
      for (const [key, one] of Object.entries(value)) found[key] = await this.portable(app, one, kept);
      return found;
    }
    kept.push(value);
    return await download(app, value);
  }

  close() {
    for (const app of this.apps.values()) app?.close?.();
  }
}

// Until 0.20 the caller of the client must pass null for inputs of gr.State, and skip its outputs.
function statesOf(app, step, side) {
  if (!hasListeners) return [];
  const name = step.endpoint?.replace(/^\//, "");
  const found = app.config.dependencies.find((one, place) => (name ? one.api_name === name : place === step.fn_index));
  const states = new Set(app.config.components.filter((one) => one.type === "state").map((one) => one.id));
  return (found?.[side] ?? []).map((id, place) => (states.has(id) ? place : -1)).filter((place) => place >= 0);
}

function withStates(app, step, data) {
  for (const place of statesOf(app, step, "inputs")) data.splice(place, 0, null);
  return data;
}

function withoutStates(app, step, data) {
  const states = statesOf(app, step, "outputs");
  return Array.isArray(data) ? data.filter((_, place) => !states.includes(place)) : data;
}

// FileData of 4.0 and newer, or a file of 3.x.
function isFile(value) {
  if (value.is_file === true || value.meta?._type === "gradio.FileData") return true;
  if (value.name && typeof value.data === "string") return value.data.startsWith("data:");
  return typeof value.path === "string" && ("orig_name" in value || "url" in value);
}

function inlineFile(name, url) {
  return { $file: { name, base64: url.slice(url.indexOf(",") + 1) } };
}

async function download(app, file) {
  const name = file.orig_name ?? basename(file.path ?? file.name);
  // 3.x: `data` is the address or the content. Before 4.18, and in 3.x inside of lists, there is a path only.
  const address = file.url ?? file.data ?? `${app.config.root}${app.api_prefix ?? ""}/file=${file.path ?? file.name}`;
  if (address.startsWith("data:")) return inlineFile(name, address);
  const response = await (app.fetch ?? fetch)(address);
  if (!response.ok) throw new Error(`The file ${name} could not be read: status ${response.status}`);
  return { $file: { name, base64: Buffer.from(await response.arrayBuffer()).toString("base64") } };
}

function write(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

// Errors that the client leaves unhandled belong to calls that are still answered, at the latest by the deadline.
process.on("unhandledRejection", (error) => console.error("Unhandled rejection:", error));
process.on("uncaughtException", (error) => console.error("Uncaught exception:", error));

for await (const line of createInterface({ input: process.stdin })) {
  if (!line.trim()) continue;
  const message = JSON.parse(line);
  if (message.type === "hello") {
    const language = `Node ${process.versions.node}`;
    write({ type: "hello", protocol: PROTOCOL, name: manifest.name, version: manifest.version, language, features });
  } else if (message.type === "task") {
    const task = new Task(message);
    write(await task.answer());
    task.close();
  }
}
process.exit(0); // connections that the client leaves open must not hold the driver
