// Parts from other samples: classes of the drawing that take their style from elsewhere, hair from one and skin from another.

import { SamplePictures } from "./board.js";
import { session } from "./session.js";
import { anySeed } from "./settings.js";
import { MAX_SEED } from "./state.js";
import { thumb } from "./strips.js";
import { toast } from "./toast.js";

const MOST = 4; // samples that lend their parts to one picture
const TILES = 8, PAST = 4, RARE = 4; // candidates; of them from the history, and such as are known to have a rare class

export class Parts {
  /** studio: the tab, with `find`, `settings`, `follower`, `history`, `shows(class)` and `remix()` for when the parts have changed */
  constructor(studio) {
    const find = (selector) => studio.find(`.sis-parts ${selector}`);
    Object.assign(this, { studio, find, pairs: new Map(), faces: new Map(), pictures: null });
    studio.find(".sis-parts").hidden = false;
    this.select = find("[data-part]");
    this.select.addEventListener("change", () => this.suggest());
  }

  /** Its share of a job; nothing where no part is taken. */
  job() {
    return this.pairs.size ? { parts: [...this.pairs] } : {};
  }

  /** Take over what a state says, without a word to the studio. */
  restore({ parts = [] }) {
    const names = new Set(session.model.labels.map(({ name }) => name));
    this.pairs = new Map(parts.filter(([name]) => names.has(name)));
    this.open(false);
    this.render();
  }

  take(name, seed) {
    if (new Set([...this.pairs, [name, seed]].filter(([other]) => other !== name).map((pair) => pair[1])).add(seed).size > MOST) {
      return toast(`At most ${MOST} samples lend their parts to one picture; remove one of them first.`, { error: true });
    }
    this.pairs.set(name, seed);
    this.changed();
  }

  drop(name) {
    this.pairs.delete(name);
    this.changed();
  }

  changed() {
    this.open(false);
    this.render();
    this.studio.remix();
  }

  // The table.

  render() {
    this.find(".sis-part-list").replaceChildren(...[...this.pairs].map(([name, seed]) => this.row(name, seed)));
  }

  row(name, seed) {
    const row = Object.assign(document.createElement("li"), { className: "sis-row" }), label = document.createElement("label");
    const face = thumb(`Take ${name} from another sample`, { pick: () => this.open(true, name) });
    this.show(face, seed);
    const chip = document.createElement("i"), { color } = session.model.labels.find((one) => one.name === name);
    chip.style.backgroundColor = `rgb(${color.map(Number).join(" ")})`;
    const field = Object.assign(document.createElement("input"), { type: "text", inputMode: "numeric", value: seed, autocomplete: "off" });
    field.setAttribute("aria-label", `Sample that lends its ${name}`);
    field.addEventListener("change", () => this.read(name, field));
    const title = Object.assign(document.createElement("b"), { textContent: name });
    label.append(Object.assign(document.createElement("span"), { textContent: "of sample" }), field);
    const off = this.find("[data-cross]").content.firstElementChild.cloneNode(true);
    off.setAttribute("aria-label", `Keep the picture's own ${name}`);
    off.title = off.ariaLabel;
    off.addEventListener("click", () => this.drop(name));
    row.append(face, chip, title, label, off);
    return row;
  }

  read(name, field) {
    const text = field.value.trim();
    if (/^\d{1,10}$/.test(text) && Number(text) <= MAX_SEED) return this.take(name, Number(text));
    toast(`The sample must be a whole number from 0 to ${MAX_SEED}.`, { error: true });
    this.render();
  }

  // The choice: which part, from whom.

  open(yes, name) {
    this.find(".sis-lend").hidden = !yes;
    const button = this.find("[data-do=part-add]");
    button.textContent = yes ? "Cancel" : "Take a part…";
    button.setAttribute("aria-expanded", String(yes));
    if (!yes) return;
    const { labels } = session.model, words = (label, i) => (this.studio.shows(i) ? label.name : `${label.name} (not in the drawing)`);
    this.select.replaceChildren(...labels.map((label, i) => new Option(words(label, i), label.name)));
    this.select.value = name ?? labels[this.studio.bench.chosen].name;
    this.suggest();
  }

  /** Lay out samples to choose from: the variations, the history, such as have a rare class, and any. */
  suggest({ anew = false } = {}) {
    const name = this.select.value, found = new Map(), { model } = session, { seed } = this.studio.settings;
    const add = (other, url) => found.size < TILES && other !== seed && !found.has(other) && found.set(other, url);
    const rare = [...(model.classSeeds[name] ?? [])].sort(() => (anew ? Math.random() - 0.5 : 0));
    for (const other of rare.slice(0, RARE)) add(other);
    if (!anew) {
      if (this.studio.varied()) for (const tile of this.studio.follower.variations.shown()) add(tile.seed, tile.url);
      for (const entry of this.studio.history.of(model.name).slice(0, PAST)) add(entry.s, entry.p);
    }
    while (found.size < TILES) add(anySeed());
    this.find("[data-candidates]").replaceChildren(...[...found].map(([other, url]) => {
      const tile = thumb(`Take ${name} from sample ${other}`, { url, pick: () => (this.faces.set(other, url), this.take(name, other)) });
      if (!url) this.show(tile, other);
      return tile;
    }));
  }

  /** Put a sample's picture on a tile: the one that it was chosen by, else the plain one. */
  async show(tile, seed) {
    const { name } = session.model, { truncation } = this.studio.settings;
    if (this.pictures?.model !== name || this.pictures.truncation !== truncation) this.pictures = new SamplePictures(name, truncation, 1);
    try {
      const src = this.faces.get(seed) ?? (await this.pictures.get(seed));
      tile.prepend(Object.assign(new Image(), { src, alt: "", draggable: false }));
    } catch {
      // the tile stays without a picture; it can be chosen all the same
    }
  }

  click(name) {
    if (name === "part-add") this.open(this.find(".sis-lend").hidden);
    if (name === "part-others") this.suggest({ anew: true });
  }
}
