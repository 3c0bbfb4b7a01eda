// A tab that draws: which drawing of which model is on the easel, and who is told when it changes.

import { CELLS, EMPTY, decodeRuns, fromBase64 } from "./codec.js";
import { Compare } from "./compare.js";
import { wireUpload } from "./files.js";
import { Follower } from "./follower.js";
import { History } from "./history.js";
import { readKept } from "./kept.js";
import { wireMenu } from "./menu.js";
import { Mixing } from "./mixing.js";
import { Picture } from "./picture.js";
import { save } from "./saving.js";
import { wireSending } from "./sending.js";
import { session } from "./session.js";
import { Settings, anySeed } from "./settings.js";
import { Starts } from "./starts.js";
import { encodeLink, packState, unpackState } from "./state.js";
import { recall, remember } from "./store.js";
import { toast } from "./toast.js";
import { Workbench } from "./workbench.js";

/** Put a tab on the page: it begins when it is shown for the first time and a model is there. */
export function open(base, tab) {
  session.base = base;
  session.studios.set(tab.name, tab);
  session.on("tab", () => tab.look());
  session.on("model", () => tab.look());
  tab.look();
}

const sameClasses = (a, b) => JSON.stringify(a.labels.map(({ name }) => name)) === JSON.stringify(b.labels.map(({ name }) => name));

export class Studio {
  constructor(element, name) {
    const find = (selector) => element.querySelector(selector);
    Object.assign(this, { element, name, find });
    this.model = null; // whose drawing is on the easel
    this.arriving = false; // whether its first drawing is on the way; one that does not come is asked for when the tab is shown again
    this.settings = new Settings(find(".sis-settings"), () => this.resettle());
    this.picture = new Picture(find(".sis-picture"), find(".sis-picture-foot"));
    this.history = new History(find(".sis-history"));
    this.bench = new Workbench(element, {
      change: () => this.follower.changed(),
      rest: () => this.rested(),
      start: (value) => this.begun(value),
      shuffle: () => this.settings.set({ seed: anySeed() }),
      compare: () => this.compare.toggle(),
    });
    this.drawing = this.bench.drawing;
    this.follower = new Follower(find(".sis-variations"), { picture: this.picture, history: this.history, hand: this });
    this.compare = new Compare(this);
    this.starts = new Starts(find(".sis-starts"), {
      settings: this.settings,
      colors: () => this.bench.easel.colors,
      start: (map, how) => this.startFrom(map, how),
      sample: (seed, truncation) => this.sample(seed, truncation),
      examples: () => this.examples(),
      known: (map) => this.known(map),
    });
    this.mixing = new Mixing(this);
    this.parts = null; // taken from other samples, where a tab offers that; see `Parts`
    this.kept = new Map(); // model's name -> its drawing when another model took its place
    this.following = false; // whether the present change of model comes with a drawing
    this.wire();
  }

  // What a tab may have otherwise: a model's classes are painted, samples lend their own masks.

  /** What the drawing is. */
  get kind() {
    return this.name;
  }

  /** Further settings of a picture. */
  extras() {
    return {};
  }

  /** What is painted first: hair where there is any, else what comes after the background. */
  get firstPen() {
    const names = this.model.labels.map(({ name }) => name);
    return names.includes("hair") ? names.indexOf("hair") : Math.min(1, names.length - 1);
  }

  /** Lay out the palette and the colours of the cells. */
  dress() {
    this.bench.setLabels(this.model.labels);
  }

  /** How many values a cell can have. */
  get numValues() {
    return this.model.labels.length;
  }

  /** The own drawing of a sample, a map. */
  async sample(seed, truncation) {
    return this.readRuns((await this.ask("sample", { seed, truncation })).runs);
  }

  /** A drawing of any kind of what the picture is made from: of the present sample. */
  async drawingOf(kind) {
    const { seed, truncation } = this.settings, path = kind === "mask" ? "sample" : "trace";
    return this.readRuns((await this.ask(path, { kind, seed, truncation })).runs, EMPTY);
  }

  /** What `drawingOf` draws, in words. */
  get whose() {
    return `sample ${this.settings.seed}`;
  }

