// Reads Server-Sent Events with fetch: an EventSource cannot send the token.

import { Refused, ask, eventsPath } from "./api.js";

const RETRY = 2000;

/** Wait, or until the signal aborts. */
const pause = (ms, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });

/** Yield the events of an answer as maps from field to value. */
async function* blocks(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const fields = part.split("\n").map((line) => line.split(/: ?(.*)/s, 2));
        yield new Map(fields.filter(([name]) => name));
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Follows a run: says when something has happened, and remembers where it was. */
export class Follower {
  #last = null;
  #retry = RETRY;

  constructor(id, onChange) {
    this.id = id;
    this.onChange = onChange;
  }

  /** Read until the run is over or the signal aborts. Comes back after a lost connection. */
  async follow(signal) {
    while (!signal.aborted) {
      try {
        if (await this.#read(signal)) return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refused) {
          if (error.status === 410) this.#last = null;
          else if (error.status < 500 && error.status !== 429) return;
        }
      }
      await pause(this.#retry, signal);
    }
  }

  /** Read one answer to its end. Returns whether no more events can come. */
  async #read(signal) {
    const headers = { Accept: "text/event-stream" };
    if (this.#last !== null) headers["Last-Event-ID"] = this.#last;
    const path = eventsPath(this.id) + (this.#last === null ? "&tail=0" : "");
    const answer = await ask(path, { headers, signal });
    if (answer.status === 204) return true;
    for await (const fields of blocks(answer)) {
      if (fields.has("id")) this.#last = fields.get("id");
      if (fields.has("retry")) this.#retry = Number(fields.get("retry")) || RETRY;
      if (fields.get("event") === "problem") this.#last = null;
      if (fields.has("event")) this.onChange();
    }
    this.onChange();
    return false;
  }
}
