// Before and after: a slider over the picture shows what it was before the drawing changed it.

import { CELLS, EMPTY } from "./codec.js";

export class Compare {
  /** studio: the tab, with `follower`, `job()` and a picture frame */
  constructor(studio) {
    this.studio = studio;
    this.before = studio.find(".sis-before");
    this.slider = studio.find("[data-divide]");
    this.button = studio.find("[data-do=compare]");
    this.slider.addEventListener("input", () => this.divide());
    this.on = false;
  }

  toggle() {
    this.on = !this.on;
    this.button.setAttribute("aria-pressed", String(this.on));
    this.slider.hidden = !this.on;
    if (!this.on) this.before.hidden = true;
    this.slider.value = 50;
    this.divide();
    this.follow();
    if (this.on) this.slider.focus({ preventScroll: true });
  }

  divide() {
    this.studio.find(".sis-picture").style.setProperty("--divide", `${this.slider.value}%`);
  }

  /** The sample has changed: what was before is another picture. */
  async follow() {
    if (!this.on) return;
    try {
      const { url } = await (this.studio.before?.() ?? this.plain());
      this.before.src = url;
      this.before.hidden = !this.on;
    } catch {
      // it is asked for again with the next sample
    }
  }

  /** The picture before anything was drawn. */
  plain() {
    const { also, weight, other, parts, ...job } = this.studio.job();
    return this.studio.follower.paint({ ...job, map: new Uint8Array(CELLS).fill(EMPTY) }, "rest");
  }
}