  async examples() {
    return this.model.examples.map(({ name, runs }) => ({ name, map: this.readRuns(runs) }));
  }

  /** The present sample's own drawing is known. */
  known() {}

  /** A stroke begins. */
  begun() {}

  /** What a model starts with: an example, else its first sample's own drawing. */
  async startState() {
    const { seed, truncation } = this.model, [example] = await this.examples();
    const map = example?.map ?? (await this.sample(seed, truncation));
    return { seed: example?.seed ?? seed, truncation, strength: 1, map };
  }

  /** Whether a drawing for one model can be one for another. */
  fits(before, model) {
    return sameClasses(before, model);
  }

  /** Read a file that a visitor brings. */
  async openFile() {}

  /** Whether other samples make other pictures. */
  varied() {
    return true;
  }

  // The drawing with its settings.

  job() {
    const { seed, truncation, strength } = this.settings, mixed = { ...this.mixing.job(), ...this.parts?.job() };
    return { model: this.model.name, kind: this.kind, ...this.extras(), seed, truncation, strength, ...mixed, map: this.drawing.map.slice() };
  }

  state() {
    return { ...this.job(), tab: this.name, revision: this.model.revision };
  }

  /** Whether it has no drawing yet. */
  get beginning() {
    return this.bench.studio.hasAttribute("aria-busy");
  }

  busy() {
    return this.bench.easel.busy;
  }

  take(seed) {
    this.settings.set({ seed });
  }

  /** The drawing of a kind that this tab holds for the present model, of this visit or of the last one; null for none. */
  held(kind) {
    if (this.beginning) {
      const kept = unpackState(recall(this.shelf), EMPTY);
      return kept?.tab === this.name && kept.kind === kind && kept.model === session.model.name ? kept.map : null;
    }
    return this.model === session.model || this.fits(this.model, session.model) ? this.sheet(kind) : (this.kept.get(session.model.name)?.map ?? null);
  }

  sheet(kind) {
    return kind === this.kind ? this.drawing.map : null;
  }

  /** Another tab leads here to draw a kind. */
  wish() {}

  /** Whether any of a class is in the drawing, or in what the model decides. */
  shows(value) {
    return this.drawing.map.includes(value) || (this.drawing.map.includes(EMPTY) && (this.starts.sample?.map.includes(value) ?? true));
  }

  readRuns(runs, numValues = this.numValues) {
    return decodeRuns(fromBase64(runs) ?? [], numValues) ?? new Uint8Array(CELLS).fill(EMPTY);
  }

  /** Ask for JSON about the model of the drawing. */
  async ask(path, parameters = {}, body) {
    return (await session.ask(path, { model: this.model.name, ...parameters }, { body })).json();
  }

  // Start.

  /** The tab is shown, another model is chosen, or a state waits for this tab. */
  async look() {
    if (session.tab !== this.name || !session.model || !session.reads(this.name)) return;
    session.link = () => this.link();
    try {
      if (this.arriving && !this.following) return; // `begin` sees that another model was chosen, and starts over
      if (this.beginning && !this.arriving) return await this.begin();
      const handed = session.take(this.name);
      if (handed) await this.takeUp(handed);
      else if (this.model !== session.model) await this.switchModel(this.model);
      this.mixing.refresh();
    } catch (error) {
      toast(error.message, { error: true, seconds: 60 });
    }
  }

  async begin() {
    this.takeModel();
    const state = await this.firstArrival();
    if (this.model !== session.model) return this.look(); // another one was chosen meanwhile, which may not read such drawings at all
    this.restore(state, { step: false });
    this.bench.setTool("brush");
    this.bench.pick(this.firstPen);
    this.history.render();
    this.bench.studio.removeAttribute("aria-busy");
  }

  /** What was handed over, else what the tab begins with. */
  async firstArrival() {
    this.arriving = true;
    try {
      return (await this.arrived(session.take(this.name))) ?? (await this.firstState());
    } finally {
      this.arriving = false;
    }
  }

  get shelf() {
    return this.name === "mask" ? "drawing" : `drawing.${this.name}`;
  }

