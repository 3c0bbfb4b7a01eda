// What all parts of the page share: where the server is, which model is chosen, and how to ask.

const WATCH = 700; // ms between two questions how far a download is

/** The kinds of drawing of a tab; a model has to read one of them. */
export const DRAWN = { mask: ["mask"], scribble: ["scribble"], sketch: ["sketch", "canny", "hed", "depth"] };

/** The tab that draws a kind. */
export const tabOf = (kind) => Object.keys(DRAWN).find((tab) => DRAWN[tab].includes(kind));

class Session extends EventTarget {
  constructor() {
    super();
    this.base = "";
    this.model = null; // the answer of /model
    this.link = null; // () => address of the present state, set by the tab that is shown
    this.studios = new Map(); // name of a tab that draws -> its hands
    this.handed = null; // a state on its way to the tab that it names
    this.visitor = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  emit(name, ...detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  on(name, listener) {
    this.addEventListener(name, (event) => listener(...event.detail));
  }

  /** Name of the tab that is shown. */
  get tab() {
    return document.documentElement.dataset.tab;
  }

  /** Whether a model can serve a tab. */
  reads(tab, model = this.model) {
    if (tab === "photo") return model.photos;
    return (DRAWN[tab] ?? []).some((kind) => model.kinds.includes(kind)) || !(tab in DRAWN);
  }

  /** Show a state in the tab that it names: from a link, from the history, or sent by another tab. */
  open(state) {
    this.handed = state;
    this.emit("show", state.tab);
  }

  /** The state that waits for a tab, once. */
  take(tab) {
    const state = this.handed;
    if (state?.tab !== tab) return null;
    this.handed = null;
    return state;
  }

  /** Have a model loaded and take it; the one before stays when that fails, or when another one is chosen meanwhile. */
  async choose(name) {
    const turn = (this.turn = (this.turn ?? 0) + 1), parameters = name ? { model: name } : {};
    const watch = setInterval(() => this.watch(turn, parameters), WATCH);
    this.emit("choosing", { name, share: null });
    try {
      const model = await (await this.ask("model", parameters)).json();
      if (turn !== this.turn) return this.model;
      const before = this.model;
      this.model = model;
      this.emit("model", model, before);
      return model;
    } finally {
      clearInterval(watch);
      if (turn === this.turn) this.emit("chosen", null);
    }
  }

  /** Ask how far a model is that is being fetched. */
  async watch(turn, parameters) {
    try {
      const { share } = await (await this.ask("download", parameters)).json();
      if (turn === this.turn && share !== null) this.emit("choosing", { name: parameters.model, share });
    } catch {
      // the answer that matters is that of /model
    }
  }

  /** Ask the server; throws a `Refusal` with one sentence. */
  async ask(path, parameters = {}, { body, signal } = {}) {
    const query = new URLSearchParams({ visitor: this.visitor, ...parameters });
    let answer;
    try {
      answer = await fetch(`${this.base}/${path}?${query}`, { method: body ? "POST" : "GET", body, signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(0, "The server cannot be reached; the drawing is safe here.");
    }
    if (answer.ok) return answer;
    const { error } = await answer.json().catch(() => ({}));
    throw new Refusal(answer.status, error ?? "The server gave no answer; try once more.");
  }
}

/** A request that got no answer. */
export class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }

  /** Whether sending the newest drawing again by itself is right. */
  get passing() {
    return [0, 409, 429, 502, 503, 504].includes(this.status);
  }
}

export const session = new Session();
