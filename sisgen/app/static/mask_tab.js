// The mask tab: which drawing of which model is on the easel, and who is told when it changes.

import { CELLS, EMPTY } from "./codec.js";
import { wireUpload } from "./files.js";
import { Follower } from "./follower.js";
import { History } from "./history.js";
import { wireMenu } from "./menu.js";
import { Picture } from "./picture.js";
import { openMask, save } from "./saving.js";
import { session } from "./session.js";
import { Settings, anySeed } from "./settings.js";
import { Starts } from "./starts.js";
import { decodeLink, encodeLink, packState, unpackState } from "./state.js";
import { recall, remember } from "./store.js";
import { toast } from "./toast.js";
import { Workbench } from "./workbench.js";

export async function mount(element, base) {
  session.base = base;
  const tab = new MaskTab(element);
  try {
    await session.choose(null);
    await tab.begin();
  } catch (error) {
    toast(error.message, { error: true, seconds: 600 });
  }
}

function dropUnknown(map, numLabels) {
  for (let i = 0; i < CELLS; i++) if (map[i] >= numLabels) map[i] = EMPTY;
}

const sameClasses = (a, b) => JSON.stringify(a.labels.map(({ name }) => name)) === JSON.stringify(b.labels.map(({ name }) => name));

class MaskTab {
  constructor(element) {
    const find = (selector) => element.querySelector(selector);
    this.element = element;
    this.find = find;
    this.settings = new Settings(find(".sis-settings"), () => this.resettle());
    this.picture = new Picture(find(".sis-picture"), find(".sis-picture-foot"));
    this.history = new History(find(".sis-history"), (state) => this.takeUp(state));
    this.bench = new Workbench(element, {
      change: () => this.follower.changed(),
      rest: () => this.rested(),
      start: (value) => this.starts.offer(value),
      shuffle: () => this.settings.set({ seed: anySeed() }),
    });
    this.drawing = this.bench.drawing;
    const hand = { job: () => this.job(), busy: () => this.bench.easel.busy, take: (seed) => this.settings.set({ seed }) };
    this.follower = new Follower(find(".sis-variations"), { picture: this.picture, history: this.history, hand });
    this.starts = new Starts(find(".sis-starts"), {
      settings: this.settings,
      palette: this.bench.palette,
      colors: () => this.bench.easel.colors,
      start: (map, how) => this.startFrom(map, how),
    });
    this.kept = new Map(); // model's name -> its drawing when another model took its place
    this.following = false; // whether the present change of model comes with a drawing
    this.wire();
  }

  job() {
    const { seed, truncation, strength } = this.settings;
    return { model: session.model.name, seed, truncation, strength, map: this.drawing.map.slice() };
  }

  state() {
    return { ...this.job(), revision: session.model.revision };
  }

  // Start.

  async begin() {
    this.takeModel();
    session.on("model", (model, before) => this.switchModel(before));
    const state = await this.firstState();
    this.restore(state, { step: false });
    this.bench.setTool("brush");
    this.bench.pick(Math.max(0, session.model.labels.findIndex((label) => label.name === "hair")));
    this.history.render();
    this.bench.studio.removeAttribute("aria-busy");
    window.addEventListener("hashchange", async () => {
      const linked = await this.linkedState();
      if (linked) this.restore(linked);
    });
  }

  /** A link's drawing, else that of the last visit, else an example, else the first sample's own mask. */
  async firstState() {
    const linked = await this.linkedState();
    if (linked) return linked;
    const kept = unpackState(recall("drawing"), EMPTY);
    if (kept && session.model.models.some((offer) => offer.name === kept.model)) {
      await this.chooseModelOf(kept);
      if (kept.model === session.model.name) return kept;
    }
    return this.startState();
  }

  /** What a model starts with: an example, else its first sample's own mask. */
  async startState() {
    const { examples, seed, truncation } = session.model;
    const map = examples.length ? this.starts.readRuns(examples[0].runs) : await this.starts.readSample(seed, truncation);
    return { seed, truncation, strength: 1, map };
  }

  async linkedState() {
    const state = unpackState(await decodeLink(location.hash), EMPTY);
    if (!state && location.hash.startsWith("#s=")) toast("This link is damaged, so the page starts as usual.");
    if (!state) return null;
    await this.chooseModelOf(state);
    return state;
  }

  // Models.

  /** Another model: the drawing stays where its classes do; else each model has its own, and comes with an example first. */
  async switchModel(before) {
    const { model } = session, fits = sameClasses(before, model), known = this.kept.get(model.name);
    const leaving = { ...this.settings.values(), model: before.name, map: this.drawing.map.slice() };
    if (!fits) this.drawing.forget();
    this.takeModel();
    if (this.following) return;
    if (fits) return this.resettle();
    this.kept.set(before.name, leaving);
    this.follower.stop();
    const state = known ?? (await this.startState());
    if (model !== session.model) return; // yet another one was chosen
    this.restore(state, { step: false });
    if (!known) toast(`${model.title} has other classes and starts anew; your drawing waits at ${before.title}.`);
  }

  takeModel() {
    const { model } = session;
    this.bench.setLabels(model.labels);
    this.settings.setModel(model);
    dropUnknown(this.drawing.map, model.labels.length);
    this.follower.forget();
    this.starts.forget();
    this.starts.render();
    this.bench.easel.render();
  }

  /** Choose the model that a drawing was made with; the present one stays where that fails. */
  async chooseModelOf(state) {
    if (state.model && state.model !== session.model.name) {
      this.following = true;
      try {
        await session.choose(state.model);
      } catch (error) {
        toast(error.message, { error: true });
      }
      this.following = false;
    } else if (state.revision && state.revision !== session.model.revision) {
      toast("This was made with another version of the model; the picture may differ.");
    }
    dropUnknown(state.map, session.model.labels.length);
  }

  // Drawings.

  rested() {
    remember("drawing", packState(this.state()));
    this.follower.rested();
  }

  /** Settings changed: a new picture of the same drawing. */
  resettle() {
    this.follower.changed();
    this.bench.rested();
    this.starts.follow();
  }

  startFrom(map, { anew = false } = {}) {
    const stepped = this.drawing.replace(map);
    if (anew && !this.settings.locked) return this.bench.easel.render(), this.settings.set({ seed: anySeed() });
    if (stepped) this.bench.redraw();
  }

  async takeUp(state) {
    await this.chooseModelOf(state);
    this.restore(state);
  }

  restore(state, { step = true } = {}) {
    if (step) this.drawing.replace(state.map);
    else this.drawing.map.set(state.map);
    this.bench.easel.render();
    this.settings.set(state);
  }

  // Wires.

  wire() {
    this.bench.studio.addEventListener("click", (event) => this.click(event.target.closest("[data-do]")));
    wireUpload(this.find("[data-file]"), this.find(".sis-drawing"), async (file) => {
      const runs = await openMask(file);
      if (runs !== null) this.startFrom(this.starts.readRuns(runs));
    });
    for (const menu of this.element.querySelectorAll(".sis-menu")) wireMenu(menu);
    session.link = async () => {
      const hash = await encodeLink(this.state());
      return hash && `${session.model.page || location.href.split("#")[0]}#${hash}`;
    };
  }

  click(button) {
    const name = button?.dataset.do ?? "";
    if (name.startsWith("save-")) save(name, this.job());
    if (name === "upload") this.find("[data-file]").click();
    if (name === "shuffle") this.settings.set({ seed: anySeed() });
    if (name === "lock") this.settings.lock(!this.settings.locked);
    if (name === "wrong") {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      this.picture.keep(on);
    }
  }
}
