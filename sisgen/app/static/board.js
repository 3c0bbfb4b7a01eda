// The board of samples: pictures to choose from, coloured by what the labels teach once that is known.

import { CELLS, EMPTY, encodePng } from "./codec.js";
import { session } from "./session.js";
import { miniature, thumb } from "./strips.js";

export const PER_PAGE = 9;

/** Pictures of plain samples of one model, each asked for once, a few at a time. */
export class SamplePictures {
  constructor(model, truncation, atOnce = 2) {
    Object.assign(this, { model, truncation });
    this.known = new Map(); // seed -> Promise of an address
    this.line = Array(atOnce).fill(Promise.resolve());
    this.turn = 0;
  }

  get(seed) {
    if (!this.known.has(seed)) {
      const lane = this.turn++ % this.line.length, picture = this.line[lane].then(() => this.fetch(seed));
      this.line[lane] = picture.catch(() => null);
      this.known.set(seed, picture);
      picture.catch(() => this.known.delete(seed)); // asked for again when it is needed again
    }
    return this.known.get(seed);
  }

  async fetch(seed) {
    const body = await encodePng(new Uint8Array(CELLS).fill(EMPTY));
    const parameters = { model: this.model, seed, truncation: this.truncation, strength: 1, rest: 1 };
    for (let attempt = 0; ; attempt++) {
      try {
        return URL.createObjectURL(await (await session.ask("paint", parameters, { body })).blob());
      } catch (error) {
        if (!error.passing || attempt > 5) throw error;
        await new Promise((done) => setTimeout(done, 300 * 2 ** attempt));
      }
    }
  }
}

export class Board {
  /** strip: of the tiles; choose: (seed) */
  constructor(strip, choose) {
    Object.assign(this, { strip, choose });
  }

  /** state: { seeds, pictures, chosen, painted: Set, readings: Map seed -> map, next, colors } */
  render({ seeds, pictures, chosen, painted, readings, next, colors }) {
    this.strip.replaceChildren(...seeds.map((seed) => {
      const tags = [painted.has(seed) && "painted", seed === next && "paint this next"].filter(Boolean);
      const tile = thumb([`Sample ${seed}`, ...tags].join(", "), { pick: () => this.choose(seed), caption: seed === next ? "Next" : undefined });
      tile.dataset.seed = seed;
      tile.setAttribute("aria-pressed", String(seed === chosen));
      tile.classList.toggle("is-painted", painted.has(seed));
      tile.classList.toggle("is-next", seed === next);
      fill(tile, pictures.get(seed));
      if (readings.has(seed)) tile.prepend(Object.assign(miniature(readings.get(seed), colors), { className: "sis-reading" }));
      return tile;
    }));
  }
}

async function fill(tile, picture) {
  try {
    const url = await picture;
    tile.prepend(Object.assign(new Image(), { src: url, alt: "", draggable: false }));
  } catch {
    tile.classList.add("is-missing");
  }
}
