// The training panel: check, train, watch, stop, save, download, use. The server runs one training at a time.

import { encodeRuns, toBase64 } from "./codec.js";
import { saveAnswer } from "./files.js";
import { session } from "./session.js";
import { toast } from "./toast.js";

const PAUSE = 1000; // ms between two questions how far it is
const STAGES = {
  look: "Looking at your labels",
  clusters: "Sorting what the model knows",
  rearranger: "Learning to move things",
  segmenter: "Learning your classes",
  reader: "Learning to read pictures",
  mapper: "Learning to follow drawings",
  validation: "Checking the result",
};

const SAVED = {
  keeps: "Saved. The model is in the menu, here and after a restart.",
  passes: "Saved. This page keeps models for a while only: download yours, too.",
};

const PICTURED = {
  rearranger: "Shapes, in other looks",
  segmenter: "Samples, and your classes",
  reader: "Pictures, and your classes",
  mapper: "Masks, and its pictures",
};

export class Trainer {
  /** tell: { project() , shown() -> seeds to ask about, insight(found), preview(url, what it shows) } */
  constructor(element, tell) {
    this.tell = tell;
    this.find = (selector) => element.querySelector(selector);
    this.state = { phase: "none" };
    this.seen = { insight: 0, picture: null };
    this.find("[data-minutes]").addEventListener("change", (event) => this.setMinutes(Number(event.target.value)));
    this.find("[data-keep]").addEventListener("submit", (event) => (event.preventDefault(), this.save()));
  }

  get running() {
    return this.state.phase === "running";
  }

  setMinutes(minutes) {
    this.tell.project().minutes = minutes;
    this.tell.project().keep();
  }

  /** Take up a project: what it was doing when the page was left. */
  async begin() {
    const project = this.tell.project();
    this.find("[data-minutes]").value = project.minutes;
    this.find("[data-title]").value = project.title;
    this.seen = { insight: 0, picture: null };
    await this.ask();
    if (this.state.phase !== "none" && !this.running) this.readInsight();
  }

  async click(name) {
    if (name === "look" || name === "train") return this.start(name === "look" ? null : this.tell.project().minutes);
    if (name === "stop") return this.send("stop-training", { job: this.tell.project().job });
    if (name === "zip") return this.download();
    if (name === "use") return this.use();
  }

  async start(minutes) {
    const project = this.tell.project();
    project.job ??= newToken(); // made and kept here, so that a reload before the answer finds the training again
    project.keep();
    const samples = [...project.samples].map(([seed, map]) => ({ seed, runs: toBase64(encodeRuns(map)) }));
    const body = JSON.stringify({ job: project.job, model: project.model, classes: project.classes, samples, shown: this.tell.shown(), minutes });
    this.show({ ...this.state, phase: "running", stage: "look", done: 0, left: null, minutes });
    const told = await this.send("train", {}, { body });
    if (!told) return this.ask();
    this.seen = { insight: 0, picture: null };
    this.watch();
  }

  /** Ask the server something that changes the state; null after a message to the visitor. */
  async send(path, parameters, { body = "{}" } = {}) {
    try {
      const told = await (await session.ask(path, parameters, { body })).json();
      this.show(told);
      return told;
    } catch (error) {
      toast(error.message, { error: true, seconds: 12 });
      return null;
    }
  }

  async ask() {
    try {
      const { job } = this.tell.project();
      this.show(await (await session.ask("training", job ? { job } : {})).json());
    } catch (error) {
      if (!error.passing) return this.show({ phase: "none", refusal: null });
    }
    this.watch();
  }

  watch() {
    clearTimeout(this.timer);
    if (this.running) this.timer = setTimeout(() => this.ask(), PAUSE);
  }

  // What is shown.

  show(state) {
    this.state = state;
    const { phase, refusal, saved } = state, running = phase === "running", empty = this.tell.project().blank;
    this.find("[data-refusal]").textContent = refusal ?? "";
    this.find("[data-refusal]").hidden = !refusal;
    this.find(".sis-train").hidden = Boolean(refusal);
    this.find(".sis-run").hidden = phase === "none";
    this.tellProgress(state);
    for (const name of ["look", "train"]) {
      this.find(`[data-do=${name}]`).hidden = running;
      this.find(`[data-do=${name}]`).disabled = empty;
    }
    this.find("[data-do=stop]").hidden = !running;
    this.find("[data-minutes]").disabled = running;
    this.find("[data-keep]").hidden = phase !== "done" || Boolean(saved);
    this.find("[data-saved]").hidden = !saved || running;
    this.find("[data-saved-name]").textContent = saved ? `Saved as ${this.tell.project().title || saved}` : "";
    if (state.insight > this.seen.insight) this.readInsight(state.insight);
    if (state.picture && state.picture !== this.seen.picture) this.readPreview(state.picture);
  }

  tellProgress({ phase, stage, done = 0, left, error, saved, keeps }) {
    const bar = this.find(".sis-progress"), percent = Math.round(100 * (phase === "done" || phase === "looked" ? 1 : done));
    bar.hidden = phase === "failed" || phase === "looked";
    bar.setAttribute("aria-valuenow", String(percent));
    bar.firstElementChild.style.width = `${percent}%`;
    const words = {
      running: `${STAGES[stage] ?? "Training"}… ${tellTime(left)}`,
      looked: "Checked. The colours on the samples show what your labels teach so far.",
      stopped: "Stopped. With the same labels, Train goes on from here.",
      failed: error,
      done: saved ? SAVED[keeps ? "keeps" : "passes"] : "Done. Save the model under a name, then paint with it.",
    };
    this.find("[data-status]").textContent = words[phase] ?? "";
  }

  async readInsight(number) {
    this.seen.insight = number ?? this.seen.insight;
    try {
      this.tell.insight(await (await session.ask("insight", { job: this.tell.project().job })).json());
    } catch {
      // nothing is known yet
    }
  }

  async readPreview(stamp) {
    this.seen.picture = stamp;
    try {
      const answer = await session.ask("preview", { job: this.tell.project().job, v: stamp });
      this.tell.preview(URL.createObjectURL(await answer.blob()), PICTURED[this.state.pictured] ?? "What it has learned");
    } catch {
      // the next one may come
    }
  }

  // A finished model.

  async save() {
    const project = this.tell.project();
    project.title = this.find("[data-title]").value.trim();
    project.keep();
    const told = await this.send("save-model", { job: project.job, title: project.title });
    if (!told) return;
    project.saved = told.name;
    project.keep();
    toast(`${project.title} is in the model menu now.`, { action: "Paint with it", run: () => this.use(), seconds: 9 });
    session.choose(session.model.name).catch(() => null); // so that the menu lists it
  }

  async download() {
    try {
      const { job } = this.tell.project();
      await saveAnswer(await session.ask("model.zip", { job }), `${this.state.saved}.zip`);
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  async use() {
    try {
      await session.choose(this.state.saved);
      session.emit("show", "mask");
    } catch (error) {
      toast(error.message, { error: true });
    }
  }
}

/** An unguessable name for a training: who knows it may watch, stop and save it. */
function newToken() {
  return toBase64(crypto.getRandomValues(new Uint8Array(18))).replaceAll("+", "-").replaceAll("/", "_");
}

function tellTime(minutes) {
  if (minutes === null || minutes === undefined) return "";
  if (minutes < 1) return "less than a minute left";
  const whole = Math.round(minutes);
  return whole === 1 ? "about 1 minute left" : `about ${whole} minutes left`;
}
