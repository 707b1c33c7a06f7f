// The API, as any other program calls it: same origin, the key as a bearer token, errors as RFC 9457 has them.

import { apiKey } from "./store.js";

/** Relative to the page, so that it holds behind a proxy that serves all of this under a path. */
const ROOT = new URL("../../", import.meta.url);
const API = new URL("api/v1/", ROOT);

/** What the server refused, or that it was not reached (`status` 0); the message is the problem's `detail`. */
export class ApiError extends Error {
  constructor(status, detail, title = "") {
    super(detail);
    this.status = status;
    this.title = title;
  }
}

function headers(more = {}) {
  const key = apiKey();
  return key ? { Authorization: `Bearer ${key}`, ...more } : more;
}

async function call(path, { method = "GET", body, signal } = {}) {
  const json = body === undefined ? {} : { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(new URL(path, API), { method, signal, headers: headers(json), body: body && JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "");
  }
  if (!answer.ok) throw await problem(answer);
  return answer;
}

async function problem(answer) {
  const text = await answer.text();
  return fromText(answer.status, text, answer.statusText);
}

function fromText(status, text, otherwise) {
  try {
    const told = JSON.parse(text);
    return new ApiError(status, String(told.detail ?? otherwise), String(told.title ?? ""));
  } catch {
    return new ApiError(status, otherwise || `HTTP ${status}`);  // a proxy's page, and no problem document
  }
}

const part = encodeURIComponent;
const read = async (path, options) => (await call(path, options)).json();

export const search = (body, signal) => read("search", { method: "POST", body, signal });
export const feedback = (body) => call("feedback", { method: "POST", body });
export const collection = (name) => read(`collections/${part(name)}`);
export const collections = (signal) => read("collections", { signal });
export const document_ = (collection, id, signal) => read(`collections/${part(collection)}/documents/${part(id)}`, { signal });
export const jobs = (query, signal) => read(`jobs?${new URLSearchParams(query)}`, { signal });
export const job = (id, signal) => read(`jobs/${part(id)}`, { signal });
export const cancelJob = (id) => read(`jobs/${part(id)}`, { method: "DELETE" });
export const retryJob = (id) => read(`jobs/${part(id)}/retry`, { method: "POST" });
export const docsAddress = new URL("docs", ROOT).href;

/** Upload files into a collection; `onprogress` is told the share that was sent. Gives the job. */
export function upload(collection, files, onprogress, signal) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  const request = new XMLHttpRequest();  // fetch tells nothing of what was sent
  return new Promise((resolve, reject) => {
    request.open("POST", new URL(`collections/${part(collection)}/documents`, API));
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onprogress(event.loaded / event.total));
    request.addEventListener("load", () => {
      if (request.status === 202) resolve(JSON.parse(request.responseText));
      else reject(fromText(request.status, request.responseText, request.statusText));
    });
    request.addEventListener("error", () => reject(new ApiError(0, "")));
    request.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** Ask, and yield the events of the answer as `{event, data}`: `delta`…, then `done`, or `error`. */
export async function* ask(body, signal) {
  const answer = await call("ask", { method: "POST", body: { ...body, stream: true }, signal });
  if (!answer.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    yield { event: "done", data: await answer.json() };
    return;
  }
  for await (const { event, data } of serverSentEvents(answer.body)) {
    const told = JSON.parse(data);
    if (event === "error") throw new ApiError(told.status ?? 500, told.detail ?? "", told.title ?? "");
    yield { event, data: told };
  }
}

/** Read server-sent events from a stream of bytes, as the HTML standard has them. */
export async function* serverSentEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = "message";
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (data.length) yield { event, data: data.join("\n") };
          event = "message";
          data = [];
        } else if (line.startsWith("event:")) event = line.slice(6).trim();
        else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      }
    }
  } finally {
    await reader.cancel();
  }
}
