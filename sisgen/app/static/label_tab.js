// The label tab: samples of a model, the visitor's own classes painted on them, and a model that is taught by them.

import { Board, PER_PAGE, SamplePictures } from "./board.js";
import { decodeRuns, fromBase64 } from "./codec.js";
import { MOST_CLASSES, Project, fromHex, toHex } from "./project.js";
import { session } from "./session.js";
import { MAX_SEED } from "./state.js";
import { miniature, thumb } from "./strips.js";
import { toast } from "./toast.js";
import { Trainer } from "./trainer.js";
import { Workbench } from "./workbench.js";

const PSI = 0.9; // variety of the samples; the server trains on the same
const CANDIDATES = 24; // samples that a training is asked about

export function mount(element, base) {
  session.base = base;
  const tab = new LabelTab(element);
  const begin = () => document.documentElement.dataset.tab === "label" && session.model && tab.begin();
  session.on("tab", begin);
  session.on("model", begin);
  begin();
}

class LabelTab {
  constructor(element) {
    this.find = (selector) => element.querySelector(selector);
    this.bench = new Workbench(element, {
      change: () => {},
      rest: () => this.rested(),
      start: () => {},
      shuffle: () => this.more(),
      picked: (value) => this.editClass(value),
    });
    this.board = new Board(this.find(".sis-samples"), (seed) => this.open(seed));
    this.trainer = new Trainer(element, {
      project: () => this.project,
      shown: () => this.candidates(),
      insight: (found) => this.takeInsight(found),
      preview: (url, words) => this.takePreview(url, words),
    });
    this.project = null;
    this.forgetInsight();
    this.wire();
  }

  /** The tab is shown, or another model is chosen: each model has its own project; one that has become a model stays for that. */
  begin() {
    if (!this.project?.fits(session.model.name)) this.take(Project.of(session.model.name));
  }

  take(project) {
    this.project = project;
    this.pictures = new SamplePictures(project.model, PSI);
    this.forgetInsight();
    this.bench.setLabels(project.classes);
    this.bench.setTool("brush");
    this.bench.studio.removeAttribute("aria-busy");
    this.open(project.seed);
    this.trainer.begin();
  }

  forgetInsight() {
    this.insight = null;
    this.readings = new Map();
    this.setPreview(false);
  }

  // Samples.

  seeds() {
    const { first } = this.project, seeds = Array.from({ length: PER_PAGE }, (_, i) => first + i), next = this.insight?.next;
    return next === undefined || seeds.includes(next) ? seeds : [next, ...seeds].slice(0, PER_PAGE);
  }

  /** Samples to be asked about: those on the board, and more behind them. */
  candidates() {
    const { first } = this.project;
    return Array.from({ length: CANDIDATES }, (_, i) => Math.min(MAX_SEED, first + i));
  }

  async open(seed) {
    const { project, bench } = this;
    project.seed = seed;
    project.keep();
    bench.drawing.map.set(project.map(seed));
    bench.drawing.forget();
    bench.tellSteps();
    bench.easel.render();
    this.tellBoard();
    const under = this.find(".sis-under");
    under.classList.add("is-late");
    try {
      const url = await this.pictures.get(seed);
      if (this.project.seed === seed) under.src = url;
    } catch (error) {
      toast(error.message, { error: true });
    }
    if (this.project.seed === seed) under.classList.remove("is-late");
  }

  more() {
    this.project.first = (this.project.first + PER_PAGE) % (MAX_SEED - CANDIDATES);
    this.insight = this.insight && { ...this.insight, next: undefined };
    this.setPreview(false);
    this.open(this.project.first);
  }

  rested() {
    const { seed } = this.project;
    this.project.put(seed, this.bench.drawing.map);
    this.tellBoard();
    this.trainer.show(this.trainer.state);
  }

  takeReading() {
    if (this.bench.drawing.replace(this.readings.get(this.project.seed))) this.bench.redraw();
  }

  // Classes.

  setClasses() {
    this.bench.setLabels(this.project.classes);
    this.bench.drawing.map.set(this.project.map(this.project.seed));
    this.bench.easel.render();
    this.tellBoard();
  }

  editClass(value) {
    const label = this.project?.classes[value];
    if (!label) return;
    this.find("[data-class-name]").value = label.name;
    this.find("[data-class-color]").value = toHex(label.color);
    this.find("[data-do=remove-class]").disabled = this.project.classes.length < 2;
    this.find("[data-do=add-class]").disabled = this.project.classes.length >= MOST_CLASSES;
  }

  rename(field) {
    const name = field.value.trim().replace(/\s+/g, " "), { value } = this.bench.tool, refusal = this.project.refuse(name, value);
    if (refusal) {
      toast(refusal, { error: true });
      field.value = this.project.classes[value].name;
      return;
    }
    this.project.change(value, { name });
    this.setClasses();
  }

  recolor(text) {
    if (!this.project.change(this.bench.tool.value, { color: fromHex(text) })) toast("Another class has this colour; choose another one.", { error: true });
    this.setClasses();
  }

