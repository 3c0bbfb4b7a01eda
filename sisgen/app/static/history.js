// The session's pictures, newest first, kept by the browser: small picture, drawing and settings of each.

import { EMPTY } from "./codec.js";
import { tellRecipe } from "./recipe.js";
import { KINDS, packState, unpackParts, unpackState } from "./state.js";
import { forget, recall, remember } from "./store.js";
import { session } from "./session.js";
import { thumb } from "./strips.js";

const MOST = 24;
const KEYS = ["d", "s", "t", "g", "k", "tab", "a", "f"]; // of entries that are the same

/** All entries of this visit and of earlier ones; every tab shows the same. */
const shared = { entries: null };

export class History {
  constructor(section) {
    this.section = section;
    this.strip = section.querySelector(".sis-past");
    this.clear = section.querySelector("[data-do=forget]");
    this.clear.addEventListener("click", () => this.write([]));
    const kept = shared.entries ?? recall("history", []);
    shared.entries ??= (Array.isArray(kept) ? kept : []).filter(sound).slice(0, MOST);
    session.on("past", () => this.render());
  }

  /** Add a state with its small picture; one that equals the newest is not added again. What comes from a photograph is not stored. */
  add(state, small) {
    const entry = { ...packState(state), p: small };
    if (state.photo) entry.photo = { photo: state.photo, use: state.use };
    const [newest] = shared.entries;
    if (newest && newest.photo?.photo === state.photo && KEYS.every((key) => JSON.stringify(newest[key]) === JSON.stringify(entry[key]))) return;
    this.write([entry, ...shared.entries].slice(0, MOST));
  }

  /** The entries of a model. */
  of(model) {
    return shared.entries.filter((entry) => entry.m === model);
  }

  write(entries) {
    shared.entries = entries;
    const kept = entries.filter((entry) => !entry.photo);
    if (!kept.length) forget("history");
    // A full store drops the oldest entries until the rest fits.
    else while (!remember("history", kept) && kept.length > 1) shared.entries.splice(shared.entries.indexOf(kept.pop()), 1);
    session.emit("past", null);
  }

  render() {
    const { entries } = shared;
    this.section.classList.toggle("is-empty", entries.length === 0);
    this.clear.hidden = entries.length === 0;
    const name = (entry, i) => [`Earlier picture ${i + 1}, sample ${entry.s}`, mixOf(entry)].filter(Boolean).join(": ");
    this.strip.replaceChildren(...entries.map((entry, i) => thumb(name(entry, i), { url: entry.p, pick: () => this.take(entry) })));
  }

  take(entry) {
    const state = unpackState(entry, EMPTY); // which classes there are is known once its model is chosen
    if (state) session.open({ ...state, ...entry.photo });
  }
}

const mixOf = ({ k, a, f, photo }) => tellRecipe({ kind: k, photo, also: KINDS.includes(a?.k) && a.k, weight: Number(a?.w), ...unpackParts(f) });
const sound = (entry) => typeof entry?.p === "string" && entry.p.startsWith("data:image/jpeg;base64,") && Number.isInteger(entry.s);
