// The mask tab: paint all areas with named classes.

import { Classes } from "./classes.js";
import { Parts } from "./parts.js";
import { openMask } from "./saving.js";
import { Studio, open } from "./studio.js";

const LEAST_CELLS = 24; // a sample has a class when this many cells of its own mask show it

export const mount = (element, base) => open(base, new MaskTab(element));

class MaskTab extends Studio {
  constructor(element) {
    super(element, "mask");
    this.classes = new Classes(this.bench.palette, this.settings, LEAST_CELLS);
    this.parts = new Parts(this);
  }

  takeModel() {
    this.classes.forget();
    super.takeModel();
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
}
