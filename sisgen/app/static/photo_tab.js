// The photo tab: an own photo is brought into the model; its areas can be repainted, or its shape or its style be lent.

import { CELLS, EMPTY, encodePng } from "./codec.js";
import { Crop } from "./crop.js";
import { shrinkFile } from "./files.js";
import { Parts } from "./parts.js";
import { session } from "./session.js";
import { Studio, open } from "./studio.js";
import { toast } from "./toast.js";

const ASK = 400; // ms between two questions how far a refinement is
const MAX_SIDE = 2048; // of a photo while its part is chosen
const PRIVACY = "A photo stays on the server for 10 minutes, in memory only, and is in no link and no download.";
const SAMPLE = "A sample stands in until you open a photo of your own.";

export const mount = (element, base) => open(base, new PhotoTab(element));

class PhotoTab extends Studio {
  constructor(element) {
    super(element, "photo");
    this.use = "edit";
    this.photo = null; // { token, state, own, blob, seed, url }
    this.photos = new Map(); // token -> photo, of this visit
    this.crop = new Crop(this.find(".sis-crop"), { take: (blob) => this.bring({ blob }), cancel: () => {} });
    this.starts.words = { own: "Photo", name: "The photo's own areas" };
    this.parts = new Parts(this);
    this.wirePhoto();
  }

  get kind() {
    return "mask";
  }

  extras() {
    return this.photo ? { photo: this.photo.token, use: this.use, state: this.photo.state } : {};
  }

  varied() {
    return this.use === "shape";
  }

  // Start: a sample stands in for a photo, so that there is something to repaint.

  async firstState() {
    return this.startState();
  }

  async startState() {
    const { seed, truncation } = this.model;
    await this.fetch({ seed, truncation });
    return { seed, truncation, strength: 1, map: this.photo.own };
  }

  async sample() {
    return this.photo.own;
  }

  /** Of the photo: strokes of its areas, else lines found in it. */
  async drawingOf(kind) {
    const { blob, own, seed, truncation } = this.photo;
    const body = kind === "scribble" ? await encodePng(own) : blob, of = kind === "scribble" ? "mask" : "picture";
    return this.readRuns((await this.ask("trace", body ? { kind, of } : { kind, seed, truncation }, body)).runs, EMPTY);
  }

  get whose() {
    return this.photo.blob ? "the photo" : "the sample";
  }

  async receive(state) {
    await this.fetch({ blob: state.sent.blob });
    return { ...state, map: this.photo.own };
  }

  /** A state from elsewhere counts only while its photo is here. */
  async arrived(state) {
    const arrived = await super.arrived(state);
    if (!arrived || state.sent || this.photos.has(state.photo)) return arrived;
    toast("The photo of this picture is gone; open it again.");
    return null;
  }

  /** The photo is brought to the other model. */
  async switchModel() {
    const { model } = session;
    this.drawing.forget();
    this.takeModel();
    if (this.following) return;
    const source = this.photo?.blob ? { blob: this.photo.blob } : { seed: model.seed, truncation: model.truncation };
    await this.fetch(source);
    if (model === session.model) this.restore({ ...this.settings.values(), map: this.photo.own }, { step: false });
  }

  rested() {
    this.follower.rested(); // nothing of a photo is kept for the next visit
  }

  async link() {
    return null;
  }

  restore(state, how) {
    if (state.photo && state.photo !== this.photo?.token) this.lay(this.photos.get(state.photo));
    if (state.use) this.turnTo(state.use, { quiet: true });
    super.restore(state, how);
  }

  // Photos.

  /** A picture that was made here is a photo, too. */
  open(file) {
    return this.openFile(file);
  }

  async openFile(file) {
    try {
      const blob = await shrinkFile(file, MAX_SIDE);
      this.crop.open(await createImageBitmap(blob));
    } catch (error) {
      toast(error.name === "InvalidStateError" ? "This file is no picture that can be read; take a PNG or a JPEG." : error.message, { error: true });
    }
  }

  /** Bring a part of a photo into the model, and lay its areas on the easel. */
  async bring(source) {
    this.picture.stale(true);
    try {
      await this.fetch(source);
      this.turnTo("edit", { quiet: true });
      this.drawing.replace(this.photo.own);
      this.bench.redraw();
    } catch (error) {
      this.picture.stale(false);
      toast(error.message, { error: true });
    }
  }

  async fetch({ blob, seed, truncation }) {
    const told = await this.ask("photo", blob ? {} : { seed, truncation }, blob);
    const photo = { token: told.photo, state: told.state, own: this.readRuns(told.runs), blob, seed, truncation, url: null };
    this.photos.set(photo.token, photo);
    photo.url = blob ? URL.createObjectURL(blob) : await this.plainOf(photo);
    this.lay(photo);
  }

