// The picture follows the drawing: live while the pen moves; variations, agreement and history once it rests.

import { EMPTY } from "./codec.js";
import { packJob } from "./job.js";
import { Live } from "./live.js";
import { PictureCache } from "./pictures.js";
import { tellRecipe } from "./recipe.js";
import { session } from "./session.js";
import { shrink } from "./strips.js";
import { toast } from "./toast.js";
import { Variations } from "./variations.js";

const REST = 400, KEEP = 1500; // ms after the pen rests: variations, history

export class Follower {
  /**
   * strip: of the variations; picture: where it is shown; history: where it is kept
   * hand: { job() -> { model, kind, seed, truncation, strength, map, ... } as it is now, busy() whether a stroke is on its way,
   *         take(seed), varied() whether other samples make other pictures }
   */
  constructor(strip, { picture, history, hand }) {
    Object.assign(this, { picture, history, hand });
    this.cache = new PictureCache();
    this.variations = new Variations(strip, (seed) => hand.take(seed), (job) => this.paint(job, "rest"));
    this.live = new Live({
      paint: (job) => this.paint(job),
      current: () => hand.job(),
      show: (picture, job, number) => job.model === session.model.name && this.picture.show(picture, number, tellRecipe(job)),
      refuse: async (error) => (await hand.refused?.(error)) || toast(error.message, { error: true }),
      stale: (yes) => this.picture.stale(yes),
    });
  }

  /** Forget the pictures: another model paints now. */
  forget() {
    this.cache.clear();
  }

  stop() {
    this.variations.stop();
  }

  /** Paint a job; the picture may be known already. */
  async paint(job, rest) {
    const known = this.cache.get(job);
    if (known) return known;
    const { parameters, body } = await packJob(job);
    if (rest) parameters.rest = 1;
    const answer = await session.ask("paint", parameters, { body, signal: job.signal });
    const { ms, size, model } = JSON.parse(answer.headers.get("X-Sisgen"));
    const picture = this.cache.put(job, await answer.blob(), { ms, size });
    if (job.model === session.model.name && model !== session.model.full) session.choose(job.model); // the server has a newer one
    return picture;
  }

  changed() {
    this.variations.stop();
    clearTimeout(this.restTimer);
    clearTimeout(this.keepTimer);
    this.reading?.abort();
    this.picture.unsure();
    const job = this.hand.job(), known = this.cache.get(job);
    if (known) this.live.known({ ...known, ms: null }, job);
    else this.live.request();
  }

  /** The pen is up, or something else was done in one step. */
  async rested() {
    const number = this.live.wanted;
    clearTimeout(this.restTimer);
    this.restTimer = setTimeout(() => this.vary(number), REST);
    await this.live.settled();
    if (number === this.live.wanted) await this.read();
  }

  async read() {
    this.reading?.abort();
    this.reading = new AbortController();
    const job = this.hand.job(), { signal } = this.reading;
    try {
      const { parameters, body } = await packJob(job);
      const answer = await session.ask("reading", parameters, { body, signal });
      const told = await answer.json();
      if (!signal.aborted) this.picture.agree(told, job.map.every((value) => value === EMPTY));
    } catch {
      // the number stays as it was; the next stroke asks again
    }
  }

  async vary(number) {
    await this.live.settled();
    if (number !== this.live.wanted || this.hand.busy()) return;
    this.keepTimer = setTimeout(() => this.keep(number), KEEP - REST);
    if (this.hand.varied()) this.variations.start(this.hand.job());
  }

  async keep(number) {
    const job = this.hand.job(), known = this.cache.get(job);
    if (known && number === this.live.wanted) this.history.add({ ...this.hand.state(), ...job }, await shrink(known.url));
  }
}
