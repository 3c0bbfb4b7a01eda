// The sample's number, variety and strength.

import { MAX_SEED } from "./state.js";
import { toast } from "./toast.js";

export const anySeed = () => Math.floor(Math.random() * 100000);

export class Settings {
  constructor(element, changed) {
    this.changed = changed;
    this.seed = 0;
    this.truncation = 1;
    this.strength = 1;
    this.locked = false;
    const find = (name) => element.querySelector(name);
    this.seedField = find("[data-seed]");
    this.lockButton = find("[data-do=lock]");
    this.sliders = ["truncation", "strength"].map((name) => ({ name, slider: find(`[data-${name}]`), value: find(`[data-${name}-value]`) }));
    this.seedField.addEventListener("change", () => this.readSeed());
    for (const { name, slider } of this.sliders) slider.addEventListener("input", () => this.set({ [name]: Number(slider.value) }));
  }

  values() {
    const { seed, truncation, strength } = this;
    return { seed, truncation, strength };
  }

  setModel({ seed, truncation }) {
    Object.assign(this, { seed, truncation });
    this.tell();
  }

  set({ seed = this.seed, truncation = this.truncation, strength = this.strength }) {
    Object.assign(this, { seed, truncation, strength });
    this.tell();
    this.changed();
  }

  lock(yes) {
    this.locked = yes;
    this.lockButton.setAttribute("aria-pressed", String(yes));
  }

  readSeed() {
    const text = this.seedField.value.trim();
    if (/^\d{1,10}$/.test(text) && Number(text) <= MAX_SEED) return this.set({ seed: Number(text) });
    toast(`The sample must be a whole number from 0 to ${MAX_SEED}.`, { error: true });
    this.tell();
  }

  tell() {
    this.seedField.value = this.seed;
    for (const { name, slider, value } of this.sliders) {
      slider.value = this[name];
      slider.style.setProperty("--at", `${(100 * this[name]) / slider.max}%`);
      value.textContent = this[name].toFixed(2);
    }
  }
}
