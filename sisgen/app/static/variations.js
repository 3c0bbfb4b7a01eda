// Four other samples under the same drawing; a click takes one over.

import { anySeed } from "./settings.js";
import { thumb } from "./strips.js";

export class Variations {
  constructor(strip, take, paint) {
    Object.assign(this, { strip, take, paint });
    this.seeds = [anySeed(), anySeed(), anySeed(), anySeed()];
    this.stopper = null;
    this.tiles = this.seeds.map((_, i) => thumb(`Variation ${i + 1}`, { pick: () => this.swap(i) }));
    strip.replaceChildren(...this.tiles);
  }

  /** The chosen variation becomes the picture, and the picture's sample takes its place. */
  swap(i) {
    const seed = this.seeds[i];
    this.seeds[i] = this.seed ?? anySeed();
    this.take(seed);
  }

  /** The tiles that have a picture: { seed, url }. */
  shown() {
    return this.tiles.flatMap((tile, i) => (tile.dataset.sample ? [{ seed: Number(tile.dataset.sample), url: tile.querySelector("img").src }] : []));
  }

  stop() {
    this.stopper?.abort();
  }

  async start(job) {
    this.stop();
    this.seed = job.seed;
    const stopper = (this.stopper = new AbortController());
    this.strip.classList.add("is-late");
    for (let i = 0; i < this.seeds.length && !stopper.signal.aborted; i += 2) {
      // Two at a time: a stroke that begins now waits for no more than these.
      await Promise.all([i, i + 1].map((k) => this.one({ ...job, seed: this.seeds[k] }, k, stopper.signal)));
    }
    if (!stopper.signal.aborted) this.strip.classList.remove("is-late");
  }

  async one(job, i, signal) {
    try {
      const { url } = await this.paint({ ...job, signal });
      if (signal.aborted) return;
      const tile = this.tiles[i], image = tile.querySelector("img") ?? tile.appendChild(Object.assign(new Image(), { alt: "" }));
      image.src = url;
      tile.title = `Sample ${job.seed}`;
      tile.dataset.sample = job.seed;
    } catch {
      // stopped by the next stroke, or refused: the picture before stays
    }
  }
}
