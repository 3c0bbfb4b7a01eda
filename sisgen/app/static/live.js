// The live lane: one request at a time, always for the newest drawing; an older picture never follows a newer one.

const FIRST_WAIT = 120, LONGEST_WAIT = 4000; // ms before a refused drawing is sent again
const PATIENCE = 5; // failures in a row before the visitor is told

export class Live {
  /**
   * paint: (job, sequence number) -> Promise of a picture, for what `job` describes
   * current: () -> description of the newest drawing
   * show: (picture, job, sequence number), called with rising numbers only
   * refuse: (error), for refusals that will not pass by themselves
   */
  constructor({ paint, current, show, refuse, stale }) {
    Object.assign(this, { paint, current, show, refuse, stale });
    this.wanted = 0; // sequence number of the newest drawing
    this.shown = 0; // of the drawing whose picture is on the page
    this.running = false;
    this.idle = [];
  }

  /** Ask for a picture of the drawing as it is now. */
  request() {
    this.wanted++;
    this.stale(true);
    if (!this.running) this.run();
    return this.wanted;
  }

  /** Show a picture that is already known for the newest drawing. */
  known(picture, job) {
    this.wanted++;
    this.accept(picture, job, this.wanted);
  }

  /** Wait until the newest drawing's picture is on the page. */
  settled() {
    return this.shown === this.wanted && !this.running ? Promise.resolve() : new Promise((done) => this.idle.push(done));
  }

  accept(picture, job, number) {
    if (number <= this.shown) return; // a newer picture is there already
    this.shown = number;
    this.show(picture, job, number);
    if (number === this.wanted) this.stale(false);
  }

  async run() {
    this.running = true;
    let wait = FIRST_WAIT, failures = 0;
    while (this.shown < this.wanted) {
      const number = this.wanted, job = this.current();
      try {
        const start = performance.now(), picture = await this.paint(job, number);
        this.accept({ ...picture, ms: performance.now() - start }, job, number);
        wait = FIRST_WAIT;
        failures = 0;
      } catch (error) {
        if (!error.passing) {
          this.refuse(error);
          this.shown = Math.max(this.shown, number);
          if (number === this.wanted) this.stale(false);
          continue;
        }
        if (++failures === PATIENCE) this.refuse(error);
        await new Promise((done) => setTimeout(done, wait * (0.7 + 0.6 * Math.random())));
        wait = Math.min(2 * wait, LONGEST_WAIT);
      }
    }
    this.running = false;
    for (const done of this.idle.splice(0)) done();
  }
}
