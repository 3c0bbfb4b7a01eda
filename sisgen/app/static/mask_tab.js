// The mask tab: brings drawing, picture, settings and strips together.

import { CELLS, EMPTY, decodeRuns, encodePng, fromBase64 } from "./codec.js";
import { Drawing } from "./drawing.js";
import { Easel } from "./easel.js";
import { saveAnswer, wireUpload } from "./files.js";
import { History } from "./history.js";
import { wireKeys } from "./keys.js";
import { Live } from "./live.js";
import { wireMenu } from "./menu.js";
import { Palette } from "./palette.js";
import { Picture } from "./picture.js";
import { PictureCache } from "./pictures.js";
import { session } from "./session.js";
import { Settings, anySeed } from "./settings.js";
import { decodeLink, encodeLink, packState, unpackState } from "./state.js";
import { recall, remember } from "./store.js";
import { miniature, shrink, thumb } from "./strips.js";
import { toast } from "./toast.js";
import { Variations } from "./variations.js";

const LEAST_CELLS = 24; // a sample has a class when this many cells of its own mask show it
const REST = 400, KEEP = 1500; // ms after the pen rests: variations, history

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
    this.studio = find(".sis-studio");
    this.drawing = new Drawing();
    this.tool = { name: "brush", value: 0, size: 14 };
    this.settings = new Settings(find(".sis-settings"), () => this.resettle());
    this.palette = new Palette(find(".sis-palette"), (value) => this.pick(value));
    this.picture = new Picture(find(".sis-picture"), find(".sis-picture-foot"));
    this.cache = new PictureCache();
    this.history = new History(find(".sis-history"), (state) => this.takeUp(state));
    this.easel = new Easel(find(".sis-drawing"), this.drawing, this.tool, this.handOfEasel());
    this.variations = new Variations(find(".sis-variations"), (seed) => this.settings.set({ seed }), (job) => this.paint(job, "rest"));
    this.live = new Live({
      paint: (job) => this.paint(job),
      current: () => this.job(),
      show: (picture, job, number) => job.model === session.model.name && this.picture.show(picture, number),
      refuse: (error) => toast(error.message, { error: true }),
      stale: (yes) => this.picture.stale(yes),
    });
    this.offered = new Set();
    this.absent = new Set();
    this.kept = new Map(); // model's name -> its drawing when another model took its place
    this.following = false; // whether the present change of model comes with a drawing
    this.wire();
  }

  get labels() {
    return session.model.labels;
  }

  handOfEasel() {
    return {
      change: () => this.changed(),
      rest: () => this.rested(),
      pick: (value) => value !== EMPTY && this.pick(value),
      start: (value) => this.offerSample(value),
      size: (size) => this.setSize(size),
      view: (zoom) => (this.find("[data-do=unzoom]").disabled = zoom === 1),
    };
  }

  // Start.

  async begin() {
    this.takeModel();
    session.on("model", (model, before) => this.switchModel(before));
    const state = await this.firstState();
    this.restore(state, { step: false });
    this.setTool("brush");
    this.pick(Math.max(0, this.labels.findIndex((label) => label.name === "hair")));
    this.history.render();
    this.studio.removeAttribute("aria-busy");
    window.addEventListener("hashchange", async () => {
      const linked = await this.linkedState();
      if (linked) this.restore(linked);
    });
  }

  /** Another model: the drawing stays where its classes do; else each model has its own, and comes with an example first. */
  async switchModel(before) {
    const { model } = session, fits = sameClasses(before, model), known = this.kept.get(model.name);
    const leaving = { ...this.settings.values(), model: before.name, map: this.drawing.map.slice() };
    if (!fits) this.drawing.forget();
    this.takeModel();
    if (this.following) return;
    if (fits) return this.resettle();
    this.kept.set(before.name, leaving);
    this.variations.stop();
    const state = known ?? (await this.startState());
    if (model !== session.model) return; // yet another one was chosen
    this.restore(state, { step: false });
    if (!known) toast(`${model.title} has other classes and starts anew; your drawing waits at ${before.title}.`);
  }

  takeModel() {
    const model = session.model;
    this.easel.setLabels(model.labels);
    this.palette.setLabels(model.labels);
    this.pick(Math.min(this.tool.value, model.labels.length - 1));
    this.settings.setModel(model);
    dropUnknown(this.drawing.map, model.labels.length);
    this.cache.clear();
    this.offered.clear();
    this.absent.clear();
    this.sample = null;
    this.renderStarts();
    this.easel.render();
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
    const map = examples.length ? this.readRuns(examples[0].runs) : await this.sampleMask(seed, truncation);
    return { seed, truncation, strength: 1, map };
  }

  async linkedState() {
    const state = unpackState(await decodeLink(location.hash), EMPTY);
    if (!state && location.hash.startsWith("#s=")) toast("This link is damaged, so the page starts as usual.");
    if (!state) return null;
    await this.chooseModelOf(state);
    return state;
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
    dropUnknown(state.map, this.labels.length);
  }

  // The picture follows.

  job() {
    const { seed, truncation, strength } = this.settings;
    return { model: session.model.name, seed, truncation, strength, map: this.drawing.map.slice() };
  }

  /** Paint a job; the picture may be known already. */
  async paint(job, rest, signal) {
    const known = this.cache.get(job);
    if (known) return known;
    const parameters = { model: job.model, seed: job.seed, truncation: job.truncation, strength: job.strength };
    if (rest) parameters.rest = 1;
    const body = await encodePng(job.map);
    const answer = await session.ask("paint", parameters, { body, signal: signal ?? job.signal });
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
    const known = this.cache.get(this.job());
    if (known) this.live.known({ ...known, ms: null }, this.job());
    else this.live.request();
  }

  /** The pen is up, or something else was done in one step. */
  async rested() {
    this.find("[data-do=undo]").disabled = !this.drawing.past.length;
    this.find("[data-do=redo]").disabled = !this.drawing.future.length;
    remember("drawing", packState(this.state()));
    const number = this.live.wanted;
    clearTimeout(this.restTimer);
    this.restTimer = setTimeout(() => this.vary(number), REST);
    await this.live.settled();
    if (number === this.live.wanted) await this.read();
  }

  state() {
    return { ...this.job(), revision: session.model.revision };
  }

  async read() {
    this.reading?.abort();
    this.reading = new AbortController();
    const { map, ...parameters } = this.job(), { signal } = this.reading;
    try {
      const answer = await session.ask("reading", parameters, { body: await encodePng(map), signal });
      const told = await answer.json();
      if (!signal.aborted) this.picture.agree(told);
    } catch {
      // the number stays as it was; the next stroke asks again
    }
  }

  async vary(number) {
    await this.live.settled();
    if (number !== this.live.wanted || this.easel.busy) return;
    this.keepTimer = setTimeout(() => this.keep(number), KEEP - REST);
    this.variations.start(this.job());
  }

  async keep(number) {
    const state = this.state(), known = this.cache.get(state);
    if (known && number === this.live.wanted) this.history.add(state, await shrink(known.url));
  }

  /** Settings changed: a new picture of the same drawing. */
  resettle() {
    this.changed();
    this.rested();
    clearTimeout(this.sampleTimer);
    this.sampleTimer = setTimeout(() => this.findAbsent(), 150);
  }

  // Samples.

  async sampleMask(seed, truncation) {
    const answer = await session.ask("sample", { model: session.model.name, seed, truncation });
    return this.readRuns((await answer.json()).runs);
  }

  async findAbsent() {
    const { seed, truncation } = this.settings, { name } = session.model;
    try {
      const map = await this.sampleMask(seed, truncation);
      if (seed !== this.settings.seed || name !== session.model.name) return;
      const counts = new Uint32Array(256);
      for (const value of map) counts[value]++;
      this.absent = new Set(this.labels.map((_, i) => i).filter((i) => counts[i] < LEAST_CELLS));
      this.palette.dim(this.absent);
      this.sample = { seed, truncation, map };
      this.renderStarts();
    } catch {
      // the chips stay as they were
    }
  }

  offerSample(value) {
    const name = this.labels[value]?.name, { seed } = this.settings;
    const seeds = (session.model.classSeeds[name] ?? []).filter((other) => other !== seed);
    if (!this.absent.has(value) || !seeds.length || this.offered.has(`${seed} ${value}`)) return;
    this.offered.add(`${seed} ${value}`);
    const run = () => this.settings.set({ seed: seeds[Math.floor(Math.random() * seeds.length)] });
    toast(`This sample has no ${name}.`, { action: `Use a sample with ${name}`, run, seconds: 9 });
  }

  // Starting points.

  readRuns(runs) {
    return decodeRuns(fromBase64(runs) ?? [], this.labels.length) ?? new Uint8Array(CELLS).fill(EMPTY);
  }

  renderStarts() {
    const { colors } = this.easel, blank = new Uint8Array(CELLS).fill(EMPTY);
    const tiles = [thumb("Blank", { canvas: miniature(blank, colors), caption: "Blank", pick: () => this.startFrom(blank) })];
    const own = this.sample?.seed === this.settings.seed ? miniature(this.sample.map, colors) : null;
    tiles.push(thumb("This sample's own mask", { canvas: own, caption: "Sample", pick: () => this.startFromSample() }));
    for (const { name, runs } of session.model.examples) {
      const map = this.readRuns(runs);
      tiles.push(thumb(`Example: ${name}`, { canvas: miniature(map, colors), pick: () => this.startFrom(map, { anew: true }) }));
    }
    this.find(".sis-starts").replaceChildren(...tiles);
  }

  startFrom(map, { anew = false } = {}) {
    const stepped = this.drawing.replace(map);
    if (anew && !this.settings.locked) return this.easel.render(), this.settings.set({ seed: anySeed() });
    if (stepped) this.redraw();
  }

  async startFromSample() {
    const { seed, truncation } = this.settings;
    try {
      this.startFrom(this.sample?.seed === seed && this.sample.truncation === truncation ? this.sample.map : await this.sampleMask(seed, truncation));
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  async takeUp(state) {
    await this.chooseModelOf(state);
    this.restore(state);
  }

  restore(state, { step = true } = {}) {
    if (step) this.drawing.replace(state.map);
    else this.drawing.map.set(state.map);
    this.easel.render();
    this.settings.set(state);
  }

  redraw() {
    this.easel.render();
    this.changed();
    this.rested();
  }

  // Tools.

  pick(value) {
    if (value >= this.labels.length) return;
    this.tool.value = value;
    this.palette.mark(value);
    if (this.tool.name === "eraser") this.setTool("brush");
  }

  setTool(name) {
    this.tool.name = name;
    for (const button of this.element.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === name));
    }
  }

  setSize(size) {
    const whole = size > this.tool.size ? Math.ceil(size) : size < this.tool.size ? Math.floor(size) : size;
    this.tool.size = Math.min(64, Math.max(1, whole));
    this.find("[data-size]").value = this.tool.size;
    this.find("[data-size-value]").textContent = this.tool.size;
    this.find("[data-size]").style.setProperty("--at", `${((this.tool.size - 1) / 63) * 100}%`);
  }

  step(way) {
    if (!this.easel.busy && this.drawing[way]()) this.redraw();
  }

  async openFile(file) {
    if (file.size > 20 * 2 ** 20) return toast("A file may have at most 20 MB, but this one is larger; make it smaller.", { error: true });
    try {
      const answer = await session.ask("open-mask", { model: session.model.name }, { body: file });
      this.startFrom(this.readRuns((await answer.json()).runs));
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  async save(what) {
    const { map, ...settings } = this.job(), name = `${session.model.title}-${settings.seed}`;
    const jobs = {
      "save-mask": async () => saveAnswer(await session.ask("save-mask", settings, { body: await encodePng(map) }), `${name}-mask.png`),
      "save-json": async () => saveAnswer(await session.ask("palette", { model: settings.model, kind: "json" }), "palette.json"),
      "save-gpl": async () => saveAnswer(await session.ask("palette", { model: settings.model, kind: "gpl" }), `${session.model.title}.gpl`),
      "save-1": async () => saveAnswer(await session.ask("save-picture", settings, { body: await encodePng(map) }), `${name}.png`),
      "save-4": async () => saveAnswer(await session.ask("save-picture", { ...settings, scale: 4 }, { body: await encodePng(map) }), `${name}-large.png`),
    };
    try {
      await jobs[what]();
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  // Wires.

  wire() {
    this.studio.addEventListener("click", (event) => this.click(event));
    this.find("[data-size]").addEventListener("input", (event) => this.setSize(Number(event.target.value)));
    this.setSize(this.tool.size);
    wireUpload(this.find("[data-file]"), this.find(".sis-drawing"), (file) => this.openFile(file));
    for (const menu of this.element.querySelectorAll(".sis-menu")) wireMenu(menu);
    const help = () => this.find(".sis-help").showModal();
    wireKeys({
      pick: (value) => this.pick(value),
      tool: (name) => this.setTool(name),
      size: (factor) => this.setSize(this.tool.size * factor),
      undo: () => this.step("undo"),
      redo: () => this.step("redo"),
      shuffle: () => this.settings.set({ seed: anySeed() }),
      help,
      unzoom: () => this.easel.setView(1, 0, 0),
    });
    session.on("help", help);
    session.link = async () => {
      const hash = await encodeLink(this.state());
      return hash && `${session.model.page || location.href.split("#")[0]}#${hash}`;
    };
  }

  click(event) {
    const tool = event.target.closest("[data-tool]"), button = event.target.closest("[data-do]");
    if (tool) this.setTool(tool.dataset.tool);
    if (!button) return;
    const name = button.dataset.do;
    if (name.startsWith("save-")) this.save(name);
    if (name === "undo" || name === "redo") this.step(name);
    if (name === "clear" && this.drawing.clear()) this.redraw();
    if (name === "unzoom") this.easel.setView(1, 0, 0);
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