  /** A sample's own picture. */
  async plainOf({ token, state }) {
    const { truncation, strength } = this.settings, map = new Uint8Array(CELLS).fill(EMPTY);
    const job = { model: this.model.name, kind: "mask", photo: token, use: "edit", state, seed: 0, truncation, strength, map };
    return (await this.follower.paint(job, "rest")).url;
  }

  lay(photo) {
    this.photo = photo;
    this.find(".sis-under").src = photo.url;
    this.find("[data-do=forget-photo]").hidden = !photo.blob;
    this.find(".sis-likeness").hidden = !photo.blob;
    this.find("[data-privacy]").textContent = photo.blob ? PRIVACY : `${SAMPLE} ${PRIVACY}`;
    this.tellSteps(0);
    const { seed, truncation } = this.settings;
    this.starts.forget();
    this.starts.sample = { seed, truncation, map: photo.own };
    this.starts.fill();
  }

  /** The server no longer has the photo: send it again, once. */
  async refused(error) {
    if (!this.photo || !/is gone/.test(error.message) || this.again) return false;
    this.again = true;
    try {
      const map = this.drawing.map.slice(), { photo } = this;
      await this.fetch(photo);
      this.drawing.map.set(map);
      this.bench.redraw();
    } finally {
      this.again = false;
    }
    return true;
  }

  async forget() {
    const { token } = this.photo;
    this.photos.delete(token);
    try {
      await this.ask("forget-photo", { photo: token }, new Blob([" "]));
      await this.bring({ seed: this.model.seed, truncation: this.model.truncation });
      toast("The photo is forgotten.");
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  /** What was before: the photo itself. */
  before() {
    return this.photo ?? undefined;
  }

  // What is taken from the photo.

  turnTo(use, { quiet = false } = {}) {
    const before = this.use;
    this.use = use;
    for (const button of this.element.querySelectorAll("[data-use]")) button.setAttribute("aria-checked", String(button.dataset.use === use));
    this.bench.studio.dataset.use = use;
    if (quiet || before === use || !this.photo) return;
    this.follower.stop();
    if (use === "style") this.drawing.replace(this.starts.examples[0]?.map ?? this.drawing.map);
    else if (before === "style") this.drawing.replace(this.photo.own);
    this.bench.redraw();
    this.compare.follow();
  }

  // Likeness.

  async refine(steps) {
    const { photo } = this;
    if (!photo.blob) return;
    try {
      if (steps) {
        await this.ask("refine-photo", { photo: photo.token, steps }, new Blob([" "]));
        return this.watch(photo);
      }
      const told = await this.ask("photo", {}, photo.blob); // from the start again
      this.photos.delete(photo.token);
      Object.assign(photo, { token: told.photo, state: told.state });
      this.photos.set(photo.token, photo);
      this.closer(photo, told, 0);
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  async watch(photo) {
    const bar = this.find(".sis-refining");
    bar.hidden = false;
    try {
      for (;;) {
        const told = await this.ask("photo-state", { photo: photo.token });
        if (photo !== this.photo) break;
        if (told.phase === "failed") throw new Error(told.error);
        if (told.phase === "ready") {
          if (told.state !== photo.state) this.closer(photo, told, told.steps);
          break;
        }
        bar.querySelector("i").style.width = `${(100 * told.step) / told.steps}%`;
        await new Promise((done) => setTimeout(done, ASK));
      }
    } catch (error) {
      toast(error.message, { error: true });
    }
    bar.hidden = true;
    bar.querySelector("i").style.width = "0";
  }

  /** The model meets the photo better now: where nothing was repainted, its areas follow. */
  closer(photo, told, steps) {
    const untouched = this.drawing.map.every((value, i) => value === photo.own[i]);
    Object.assign(photo, { state: told.state, own: this.readRuns(told.runs) });
    if (untouched) this.drawing.replace(photo.own);
    this.tellSteps(steps);
    this.bench.redraw();
    this.compare.follow();
  }

  tellSteps(steps) {
    for (const button of this.element.querySelectorAll("[data-steps]")) button.setAttribute("aria-pressed", String(Number(button.dataset.steps) === steps));
  }

  // Wires.

  wirePhoto() {
    const slider = this.find("[data-opacity]"), canvas = this.find(".sis-canvas");
    const cover = () => {
      canvas.style.opacity = slider.value;
      slider.style.setProperty("--at", `${100 * slider.value}%`);
    };
    slider.addEventListener("input", cover);
    cover();
    for (const button of this.element.querySelectorAll("[data-use]")) button.addEventListener("click", () => this.turnTo(button.dataset.use));
    for (const button of this.element.querySelectorAll("[data-steps]")) button.addEventListener("click", () => this.refine(Number(button.dataset.steps)));
  }

  click(button) {
    const name = button?.dataset.do;
    if (name === "forget-photo") return this.forget();
    if (name === "stop-photo") return this.ask("stop-photo", { photo: this.photo.token }, new Blob([" "])).catch((error) => toast(error.message, { error: true }));
    super.click(button);
  }
}
