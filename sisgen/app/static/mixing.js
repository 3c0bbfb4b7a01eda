// "Also follow": what another tab holds is followed together with this tab's drawing.

import { CELLS, EMPTY } from "./codec.js";
import { same } from "./drawing.js";
import { RAMPS, rampOf } from "./lines.js";
import { TITLES } from "./recipe.js";
import { session, tabOf } from "./session.js";
import { miniature } from "./strips.js";
import { toast } from "./toast.js";

const TABS = { mask: "Mask", scribble: "Scribble", sketch: "Sketch" };
const IN_CLASSES = ["mask", "scribble"];
const NOTHING = new Uint8Array(CELLS).fill(EMPTY);

/** The drawing of a kind that its tab holds, of this visit or of the last one; null where there is none. */
const found = (kind) => session.studios.get(tabOf(kind))?.held(kind) ?? null;
const held = (kind) => found(kind) ?? NOTHING;

export class Mixing {
  /** studio: the tab, with `kind`, `find` and `remix()` for when the mix has changed */
  constructor(studio) {
    const find = (selector) => studio.find(`.sis-mix ${selector}`);
    Object.assign(this, { studio, find, weight: 0.5 });
    this.slider = find("[data-weight]");
    this.slider.addEventListener("input", () => this.set({ weight: Number(this.slider.value) }));
    find("[data-mix-open]").addEventListener("click", () => this.offer());
    this.clear();
  }

  clear() {
    this.kind = null;
    this.map = NOTHING;
    this.live = false; // whether it goes on following what its tab holds
    this.tell();
  }

  /** Its share of a job; nothing where nothing is mixed. */
  job() {
    return this.kind && !same(this.map, NOTHING) ? { also: this.kind, weight: this.weight, other: this.map } : {};
  }

  set({ kind = this.kind, weight = this.weight, map = this.map, live = this.live }) {
    Object.assign(this, { kind, weight, map, live });
    this.tell();
    this.studio.remix();
  }

  /** Take over what a state says, without a word to the studio. */
  restore({ also, weight = 0.5, other }) {
    this.clear();
    if (!also || !session.model.kinds.includes(also)) return;
    Object.assign(this, { kind: also, weight, map: other.slice(), live: same(other, held(also)) });
    if (IN_CLASSES.includes(also)) this.studio.dropUnknown(this.map);
    this.tell();
  }

  /** Another model: a drawing that it cannot read has no say. */
  follow(fits) {
    const { kind } = this;
    if (kind && (!session.model.kinds.includes(kind) || (IN_CLASSES.includes(kind) && !fits))) this.clear();
    this.tell();
  }

  /** The tab is shown again: what was drawn elsewhere meanwhile counts. */
  refresh() {
    const now = this.kind && this.live ? found(this.kind) : null;
    if (now && !same(this.map, now)) this.set({ map: now.slice() });
  }

  /** The studio turns from one kind of lines to another: where that is the one mixed in, the two change places; its map, else null. */
  turn(from, map, to) {
    if (this.kind !== to) return null;
    const mixed = this.map;
    Object.assign(this, { kind: from, map: map.slice(), weight: Number((1 - this.weight).toFixed(2)), live: true });
    this.tell();
    return mixed;
  }

  // Its part of the page.

  tell() {
    const { kind, weight, slider } = this;
    this.find(".sis-mixed").hidden = !kind;
    this.find("[data-mix-open]").textContent = kind ? "Another instead…" : "Another drawing…";
    if (!kind) return;
    const empty = same(this.map, NOTHING);
    this.find("[data-mix-name]").textContent = TITLES[kind];
    this.find("[data-mix-note]").textContent = empty ? "nothing drawn yet" : "";
    slider.value = weight;
    slider.disabled = empty;
    slider.style.setProperty("--at", `${100 * weight}%`);
    this.find("[data-weight-value]").textContent = weight.toFixed(2);
    const face = this.find("[data-mix-face]"), edit = this.find("[data-mix-edit]"), where = `${TABS[tabOf(kind)]} tab`;
    face.replaceChildren(this.small(kind, this.map));
    edit.textContent = empty ? "Draw it…" : "Edit…";
    for (const button of [face, edit]) Object.assign(button, { title: `Draw on it in the ${where}`, ariaLabel: `${edit.textContent} in the ${where}` });
  }

  small(kind, map) {
    const canvas = miniature(map, RAMPS[kind] ?? rampOf(session.model.labels));
    canvas.classList.toggle("is-ink", kind in RAMPS && kind !== "depth");
    return canvas;
  }

  /** Fill the menu with the kinds that the model reads, each with what there is of it. */
  offer() {
    const kinds = Object.keys(TITLES).filter((kind) => session.model.kinds.includes(kind) && kind !== this.studio.kind);
    this.find(".sis-kinds").replaceChildren(...kinds.map((kind) => this.entry(kind, held(kind).slice())));
  }

  entry(kind, map) {
    const entry = Object.assign(document.createElement("button"), { type: "button", className: "sis-kind" });
    const face = document.createElement("i"), words = Object.assign(document.createElement("span"), { textContent: TITLES[kind] });
    const empty = same(map, NOTHING), note = empty ? `of ${this.studio.whose}` : `of the ${TABS[tabOf(kind)]} tab`;
    words.append(Object.assign(document.createElement("small"), { textContent: note }));
    if (!empty) face.append(this.small(kind, map));
    entry.setAttribute("role", "menuitem");
    entry.append(face, words);
    entry.addEventListener("click", () => (empty ? this.borrow(kind) : this.set({ kind, map, live: true })));
    return entry;
  }

  /** Where its tab holds nothing, the present sample lends such a drawing. */
  async borrow(kind) {
    try {
      const map = await this.studio.drawingOf(kind);
      this.set({ kind, map, live: same(map, NOTHING) });
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  /** Go where it is drawn; back here, the picture follows what was done there. */
  edit() {
    const { kind, map } = this, tab = tabOf(kind), elsewhere = session.studios.get(tab);
    this.live = true;
    if (tab === this.studio.name) return this.studio.turnTo(kind);
    if (same(map, held(kind))) return elsewhere.wish(kind), session.emit("show", tab);
    const { also, weight, other, parts, photo, use, ...job } = this.studio.job();
    session.open({ ...job, revision: session.model.revision, tab, kind, map });
  }

  click(name) {
    if (name === "mix-edit") this.edit();
    if (name === "mix-off") this.clear(), this.studio.remix();
  }
}
