// The session's pictures, newest first, kept by the browser: small picture, drawing and settings of each.

import { EMPTY } from "./codec.js";
import { packState, unpackState } from "./state.js";
import { forget, recall, remember } from "./store.js";
import { thumb } from "./strips.js";

const MOST = 24;

export class History {
  /** restore: (state) -> takes an entry up again */
  constructor(section, restore) {
    Object.assign(this, { section, restore });
    this.strip = section.querySelector(".sis-past");
    this.clear = section.querySelector("[data-do=forget]");
    this.clear.addEventListener("click", () => this.write([]));
    const kept = recall("history", []);
    this.entries = (Array.isArray(kept) ? kept : []).filter(sound).slice(0, MOST);
  }

  /** Add a state with its small picture; one that equals the newest is not added again. */
  add(state, small) {
    const entry = { ...packState(state), p: small };
    const [newest] = this.entries;
    if (newest && newest.d === entry.d && newest.s === entry.s && newest.t === entry.t && newest.g === entry.g) return;
    this.write([entry, ...this.entries].slice(0, MOST));
  }

  write(entries) {
    this.entries = entries;
    if (!entries.length) forget("history");
    // A full store drops the oldest entries until the rest fits.
    else while (!remember("history", this.entries) && this.entries.length > 1) this.entries.pop();
    this.render();
  }

  render() {
    this.section.classList.toggle("is-empty", this.entries.length === 0);
    this.clear.hidden = this.entries.length === 0;
    this.strip.replaceChildren(...this.entries.map((entry, i) => thumb(`Earlier picture ${i + 1}, sample ${entry.s}`, { url: entry.p, pick: () => this.take(entry) })));
  }

  take(entry) {
    const state = unpackState(entry, EMPTY); // which classes there are is known once its model is chosen
    if (state) this.restore(state);
  }
}

const sound = (entry) => typeof entry?.p === "string" && entry.p.startsWith("data:image/jpeg;base64,") && Number.isInteger(entry.s);
