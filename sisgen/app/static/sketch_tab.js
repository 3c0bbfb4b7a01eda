// The sketch tab: pen lines, Canny edges, soft edges or depth; drawn by hand, or found in a picture and mended by hand.

import { CELLS, EMPTY, encodePng } from "./codec.js";
import { same } from "./drawing.js";
import { saveBlob, shrinkFile } from "./files.js";
import { LINES, RAMPS } from "./lines.js";
import { DRAWN, session } from "./session.js";
import { Studio, open } from "./studio.js";
import { toast } from "./toast.js";

const PEN = 3; // cells
const PAUSE = 150; // ms after which moved thresholds find the lines anew

export const mount = (element, base) => open(base, new SketchTab(element));

class SketchTab extends Studio {
  constructor(element) {
    super(element, "sketch");
    this.chosen = "sketch"; // which kind of lines
    this.sheets = {}; // kind -> its drawing while another kind is on the easel
    this.source = null; // the picture that the lines were found in: { blob } or { seed, truncation }
    this.bench.setSize(PEN);
    this.bench.easel.blank = "blank";
    this.wireLines();
  }

  get kind() {
    return this.chosen;
  }

  get firstPen() {
    return 0;
  }

  get numValues() {
    return EMPTY;
  }

  get kinds() {
    return DRAWN.sketch.filter((kind) => session.model.kinds.includes(kind));
  }

  fits(before, model) {
    return model.kinds.includes(this.chosen);
  }

  takeModel() {
    if (!this.kinds.includes(this.chosen)) {
      this.chosen = this.kinds[0];
      this.sheets = {};
    }
    super.takeModel();
  }

  dress() {
    const { note, pens, open: words, save = "Download lines" } = LINES[this.chosen];
    this.bench.setLabels(pens, RAMPS[this.chosen]);
    this.bench.palette.element.hidden = pens.length < 2;
    this.bench.studio.classList.toggle("is-depth", this.chosen === "depth");
    this.find("[data-note]").textContent = note;
    this.find("[data-do=upload]").textContent = words;
    this.find("[data-do=save-lines]").textContent = save;
    this.find(".sis-thresholds").hidden = this.chosen !== "canny";
    for (const button of this.element.querySelectorAll("[data-kind]")) {
      button.hidden = !this.kinds.includes(button.dataset.kind);
      button.setAttribute("aria-checked", String(button.dataset.kind === this.chosen));
    }
    this.tellThresholds();
  }

  // Kinds: each has a drawing of its own.

  lay(kind) {
    const mixed = this.mixing.turn(this.chosen, this.drawing.map, kind);
    if (mixed && !same(mixed, this.sheet(kind) ?? this.drawing.map)) this.sheets[kind] = { map: mixed, past: [], future: [] };
    this.sheets[this.chosen] = this.drawing.exchange(this.sheets[kind]);
    this.chosen = kind;
    this.dress();
    this.bench.easel.render();
    this.starts.forget();
    this.starts.fill();
  }

  async turnTo(kind) {
    if (kind === this.chosen || this.busy()) return;
    this.lay(kind);
    if (this.sheets[kind]) return this.bench.redraw();
    const { blob } = this.source ?? {};
    this.picture.stale(true);
    try {
      const state = blob ? { map: await this.trace({ blob, of: "picture" }) } : await this.startState();
      if (kind === this.chosen) this.restore({ ...state, ...this.mixing.job() }, { step: false });
    } catch (error) {
      toast(error.message, { error: true });
      this.bench.redraw();
    }
  }

  sheet(kind) {
    return super.sheet(kind) ?? this.sheets[kind]?.map ?? null;
  }

  wish(kind) {
    this.wished = kind;
  }

  /** Shown for the sake of one kind, it turns to that. */
  async look() {
    await super.look();
    const { wished } = this;
    if (session.tab !== this.name || this.beginning) return;
    this.wished = null;
    if (wished && this.kinds.includes(wished)) await this.turnTo(wished);
  }

  restore(state, how) {
    if (state.kind && state.kind !== this.chosen && this.kinds.includes(state.kind)) this.lay(state.kind);
    super.restore(state, how);
  }

  // Lines out of pictures.

