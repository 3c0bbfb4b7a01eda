// The scribble tab: a few strokes in the colours of classes; what lies between them is the model's.

import { Classes } from "./classes.js";
import { encodePng } from "./codec.js";
import { openMask } from "./saving.js";
import { Studio, open } from "./studio.js";

const PEN = 5; // cells

export const mount = (element, base) => open(base, new ScribbleTab(element));

class ScribbleTab extends Studio {
  constructor(element) {
    super(element, "scribble");
    this.classes = new Classes(this.bench.palette, this.settings, 1);
    this.bench.setSize(PEN);
    this.bench.easel.blank = "nothing said";
  }

  takeModel() {
    this.classes.forget();
    super.takeModel();
  }

  /** A sample's own mask, thinned to strokes. */
  async sample(seed, truncation) {
    return this.readRuns((await this.ask("trace", { kind: this.kind, seed, truncation })).runs);
  }

  async examples() {
    const found = await this.ask("examples", { kind: this.kind });
    return found.map(({ name, runs, seed }) => ({ name, map: this.readRuns(runs), seed }));
  }

  known(map) {
    this.classes.dim(map);
  }

  begun(value) {
    this.classes.offer(value);
  }

  async openFile(file) {
    const runs = await openMask(file);
    if (runs !== null) this.startFrom(this.readRuns(runs));
  }

  /** A mask from another tab is thinned to strokes. */
  async receive(state) {
    const { runs } = await this.ask("trace", { kind: this.kind, of: "mask" }, await encodePng(state.map));
    return { ...state, map: this.readRuns(runs) };
  }
}