  addClass() {
    this.project.add();
    this.setClasses();
    this.bench.pick(this.project.classes.length - 1);
    this.find("[data-class-name]").select();
  }

  removeClass() {
    this.project.remove(this.bench.tool.value);
    this.bench.drawing.forget();
    this.bench.tellSteps();
    this.forgetReadings();
    this.setClasses();
  }

  takeClasses() {
    this.project.classes = session.model.labels.map(({ name, color }) => ({ name, color }));
    this.project.keep();
    this.setClasses();
  }

  forgetReadings() {
    this.readings = new Map();
    this.insight = null;
  }

  // What is told.

  tellBoard() {
    const { project, readings, insight } = this, { colors } = this.bench.easel, painted = new Set(project.samples.keys());
    const next = insight?.next !== undefined && !painted.has(insight.next) ? insight.next : null;
    this.board.render({ seeds: this.seeds(), pictures: this.pictures, chosen: project.seed, painted, readings, next, colors });
    const cells = this.bench.drawing.map.reduce((sum, value) => sum + (value !== 255), 0), percent = Math.round((100 * cells) / this.bench.drawing.map.length);
    this.find("[data-sample-name]").textContent = `Sample ${project.seed}: ${percent} % painted`;
    this.find("[data-do=take-reading]").hidden = !readings.has(project.seed) || cells > 0;
    this.find("[data-do=take-classes]").hidden = !project.blank || project.classes.length >= session.model.labels.length;
    this.tellPainted(colors);
    this.tellAdvice(next);
  }

  tellPainted(colors) {
    const tiles = [...this.project.samples].map(([seed, map]) => {
      const tile = thumb(`Painted sample ${seed}`, { canvas: miniature(map, colors), caption: String(seed), pick: () => this.open(seed) });
      this.pictures.get(seed).then((src) => tile.prepend(Object.assign(new Image(), { src, alt: "" })), () => null);
      return tile;
    });
    this.find(".sis-painted").replaceChildren(...tiles);
  }

  tellAdvice(next) {
    const { size } = this.project.samples, { insight } = this, percent = (share) => `${Math.round(100 * share)} %`;
    let advice = "Choose a sample, name its parts as classes, and paint each. Rough is fine; unpainted places are left out.";
    if (size === 1) advice = "One painted sample is enough to train. Check shows in seconds what it teaches, and which sample to paint next.";
    if (size > 1) advice = `${size} samples are painted. Check shows in seconds what they teach, and which sample to paint next.`;
    if (insight && next !== null) {
      advice = `A label on sample ${next} would teach it most: it is unsure about ${percent(insight.doubt)} of that one, and ${percent(insight.mean)} of the others on average.`;
    }
    this.find("[data-advice]").textContent = advice;
    this.find("[data-do=paint-next]").hidden = next === null || next === this.project.seed;
  }

  takeInsight(insight) {
    const numLabels = this.project.classes.length;
    this.insight = { next: insight.next, doubt: insight.doubt, mean: insight.mean };
    this.readings = new Map();
    for (const { seed, runs } of insight.readings) {
      const map = decodeRuns(fromBase64(runs) ?? [], numLabels);
      if (map) this.readings.set(seed, map);
    }
    this.tellBoard();
  }

  takePreview(url, words) {
    this.pictured = words;
    const image = this.find(".sis-preview"), flip = this.find("[data-do=flip]");
    image.src = url;
    image.alt = words;
    this.setPreview(flip.hidden ? this.trainer.running : !image.hidden);
    flip.hidden = false;
  }

  setPreview(yes) {
    const flip = this.find("[data-do=flip]");
    this.find(".sis-preview").hidden = !yes;
    this.find(".sis-samples").hidden = yes;
    this.find("[data-do=more]").hidden = yes;
    flip.setAttribute("aria-pressed", String(yes));
    flip.textContent = yes ? "Show samples" : "Show progress";
    this.find("[data-board-name]").textContent = yes ? this.pictured : "Choose a sample";
  }

  // Wires.

  wire() {
    const acts = {
      "add-class": () => this.addClass(),
      "remove-class": () => this.removeClass(),
      "take-classes": () => this.takeClasses(),
      "take-reading": () => this.takeReading(),
      "paint-next": () => (this.setPreview(false), this.open(this.insight.next)),
      flip: () => this.setPreview(this.find(".sis-preview").hidden),
      more: () => this.more(),
    };
    this.bench.studio.addEventListener("click", (event) => {
      const name = event.target.closest("[data-do]")?.dataset.do;
      if (acts[name]) acts[name]();
      else if (name) this.trainer.click(name);
    });
    this.find("[data-class-name]").addEventListener("change", (event) => this.rename(event.target));
    this.find("[data-class-color]").addEventListener("change", (event) => this.recolor(event.target.value));
    const opacity = this.find("[data-opacity]"), fade = () => {
      this.find(".sis-canvas").style.opacity = opacity.value;
      opacity.style.setProperty("--at", `${100 * opacity.value}%`);
    };
    opacity.addEventListener("input", fade);
    fade();
  }
}