  /** Find the lines of { blob, of } or of the sample { seed, truncation }: a map. */
  async trace({ blob, of = "picture", seed, truncation }) {
    const { kind } = this, parameters = { kind, ...this.thresholds() };
    const { runs, by } = await this.ask("trace", blob ? { ...parameters, of } : { ...parameters, seed, truncation }, blob);
    if (by && kind === this.chosen) this.find("[data-note]").textContent = `${LINES[kind].note} ${by}`;
    return this.readRuns(runs);
  }

  sample(seed, truncation) {
    return this.trace({ seed, truncation });
  }

  /** A drawing of an example mask where there is one, else the lines of a sample. */
  async startState() {
    if (this.chosen === "sketch") return super.startState();
    const { seed, truncation } = this.model, map = await this.sample(seed, truncation);
    this.source = { seed, truncation };
    return { seed, truncation, strength: 1, map };
  }

  async examples() {
    const { kind } = this, found = await this.ask("examples", { kind });
    return kind === this.chosen ? found.map(({ name, runs, seed }) => ({ name, map: this.readRuns(runs), seed })) : [];
  }

  startFrom(map, how = {}) {
    const { seed, truncation } = this.settings;
    this.source = map.every((value) => value === EMPTY) ? null : { seed: how.seed ?? seed, truncation };
    super.startFrom(map, how);
    this.tellThresholds();
  }

  /** A picture that was made here is one to find lines in where pictures are asked for. */
  open(file) {
    return this.chosen === "sketch" ? super.open(file) : this.openFile(file);
  }

  async openFile(file) {
    const of = this.chosen === "sketch" ? "drawing" : "picture";
    try {
      const blob = await shrinkFile(file);
      const map = await this.trace({ blob, of });
      this.startFrom(map);
      this.source = { blob };
      this.tellThresholds();
    } catch (error) {
      this.offerEdges(file, error);
    }
  }

  /** A photograph came where a drawing should: offer to find its lines. */
  offerEdges(file, error) {
    const kind = this.kinds.find((other) => other === "canny" || other === "hed");
    const photograph = this.chosen === "sketch" && kind && error.message.includes("photograph");
    if (!photograph) return toast(error.message, { error: true });
    const run = () => (this.lay(kind), this.openFile(file));
    toast("This looks like a photograph, not like a drawing.", { action: "Find its lines", run, seconds: 12 });
  }

  async receive(state) {
    const { blob } = state.sent;
    this.source = { blob };
    return { ...state, kind: this.chosen, map: await this.trace({ blob, of: "picture" }) };
  }

  // Thresholds.

  thresholds() {
    if (this.chosen !== "canny") return {};
    const number = (name) => Number(this.find(`[data-${name}]`).value);
    return { low: number("low"), high: Math.max(number("low"), number("high")), ...(this.find("[data-edges]").checked ? { edges: "yes" } : {}) };
  }

  tellThresholds() {
    for (const name of ["low", "high"]) {
      const slider = this.find(`[data-${name}]`);
      slider.disabled = !this.source;
      slider.style.setProperty("--at", `${(100 * (slider.value - slider.min)) / (slider.max - slider.min)}%`);
      this.find(`[data-${name}-value]`).textContent = Number(slider.value).toFixed(2);
    }
  }

  findAnew() {
    this.tellThresholds();
    clearTimeout(this.anew);
    this.anew = setTimeout(async () => {
      const { source } = this;
      if (!source || this.chosen !== "canny") return;
      try {
        const map = await this.trace(source);
        if (source === this.source && this.drawing.replace(map)) this.bench.redraw();
      } catch (error) {
        toast(error.message, { error: true });
      }
    }, PAUSE);
  }

  wireLines() {
    for (const button of this.element.querySelectorAll("[data-kind]")) button.addEventListener("click", () => this.turnTo(button.dataset.kind));
    for (const name of ["low", "high", "edges"]) this.find(`[data-${name}]`).addEventListener("input", () => this.findAnew());
  }

  click(button) {
    if (button?.dataset.do !== "save-lines") return super.click(button);
    const { map } = this.drawing, light = this.chosen === "depth" ? map.map((value) => EMPTY - value) : map; // near is white in depth pictures
    encodePng(light).then((blob) => saveBlob(blob, `${session.model.title}-${this.chosen}.png`));
  }
}
