// The classes of a model on the palette: which of them the present sample lacks, and a sample that has them.

import { session } from "./session.js";
import { toast } from "./toast.js";

export class Classes {
  /** least: a sample has a class when this many cells of its own drawing show it */
  constructor(palette, settings, least) {
    Object.assign(this, { palette, settings, least });
    this.forget();
  }

  forget() {
    this.offered = new Set();
    this.absent = new Set();
  }

  /** Dim what a sample lacks, by its own drawing. */
  dim(map) {
    const counts = new Uint32Array(256);
    for (const value of map) counts[value]++;
    this.absent = new Set(session.model.labels.map((_, i) => i).filter((i) => counts[i] < this.least));
    this.palette.dim(this.absent);
  }

  /** Where a class is painted that the sample lacks, offer a sample that has it, once. */
  offer(value) {
    const name = session.model.labels[value]?.name, { settings } = this, { seed } = settings;
    const seeds = (session.model.classSeeds[name] ?? []).filter((other) => other !== seed);
    if (!this.absent.has(value) || !seeds.length || this.offered.has(`${seed} ${value}`)) return;
    this.offered.add(`${seed} ${value}`);
    const run = () => settings.set({ seed: seeds[Math.floor(Math.random() * seeds.length)] });
    toast(`This sample has no ${name}.`, { action: `Use a sample with ${name}`, run, seconds: 9 });
  }
}
