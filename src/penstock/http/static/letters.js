// Dead letters of the pipeline of the run, twenty at a time.

import { listLetters } from "./api.js";
import { byId, make, showAll, write } from "./dom.js";
import { count, moment, plural } from "./format.js";

/** Shows the dead letters of one run. `attempt(work)` runs work, and shows what is wrong. */
export class LettersView {
  #id = null;
  #letters = [];
  #next = null;

  constructor(attempt) {
    const load = (skip) => () => attempt(() => this.#load(skip()));
    byId("show-letters").addEventListener("click", load(() => 0));
    byId("more-letters").addEventListener("click", load(() => this.#next ?? 0));
  }

  /** Show how many there are; those of another run are put away. */
  show(run) {
    if (run?.id !== this.#id) {
      this.#id = run?.id ?? null;
      this.#set([], null);
    }
    const total = run?.dead_letters ?? null;
    const text = plural(total ?? 0, "document has", "documents have");
    write(
      byId("letters-count"),
      total === null ? "The pipeline keeps no ledger, so it has none."
        : total === 0 ? "There are none." : `${text} failed for good, in this run and earlier ones.`,
    );
    const button = byId("show-letters");
    button.hidden = !total;
    write(button, this.#letters.length ? "Read again" : "Show them");
  }

  async #load(skip) {
    const id = this.#id;
    const page = await listLetters(id, skip);
    if (id !== this.#id) return;
    this.#set(skip ? [...this.#letters, ...page.letters] : page.letters, page.next);
    write(byId("show-letters"), "Read again");
  }

  #set(letters, next) {
    this.#letters = letters;
    this.#next = next;
    byId("more-letters").hidden = next === null;
    showAll(byId("letters"), letters, ({ key, timestamp }) => `${key} ${timestamp}`, card, () => {});
  }
}

function card(letter) {
  const facts = `${letter.key} · ${plural(letter.attempts, "attempt")} · ${count(letter.bytes)} bytes`;
  const found = make(
    "li", "card",
    make("div", "line", make("code", "", letter.doc_id ?? letter.key), make("span", "quiet", moment(letter.timestamp))),
    make("div", "", make("strong", "", letter.error_type), `: ${letter.error}`),
    make("div", "quiet", facts),
  );
  if (letter.traceback) {
    const trace = make("pre", "", letter.traceback);
    trace.tabIndex = 0;
    found.append(make("details", "", make("summary", "", "Traceback"), trace));
  }
  return found;
}
