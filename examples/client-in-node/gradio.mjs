// SPDX-License-Identifier: Apache-2.0
// A client of Gradio 5 and 6 on one page, for Node 20 and newer, without packages.
//
//     const app = await connect("http://127.0.0.1:7860");
//     for await (const outputs of app.call("/count", [3])) console.log(outputs);

export class AppError extends Error {} // the function raised an error
export class Refused extends Error {} // the server does not take the request
export class Lost extends Error {} // the events ended without a result

export async function connect(url, credentials = null) {
  const address = url.replace(/\/$/, "");
  let cookie = "";
  if (credentials) {
    const reply = await fetch(`${address}/login`, { method: "POST", body: new URLSearchParams(credentials) });
    if (!reply.ok) throw new Refused(`login: status ${reply.status}`);
    cookie = reply.headers.getSetCookie().map((one) => one.split(";")[0]).join("; ");
  }
  const app = new App(address, cookie);
  app.config = await app.json("/config");
  app.api = address + (app.config.api_prefix ?? "");
  return app;
}

class App {
  constructor(address, cookie) {
    this.address = address;
    this.cookie = cookie;
    this.session = Math.random().toString(36).slice(2);
  }

  // Whether calls can share a session; before 6.18 each one is a session of its own.
  get keepsSessions() {
    const [major, minor] = this.config.version.split(".").map(Number);
    return major > 6 || (major === 6 && minor >= 18);
  }

  // Another session of the same app: its gr.State is its own.
  newSession() {
    return Object.assign(new App(this.address, this.cookie), { config: this.config, api: this.api });
  }

  async request(url, options = {}) {
    const reply = await fetch(url, { ...options, headers: { ...options.headers, cookie: this.cookie } });
    if (!reply.ok) throw new Refused(`status ${reply.status}: ${(await reply.text()).slice(0, 500)}`);
    return reply;
  }

  async json(path, body) {
    const headers = { "content-type": "application/json" };
    const options = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
    return await (await this.request((this.api ?? this.address) + path, options)).json();
  }

  // Uploads a file, and returns what stands for it in the arguments of a call.
  async upload(name, content) {
    const form = new FormData();
    form.append("files", new Blob([content]), name);
    const [path] = await (await this.request(`${this.api}/upload`, { method: "POST", body: form })).json();
    return { path, orig_name: name, meta: { _type: "gradio.FileData" } };
  }

  async download(file) {
    const path = file.path.split("/").map(encodeURIComponent).join("/");
    return Buffer.from(await (await this.request(file.url ?? `${this.api}/file=${path}`)).arrayBuffer());
  }

  // Yields the outputs of a call, by the /call API; the last are its result. To cancel it, leave the loop.
  async *call(name, data) {
    const found = this.config.dependencies.find((one) => `/${one.api_name}` === name);
    if (found?.api_visibility === "private") throw new Refused(`The app keeps ${name} to itself.`);
    const path = `/call/${encodeURIComponent(name.replace(/^\//, ""))}`;
    const session = this.keepsSessions ? { session_hash: this.session } : {};
    const { event_id } = await this.json(path, { data, ...session });
    const abort = new AbortController();
    try {
      const reply = await this.request(`${this.api}${path}/${event_id}`, { signal: abort.signal });
      for await (const { event, data } of events(reply.body)) {
        if (event === "error") throw new AppError(data?.error ?? "The app hides its errors.");
        if (event === "generating" || event === "complete") yield { outputs: data, final: event === "complete" };
        if (event === "complete") return;
      }
      throw new Lost("The events ended without a result.");
    } finally {
      abort.abort(); // the server keeps the connection open
    }
  }
}

// Yields the events of a stream: https://html.spec.whatwg.org/multipage/server-sent-events.html
async function* events(body) {
  const decoder = new TextDecoder();
  let text = "";
  let event = "";
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split(/\r?\n/);
    text = lines.pop();
    for (const line of lines) {
      if (line.startsWith("event: ")) event = line.slice(7);
      if (line.startsWith("data: ")) yield { event, data: JSON.parse(line.slice(6)) };
    }
  }
}
