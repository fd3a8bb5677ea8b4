// SPDX-License-Identifier: Apache-2.0
// Answers the tasks of the conformance run with the client in gradio.mjs:
//
//     gradio-transport-conformance run --client 'node driver.mjs' --versions 6.31.0

import { createInterface } from "node:readline";
import { AppError, Lost, Refused, connect } from "./gradio.mjs";

const features = ["auth", "cancel", "files", "parallel", "protocol:call", "sessions", "session_endpoints", "yields"];
const write = (message) => process.stdout.write(JSON.stringify(message) + "\n");

function describe(error) {
  const kind = error instanceof AppError ? "app" : error instanceof Refused ? "refused" : "lost";
  return { error: { kind: error.name === "TimeoutError" ? "timeout" : kind, message: error.message, type: error.constructor.name } };
}

class Task {
  constructor(task) {
    this.task = task;
    this.sessions = new Map();
    this.kept = [];
  }

  async answer() {
    const steps = [];
    this.connected = connect(this.task.url, this.task.credentials);
    this.connected.catch(() => {}); // each step reports it
    for (const group of this.task.groups) steps.push(...(await Promise.all(group.map((one) => this.inTime(one)))));
    return steps;
  }

  // Returns the answer of a step, or that there was none in time.
  async inTime(step) {
    let timer;
    const message = `No result within ${this.task.deadline} s.`;
    const late = new Promise((resolve) => {
      timer = setTimeout(() => resolve({ error: { kind: "timeout", message } }), this.task.deadline * 1000);
    });
    const answer = await Promise.race([this.play(step), late]);
    clearTimeout(timer);
    return answer;
  }

  async play(step) {
    if (!step.endpoint) return { cannot: "The /call API needs a name." };
    if (step.cancel_after === 0) return { cannot: "The /call API does not say when the function starts." };
    const yields = [];
    try {
      this.app = await this.connected;
      if (!this.app.keepsSessions && (step.fn_index === null || this.states(step, "inputs").length)) {
        return { cannot: "The /call API keeps no session before Gradio 6.18." };
      }
      const session = this.session(step.session);
      const data = await this.replace(step.data, (file) => session.upload(file.name, Buffer.from(file.base64, "base64")));
      for await (const { outputs, final } of session.call(step.endpoint, data)) {
        const visible = this.withoutStates(step, outputs);
        if (final) return { value: await this.withFiles(visible, step.keep), yields };
        yields.push(await this.withFiles(visible, false));
        if (yields.length === step.cancel_after) return { error: { kind: "cancelled", message: "" }, yields };
      }
      return describe(new Lost("no result"));
    } catch (error) {
      return { ...describe(error), yields };
    }
  }

  session(label) {
    // Calls of one session at once would read each other's events, so a parallel one has a session of its own.
    const isParallel = this.task.groups.some((group) => group.filter((one) => one.session === label).length > 1);
    if (isParallel) return this.app.newSession();
    if (!this.sessions.has(label)) this.sessions.set(label, this.app.newSession());
    return this.sessions.get(label);
  }

  // Returns the places of the inputs or outputs that are a gr.State.
  states(step, side) {
    const { components, dependencies } = this.app.config;
    const states = new Set(components.filter((one) => one.type === "state").map((one) => one.id));
    const ids = dependencies.find((one) => `/${one.api_name}` === step.endpoint)?.[side] ?? [];
    return [...ids.keys()].filter((place) => states.has(ids[place]));
  }

  // A gr.State has no value for a caller.
  withoutStates(step, outputs) {
    const states = this.states(step, "outputs");
    return outputs.filter((_, place) => !states.includes(place));
  }

  // Returns a value with its files replaced by what `make` returns for them, and those that were kept.
  async replace(value, make) {
    if (Array.isArray(value)) return await Promise.all(value.map((one) => this.replace(one, make)));
    if (value === null || typeof value !== "object") return value;
    if ("$file" in value) return await make(value.$file);
    if ("$kept" in value) return this.kept[value.$kept];
    const entries = Object.entries(value).map(async ([key, one]) => [key, await this.replace(one, make)]);
    return Object.fromEntries(await Promise.all(entries));
  }

  async withFiles(value, keep) {
    if (Array.isArray(value)) {
      const found = [];
      for (const one of value) found.push(await this.withFiles(one, keep));
      return found;
    }
    if (value === null || typeof value !== "object") return value;
    if (value.meta?._type === "gradio.FileData") {
      if (keep) this.kept.push(value);
      const content = await this.app.download(value);
      return { $file: { name: value.orig_name ?? value.path.split("/").pop(), base64: content.toString("base64") } };
    }
    const found = {};
    for (const [key, one] of Object.entries(value)) found[key] = await this.withFiles(one, keep);
    return found;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (message.type === "hello") {
    const language = `Node ${process.versions.node}`;
    write({ type: "hello", protocol: 1, name: "client-in-node", version: "1.0", language, features });
  } else if (message.type === "task") {
    write({ type: "answer", id: message.id, steps: await new Task(message).answer() });
  }
}
process.exit(0);
