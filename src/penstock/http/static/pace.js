// Decides when to ask the server: at most four times a second, and never while nobody looks.

const SHORTEST = 250;

/** Calls `work` when it is due. A call that is wanted while it works comes afterwards. */
export class Pace {
  #timer = 0;
  #due = Infinity;
  #last = -Infinity;
  #busy = false;
  #next = Infinity;

  constructor(work) {
    this.work = work;
  }

  /** Call `work` within `ms`, or a quarter of a second after its last call if that is later. */
  within(ms) {
    if (document.hidden) return;
    if (this.#busy) {
      this.#next = Math.min(this.#next, ms);
      return;
    }
    const now = performance.now();
    const due = Math.max(now + ms, this.#last + SHORTEST);
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.#call(), due - now);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#due = Infinity;
    this.#next = Infinity;
  }

  async #call() {
    this.#due = Infinity;
    this.#last = performance.now();
    this.#busy = true;
    await this.work();
    this.#busy = false;
    const next = this.#next;
    this.#next = Infinity;
    if (next < Infinity) this.within(next);
  }
}
