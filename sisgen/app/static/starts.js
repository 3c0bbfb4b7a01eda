// What a drawing can start from: nothing, the present sample, an example.

import { CELLS, EMPTY } from "./codec.js";
import { miniature, thumb } from "./strips.js";
import { toast } from "./toast.js";

const PAUSE = 150; // ms after which a new sample's own drawing is asked for

export class Starts {
  /**
   * strip: of the tiles
   * hand: { settings, colors() of the cells, start(map, { anew, seed }), sample(seed, truncation) -> Promise of its own drawing,
   *         examples() -> Promise of [{ name, map, seed? }], known(map) once the present sample's drawing is there }
   */
  constructor(strip, hand) {
    Object.assign(this, { strip, hand });
    this.words = { own: "Sample", name: "This sample's own drawing" };
    this.forget();
  }

  /** Another model or another kind: nothing is known of its samples yet. */
  forget() {
    this.turn = {}; // changes with what is on offer
    this.sample = null;
    this.examples = [];
  }

  /** Have the examples, then show all tiles. */
  async fill() {
    const { turn } = this;
    this.render();
    try {
      const examples = await this.hand.examples();
      if (turn !== this.turn) return;
      this.examples = examples;
      this.render();
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  render() {
    const colors = this.hand.colors(), blank = new Uint8Array(CELLS).fill(EMPTY);
    const tiles = [thumb("Blank", { canvas: miniature(blank, colors), caption: "Blank", pick: () => this.hand.start(blank) })];
    const own = this.sample?.seed === this.hand.settings.seed ? miniature(this.sample.map, colors) : null;
    tiles.push(thumb(this.words.name, { canvas: own, caption: this.words.own, pick: () => this.startFromSample() }));
    for (const { name, map, seed } of this.examples) {
      const how = seed === undefined ? { anew: true } : { seed };
      tiles.push(thumb(`Example: ${name}`, { canvas: miniature(map, colors), pick: () => this.hand.start(map, how) }));
    }
    this.strip.replaceChildren(...tiles);
  }

  async startFromSample() {
    const { seed, truncation } = this.hand.settings, { sample } = this;
    try {
      this.hand.start(sample?.seed === seed && sample.truncation === truncation ? sample.map : await this.hand.sample(seed, truncation));
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  /** The sample has changed: look at its own drawing, a little later. */
  follow() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), PAUSE);
  }

  async look() {
    const { seed, truncation } = this.hand.settings, { turn } = this;
    try {
      const map = await this.hand.sample(seed, truncation);
      if (seed !== this.hand.settings.seed || turn !== this.turn) return;
      this.sample = { seed, truncation, map };
      this.hand.known?.(map);
      this.render();
    } catch {
      // the tiles stay as they were
    }
  }
}
