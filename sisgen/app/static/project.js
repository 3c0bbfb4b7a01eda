// A labelling project: which classes there are, and what was painted on which sample. Kept by the browser, read as hostile.

import { CELLS, EMPTY, decodeRuns, encodeRuns, fromBase64, toBase64 } from "./codec.js";
import { MAX_SEED } from "./state.js";
import { recall, remember } from "./store.js";

const COLORS = ["#5b6472", "#e4a23c", "#3f8fd2", "#c8553d", "#5aa469", "#9b5fc0", "#e07a9f", "#2ba5a0", "#b58a5a", "#8a9a2e", "#d9c84a", "#4a4fb5"];
const NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_ -]{0,23}$/u;
export const MOST_CLASSES = 12, MOST_SAMPLES = 32;

export const toHex = (color) => "#" + color.map((value) => value.toString(16).padStart(2, "0")).join("");
export const fromHex = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));

export class Project {
  constructor(model) {
    this.model = model;
    this.classes = [{ name: "background", color: fromHex(COLORS[0]) }, { name: "object", color: fromHex(COLORS[1]) }];
    this.samples = new Map(); // seed -> Uint8Array of cells
    this.seed = 1;
    this.first = 1; // of the samples on the board
    this.minutes = 5;
    this.title = "";
    this.job = null; // token of its training on the server
    this.saved = null; // name of the model that it became
  }

  /** What the visitor has painted, or an empty map. */
  map(seed) {
    return this.samples.get(seed) ?? new Uint8Array(CELLS).fill(EMPTY);
  }

  put(seed, map) {
    if (map.every((value) => value === EMPTY)) this.samples.delete(seed);
    else if (this.samples.has(seed) || this.samples.size < MOST_SAMPLES) this.samples.set(seed, map.slice());
    this.keep();
  }

  get blank() {
    return this.samples.size === 0;
  }

  // Classes.

  /** Why a name cannot be used, or null. */
  refuse(name, index) {
    if (!NAME.test(name)) return "A class name is 1 to 24 letters, digits, spaces or hyphens.";
    if (this.classes.some((label, i) => i !== index && label.name === name)) return `There is a class ${name} already.`;
    return null;
  }

  add() {
    const taken = this.classes.map(({ color }) => toHex(color)), names = this.classes.map(({ name }) => name);
    let number = this.classes.length;
    while (names.includes(`part ${number}`)) number++;
    const color = COLORS.find((hex) => !taken.includes(hex)) ?? toHex([0, 1, 2].map(() => Math.floor(Math.random() * 256)));
    this.classes = [...this.classes, { name: `part ${number}`, color: fromHex(color) }];
    this.keep();
  }

  /** Change a class; false when its colour is that of another one. */
  change(index, change) {
    const color = change.color && toHex(change.color);
    if (color && this.classes.some((label, i) => i !== index && toHex(label.color) === color)) return false;
    this.classes = this.classes.map((label, i) => (i === index ? { ...label, ...change } : label));
    this.keep();
    return true;
  }

  /** Remove a class: what was painted with it is unpainted, and those behind it move up. */
  remove(index) {
    this.classes = this.classes.filter((_, i) => i !== index);
    for (const [seed, map] of this.samples) {
      this.samples.set(seed, map.map((value) => (value === index ? EMPTY : value > index && value !== EMPTY ? value - 1 : value)));
    }
    for (const [seed, map] of this.samples) if (map.every((value) => value === EMPTY)) this.samples.delete(seed);
    this.keep();
  }

  // Storage.

  keep() {
    const samples = [...this.samples].map(([seed, map]) => ({ s: seed, d: toBase64(encodeRuns(map)) }));
    const { model, classes, seed, first, minutes, title, job, saved } = this;
    remember("label", model);
    return remember(`label.${model}`, { v: 1, classes, samples, seed, first, minutes, title, job, saved });
  }

  /** Whether it belongs to a model: it paints that one's samples, or has become it. */
  fits(model) {
    return this.model === model || this.saved === model;
  }

  /** The project of a model: the last one, where that has become this model, else the one that was kept for it, else a new one. */
  static of(model) {
    const last = recall("label"), newest = typeof last === "string" ? Project.recall(last) : null;
    return newest?.fits(model) ? newest : (Project.recall(model) ?? new Project(model));
  }

  static recall(model) {
    const kept = recall(`label.${model}`);
    if (kept?.v !== 1 || !Array.isArray(kept.classes) || !Array.isArray(kept.samples)) return null;
    const project = new Project(model);
    const classes = kept.classes.filter((label) => NAME.test(label?.name) && isColor(label.color)).slice(0, 24);
    if (classes.length !== kept.classes.length || classes.length < 1) return null;
    project.classes = classes.map(({ name, color }) => ({ name, color }));
    for (const { s, d } of kept.samples.slice(0, MOST_SAMPLES)) {
      const map = isSeed(s) && typeof d === "string" && decodeRuns(fromBase64(d) ?? [], classes.length);
      if (map) project.samples.set(s, map);
    }
    if (isSeed(kept.seed)) project.seed = kept.seed;
    if (isSeed(kept.first)) project.first = kept.first;
    if ([5, 15, 45].includes(kept.minutes)) project.minutes = kept.minutes;
    if (typeof kept.title === "string") project.title = kept.title.slice(0, 24);
    if (typeof kept.job === "string" && /^[\w-]{20,40}$/.test(kept.job)) project.job = kept.job;
    if (typeof kept.saved === "string") project.saved = kept.saved.slice(0, 100);
    return project;
  }
}

const isSeed = (value) => Number.isInteger(value) && value >= 0 && value <= MAX_SEED;
const isColor = (value) => Array.isArray(value) && value.length === 3 && value.every((part) => Number.isInteger(part) && part >= 0 && part <= 255);
