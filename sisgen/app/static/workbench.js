// What every tab that paints has: a drawing with its steps, tools, named classes, the easel, and the keys while it is shown.

import { EMPTY } from "./codec.js";
import { Drawing } from "./drawing.js";
import { Easel } from "./easel.js";
import { wireKeys } from "./keys.js";
import { Palette } from "./palette.js";
import { session } from "./session.js";

const SMALLEST = 1, LARGEST = 64; // of the brush, in cells

export class Workbench {
  /**
   * element: the tab's markup with .sis-studio, .sis-palette, .sis-drawing and the tools
   * tell: { change() while the drawing changes, rest() after each step, start(class) of a stroke, shuffle(), compare()?, picked(class)? }
   */
  constructor(element, tell) {
    this.element = element;
    this.tell = tell;
    this.find = (selector) => element.querySelector(selector);
    this.studio = this.find(".sis-studio");
    this.labels = [];
    this.drawing = new Drawing();
    this.chosen = 0; // which of the classes
    this.tool = { name: "brush", value: 0, size: 14 };
    this.palette = new Palette(this.find(".sis-palette"), (value) => this.pick(value));
    this.easel = new Easel(this.find(".sis-drawing"), this.drawing, this.tool, this.handOfEasel());
    this.studio.addEventListener("click", (event) => this.click(event));
    this.find("[data-size]").addEventListener("input", (event) => this.setSize(Number(event.target.value)));
    this.setSize(this.tool.size);
    wireKeys(this.handOfKeys(), () => this.studio.offsetParent !== null);
  }

  handOfEasel() {
    return {
      change: () => this.tell.change(),
      rest: () => this.rested(),
      pick: (value) => value !== EMPTY && this.pick(this.labels.findIndex((label, i) => (label.value ?? i) === value)),
      start: (value) => this.tell.start(value),
      size: (size) => this.setSize(size),
      view: (zoom) => (this.find("[data-do=unzoom]").disabled = zoom === 1),
    };
  }

  handOfKeys() {
    return {
      pick: (value) => this.pick(value),
      tool: (name) => this.setTool(name),
      size: (factor) => this.setSize(this.tool.size * factor),
      undo: () => this.step("undo"),
      redo: () => this.step("redo"),
      shuffle: () => this.tell.shuffle(),
      compare: () => this.tell.compare?.(),
      help: () => session.emit("help"),
      unzoom: () => this.easel.setView(1, 0, 0),
    };
  }

  click(event) {
    const tool = event.target.closest("[data-tool]"), name = event.target.closest("[data-do]")?.dataset.do;
    if (tool) this.setTool(tool.dataset.tool);
    if (name === "undo" || name === "redo") this.step(name);
    if (name === "clear" && this.drawing.clear()) this.redraw();
    if (name === "unzoom") this.easel.setView(1, 0, 0);
  }

  // Classes and tools.

  /** labels: [{ name, color, value }] with the value of a cell, its place where none is given; ramp: colours of all values, if not theirs */
  setLabels(labels, ramp) {
    this.labels = labels;
    this.easel.setLabels(labels, ramp);
    this.palette.setLabels(labels);
    this.pick(Math.min(this.chosen, labels.length - 1));
  }

  pick(i) {
    if (!this.labels[i]) return;
    this.chosen = i;
    this.tool.value = this.labels[i].value ?? i;
    this.palette.mark(i);
    if (this.tool.name === "eraser") this.setTool("brush");
    this.tell.picked?.(i);
  }

  setTool(name) {
    this.tool.name = name;
    for (const button of this.element.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === name));
    }
  }

  setSize(size) {
    const whole = size > this.tool.size ? Math.ceil(size) : size < this.tool.size ? Math.floor(size) : size;
    this.tool.size = Math.min(LARGEST, Math.max(SMALLEST, whole));
    const slider = this.find("[data-size]");
    slider.value = this.tool.size;
    slider.style.setProperty("--at", `${((this.tool.size - SMALLEST) / (LARGEST - SMALLEST)) * 100}%`);
    this.find("[data-size-value]").textContent = this.tool.size;
  }

  // The drawing.

  step(way) {
    if (!this.easel.busy && this.drawing[way]()) this.redraw();
  }

  /** The drawing was changed in one step, not by the pen. */
  redraw() {
    this.easel.render();
    this.tell.change();
    this.rested();
  }

  rested() {
    this.tellSteps();
    this.tell.rest();
  }

  tellSteps() {
    this.find("[data-do=undo]").disabled = !this.drawing.past.length;
    this.find("[data-do=redo]").disabled = !this.drawing.future.length;
  }
}
