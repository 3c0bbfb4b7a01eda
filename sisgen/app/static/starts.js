// What a drawing can start from: nothing, the present sample's own mask, an example.

import { CELLS, EMPTY, decodeRuns, fromBase64 } from "./codec.js";
import { session } from "./session.js";
import { miniature, thumb } from "./strips.js";
import { toast } from "./toast.js";

const LEAST_CELLS = 24; // a sample has a class when this many cells of its own mask show it
const PAUSE = 150; // ms after which a new sample's own mask is asked for

export class Starts {
  /** strip: of the tiles; hand: { settings, palette, colors() of the classes, start(map, { anew }) } */
  constructor(strip, hand) {
    Object.assign(this, { strip, hand });
    this.forget();
  }

  /** Another model: nothing is known of its samples yet. */
  forget() {
    this.offered = new Set();
    this.absent = new Set();
    this.sample = null;
  }

  readRuns(runs) {
    return decodeRuns(fromBase64(runs) ?? [], session.model.labels.length) ?? new Uint8Array(CELLS).fill(EMPTY);
  }

  render() {
    const colors = this.hand.colors(), blank = new Uint8Array(CELLS).fill(EMPTY);
    const tiles = [thumb("Blank", { canvas: miniature(blank, colors), caption: "Blank", pick: () => this.hand.start(blank) })];
    const own = this.sample?.seed === this.hand.settings.seed ? miniature(this.sample.map, colors) : null;
    tiles.push(thumb("This sample's own mask", { canvas: own, caption: "Sample", pick: () => this.startFromSample() }));
    for (const { name, runs } of session.model.examples) {
      const map = this.readRuns(runs);
      tiles.push(thumb(`Example: ${name}`, { canvas: miniature(map, colors), pick: () => this.hand.start(map, { anew: true }) }));
    }
    this.strip.replaceChildren(...tiles);
  }

  async startFromSample() {
    const { seed, truncation } = this.hand.settings, { sample } = this;
    try {
      this.hand.start(sample?.seed === seed && sample.truncation === truncation ? sample.map : await this.readSample(seed, truncation));
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  /** The own mask of a sample. */
  async readSample(seed, truncation) {
    const answer = await session.ask("sample", { model: session.model.name, seed, truncation });
    return this.readRuns((await answer.json()).runs);
  }

  /** The sample has changed: look which classes it lacks, a little later. */
  follow() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.findAbsent(), PAUSE);
  }

  async findAbsent() {
    const { seed, truncation } = this.hand.settings, { name, labels } = session.model;
    try {
      const map = await this.readSample(seed, truncation);
      if (seed !== this.hand.settings.seed || name !== session.model.name) return;
      const counts = new Uint32Array(256);
      for (const value of map) counts[value]++;
      this.absent = new Set(labels.map((_, i) => i).filter((i) => counts[i] < LEAST_CELLS));
      this.hand.palette.dim(this.absent);
      this.sample = { seed, truncation, map };
      this.render();
    } catch {
      // the chips stay as they were
    }
  }

  /** Where a class is painted that the sample lacks, offer a sample that has it, once. */
  offer(value) {
    const name = session.model.labels[value]?.name, { settings } = this.hand, { seed } = settings;
    const seeds = (session.model.classSeeds[name] ?? []).filter((other) => other !== seed);
    if (!this.absent.has(value) || !seeds.length || this.offered.has(`${seed} ${value}`)) return;
    this.offered.add(`${seed} ${value}`);
    const run = () => settings.set({ seed: seeds[Math.floor(Math.random() * seeds.length)] });
    toast(`This sample has no ${name}.`, { action: `Use a sample with ${name}`, run, seconds: 9 });
  }
}
