// The picture beside the drawing: what is shown, how far it follows, and where it does not.

import { CELLS, SIDE, decodeRuns, fromBase64 } from "./codec.js";

const LATE = 140; // ms after which the thin line tells that a newer picture is on its way

export class Picture {
  constructor(frame, foot) {
    this.frame = frame;
    this.foot = foot;
    this.image = frame.querySelector(".sis-image");
    this.wrong = frame.querySelector(".sis-wrong");
    this.follow = foot.querySelector("[data-follow]");
    this.late = null;
    this.fade = null;
    this.kept = false;
  }

  /** Show a picture: { url, ms, size }, and what it is made of where that is more than one drawing; nothing in between is ever empty. */
  show(picture, number, recipe = "") {
    this.image.src = picture.url;
    this.frame.dataset.number = number;
    this.put("ms", tellTime(picture.ms));
    this.put("recipe", recipe);
    this.foot.querySelector("[data-recipe]").hidden = !recipe;
    this.put("size-1", `Picture, ${picture.size} px`);
    this.put("size-4", `Enlarged, ${4 * picture.size} px`);
  }

  put(name, text) {
    this.foot.querySelector(`[data-${name}]`).textContent = text;
  }

  stale(yes) {
    this.frame.dataset.state = yes ? "stale" : "fresh";
    clearTimeout(this.late);
    if (yes) this.late = setTimeout(() => this.frame.classList.add("is-late"), this.frame.classList.contains("is-late") ? 0 : LATE);
    else this.frame.classList.remove("is-late");
  }

  /** Tell how far the picture follows: share in [0, 1] or null, and runs of the cells where it does not. */
  agree({ share, wrong, precision, recall }, blank) {
    const percent = (part) => `${Math.round(100 * part)} %`;
    this.follow.parentElement.title = precision === undefined
      ? "Show where the picture differs"
      : `${percent(recall)} of your lines are in the picture, ${percent(precision)} of its edges are yours; show the missing ones`;
    const unread = blank ? "Nothing drawn yet" : "Follows your drawing";
    this.follow.textContent = share === null ? unread : `Follows your drawing: ${Math.round(100 * share)} %`;
    const map = wrong && decodeRuns(fromBase64(wrong) ?? [], 1);
    this.hatch(map);
    if (!map || this.kept) return;
    this.wrong.classList.add("is-on");
    clearTimeout(this.fade);
    this.fade = setTimeout(() => this.wrong.classList.remove("is-on"), 1600);
  }

  /** The number is of an older drawing now. */
  unsure() {
    this.foot.classList.add("is-unsure");
    if (!this.kept) this.wrong.classList.remove("is-on");
  }

  hatch(map) {
    this.foot.classList.remove("is-unsure");
    const context = this.wrong.getContext("2d"), image = context.createImageData(SIDE, SIDE);
    const cells = new Uint32Array(image.data.buffer);
    for (let i = 0; map && i < CELLS; i++) {
      const stripe = ((i % SIDE) + Math.floor(i / SIDE)) % 6;
      if (map[i] === 0) cells[i] = stripe < 2 ? 0xffffffff : stripe < 4 ? 0xb0000000 : 0;
    }
    context.putImageData(image, 0, 0);
  }

  /** Keep the hatching on, or let it fade. */
  keep(yes) {
    this.kept = yes;
    clearTimeout(this.fade);
    this.wrong.classList.toggle("is-on", yes);
  }
}

function tellTime(ms) {
  if (ms === null) return "";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