  /** The drawing of the last visit, else what a model starts with. */
  async firstState() {
    const kept = unpackState(recall(this.shelf), EMPTY);
    if (kept?.tab !== this.name || kept.model !== session.model.name) return this.startState();
    await this.chooseModelOf(kept);
    return kept;
  }

  // Models.

  /** Another model: the drawing stays where it fits; else each model has its own, and comes with an example first. */
  async switchModel(before) {
    const { model } = session, fits = this.fits(before, model), known = this.kept.get(model.name);
    const leaving = { ...this.job(), model: before.name };
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
    const before = this.model;
    this.model = session.model;
    this.mixing.follow(!before || sameClasses(before, this.model));
    if (before?.name !== this.model.name) this.parts?.restore({}); // samples of another model are other samples
    this.dress();
    this.settings.setModel(this.model);
    this.dropUnknown(this.drawing.map);
    this.follower.forget();
    this.starts.forget();
    this.starts.fill();
    this.bench.easel.render();
  }

  dropUnknown(map) {
    for (let i = 0; i < CELLS; i++) if (map[i] >= this.numValues) map[i] = EMPTY;
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
  }

  // Drawings.

  rested() {
    remember(this.shelf, packState(this.state()));
    this.follower.rested();
  }

  /** Settings changed: a new picture of the same drawing. */
  resettle() {
    this.follower.changed();
    this.bench.rested();
    this.starts.follow();
    this.compare.follow();
  }

  /** The mix or the parts changed: a new picture of the same drawing. */
  remix() {
    this.follower.changed();
    this.bench.rested();
  }

  startFrom(map, { anew = false, seed } = {}) {
    const stepped = this.drawing.replace(map), other = seed ?? (anew ? anySeed() : undefined);
    if (other !== undefined && !this.settings.locked) return this.bench.easel.render(), this.settings.set({ seed: other });
    if (stepped) this.bench.redraw();
  }

  async takeUp(state) {
    const arrived = await this.arrived(state);
    if (arrived) this.restore(arrived);
  }

  /** A state from elsewhere, with the model that it was made with; null where that fails, after a message. */
  async arrived(state) {
    if (!state) return null;
    await this.chooseModelOf(state);
    try {
      return state.sent ? await this.receive(state) : state;
    } catch (error) {
      toast(error.message, { error: true });
      return null;
    }
  }

  /** Make a drawing of what another tab has sent: the same classes, unless a tab knows better. */
  async receive(state) {
    const { blob } = state.sent;
    return blob ? { ...state, map: this.readRuns((await this.ask("labels", {}, blob)).runs) } : state;
  }

  restore(state, { step = true } = {}) {
    const map = state.map.slice();
    this.dropUnknown(map);
    if (step) this.drawing.replace(map);
    else this.drawing.map.set(map);
    this.bench.easel.render();
    this.mixing.restore(state);
    this.parts?.restore(state);
    this.settings.set(state);
  }

  /** A file that a visitor brings: a picture that was made here brings its drawing back. */
  async open(file) {
    const state = await readKept(file);
    return state ? session.open(state) : this.openFile(file);
  }

  async link() {
    const hash = await encodeLink(this.state());
    return hash && `${session.model.page || location.href.split("#")[0]}#${hash}`;
  }

  // Wires.

  wire() {
    this.bench.studio.addEventListener("click", (event) => this.click(event.target.closest("[data-do]")));
    wireUpload(this.find("[data-file]"), this.find(".sis-drawing"), (file) => this.open(file));
    wireSending(this.find("[data-menu=send]"), this);
    for (const menu of this.element.querySelectorAll(".sis-menu")) wireMenu(menu);
  }

  click(button) {
    const name = button?.dataset.do ?? "";
    if (name.startsWith("save-")) save(name, this.job());
    if (name === "upload") this.find("[data-file]").click();
    if (name === "shuffle") this.settings.set({ seed: anySeed() });
    if (name === "lock") this.settings.lock(!this.settings.locked);
    if (name === "compare") this.compare.toggle();
    if (name.startsWith("mix-")) this.mixing.click(name);
    if (name.startsWith("part-")) this.parts.click(name);
    if (name === "wrong") {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      this.picture.keep(on);
    }
  }
}
