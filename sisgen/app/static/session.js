// What all parts of the page share: where the server is, which model is chosen, and how to ask.

class Session extends EventTarget {
  constructor() {
    super();
    this.base = "";
    this.model = null; // the answer of /model
    this.link = null; // () => address of the present state, set by the tab on show
    this.visitor = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  on(name, listener) {
    this.addEventListener(name, (event) => listener(event.detail));
  }

  /** Load a model's description; the one before stays when that fails. */
  async choose(name) {
    const answer = await this.ask("model", name ? { model: name } : {});
    this.model = await answer.json();
    this.emit("model", this.model);
    return this.model;
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
