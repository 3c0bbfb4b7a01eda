// Hands on the drawing: pen, mouse, touch and keyboard; zoom by two fingers; the ring and the name that follow the pen.

import { EMPTY, SIDE } from "./codec.js";
import { rampOf } from "./lines.js";

const MAX_ZOOM = 8;
const SETTLED = 8; // cells after which a touch is a stroke for good and a second finger is ignored

export class Easel {
  /**
   * drawing: the cells; tool: { name, value, size } as chosen now
   * tell: { change(), rest(), pick(class), start(class), size(new size) }
   */
  constructor(frame, drawing, tool, tell) {
    Object.assign(this, { frame, drawing, tool, tell });
    this.canvas = frame.querySelector(".sis-canvas");
    this.ring = frame.querySelector(".sis-ring");
    this.tip = frame.querySelector(".sis-tip");
    this.context = this.canvas.getContext("2d");
    this.pixels = this.context.createImageData(SIDE, SIDE);
    this.colors = new Uint32Array(256);
    this.names = [];
    this.blank = "unpainted"; // name of an empty cell
    this.view = { zoom: 1, x: 0, y: 0 };
    this.fingers = new Map();
    this.stroke = null;
    this.pinch = null;
    this.pen = { x: SIDE / 2, y: SIDE / 2 };
    this.listen();
  }

  /** Take over classes, see `Workbench.setLabels`. */
  setLabels(labels, ramp) {
    this.names = [];
    labels.forEach(({ name, value }, i) => (this.names[value ?? i] = name));
    this.colors.set(ramp ?? rampOf(labels));
  }

  render() {
    const out = new Uint32Array(this.pixels.data.buffer), { map } = this.drawing;
    for (let i = 0; i < map.length; i++) out[i] = this.colors[map[i]];
    this.context.putImageData(this.pixels, 0, 0);
  }

  get busy() {
    return this.stroke !== null;
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.up(event));
    canvas.addEventListener("pointerleave", () => this.stroke || this.hideRing());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.hideRing());
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * SIDE, y: ((event.clientY - box.top) / box.height) * SIDE };
  }

  down(event) {
    if (event.button > 0) return;
    this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.stroke) return this.second(event);
    if (this.pinch || (event.pointerType === "touch" && this.fingers.size > 1)) return this.startPinch();
    this.canvas.setPointerCapture(event.pointerId);
    const at = this.place(event);
    if (event.altKey) return this.tell.pick(this.drawing.at(at.x, at.y));
    this.startStroke(at, event.pointerId, event.shiftKey);
  }

  /** A second pointer: two fingers that land together move the drawing; later ones are ignored. */
  second(event) {
    const touches = event.pointerType === "touch" && this.stroke.touch;
    if (!touches || this.stroke.travel > SETTLED) return this.fingers.delete(event.pointerId);
    this.drawing.rollback();
    this.drawing.before = null;
    this.stroke = null;
    this.render();
    this.tell.change();
    this.startPinch();
  }

  startStroke(at, pointerId, straight) {
    const { name, value } = this.tool;
    this.drawing.begin();
    this.stroke = { id: pointerId, from: at, last: at, travel: 0, straight: straight || name === "line", touch: this.fingers.size > 0 };
    this.tell.start(name === "eraser" ? EMPTY : value);
    if (name === "fill") this.drawing.fill(at.x, at.y, value);
    else this.draw(at, at);
    this.changed();
    if (name === "fill") this.endStroke();
  }

  draw(from, to) {
    const { name, value, size } = this.tool;
    this.drawing.stroke(from.x, from.y, to.x, to.y, size, name === "eraser" ? EMPTY : value);
  }

  move(event) {
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.pinch) return this.movePinch();
    const at = this.place(event);
    this.follow(event, at);
    if (!this.stroke || event.pointerId !== this.stroke.id) return;
    const path = event.getCoalescedEvents?.().map((part) => this.place(part)) ?? [];
    this.extend(path.length ? path : [at]);
  }

  extend(path) {
    const { stroke } = this;
    if (stroke.straight) {
      this.drawing.rollback();
      this.draw(stroke.from, path.at(-1));
    }
    for (const at of path) {
      if (!stroke.straight) this.draw(stroke.last, at);
      stroke.travel += Math.hypot(at.x - stroke.last.x, at.y - stroke.last.y);
      stroke.last = at;
    }
    this.changed();
  }

  changed() {
    this.render();
    this.tell.change();
  }

  up(event) {
    this.fingers.delete(event.pointerId);
    if (this.pinch && this.fingers.size < 2) this.pinch = null;
    if (this.stroke?.id === event.pointerId) this.endStroke();
    if (event.pointerType === "touch") this.hideRing();
  }

  endStroke() {
    this.stroke = null;
    if (this.drawing.commit()) this.tell.rest();
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.tell.size(this.tool.size * (event.deltaY < 0 ? 1.15 : 1 / 1.15));
    this.follow(event, this.place(event));
  }

  // Without a pointer: arrow keys move the pen, space paints.

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (!step && event.key !== " ") return;
    event.preventDefault();
    const { pen } = this, from = { ...pen };
    if (step) {
      pen.x = Math.min(SIDE - 1, Math.max(0, pen.x + step[0] * (event.shiftKey ? 16 : 4)));
      pen.y = Math.min(SIDE - 1, Math.max(0, pen.y + step[1] * (event.shiftKey ? 16 : 4)));
      return this.showPen();
    }
    this.startStroke(from, -1, false);
    if (this.stroke) this.endStroke();
    this.showPen();
  }

  showPen() {
    const box = this.canvas.getBoundingClientRect();
    const event = { clientX: box.left + (this.pen.x / SIDE) * box.width, clientY: box.top + (this.pen.y / SIDE) * box.height };
    this.follow(event, this.pen);
  }

  // The ring shows the size of the pen, the tip names what it paints or, with Alt, what lies under it.

  follow(event, at) {
    const box = this.frame.getBoundingClientRect(), { ring, tip, tool } = this;
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const cell = this.canvas.getBoundingClientRect().width / SIDE;
    const size = tool.name === "fill" ? 6 : Math.max(4, tool.size * cell);
    ring.hidden = tip.hidden = event.pointerType === "touch";
    ring.style.cssText = `width:${size}px;height:${size}px;transform:translate(${x - size / 2}px,${y - size / 2}px)`;
    const under = event.altKey || tool.name === "eraser" ? this.drawing.at(at.x, at.y) : tool.value;
    const name = tool.name === "eraser" && !event.altKey ? "eraser" : (this.names[under] ?? this.blank);
    tip.textContent = name;
    const right = x > box.width - 110, low = y > box.height - 48;
    tip.style.transform = `translate(calc(${x}px + ${right ? "-100% - 14px" : "14px"}), ${y + (low ? -36 : 14)}px)`;
    this.pen = { x: at.x, y: at.y };
  }

  hideRing() {
    this.ring.hidden = this.tip.hidden = true;
  }

  // Two fingers.

  startPinch() {
    const [a, b] = [...this.fingers.values()];
    if (!b) return;
    this.pinch = { gap: distance(a, b), middle: middle(a, b), view: { ...this.view } };
    this.hideRing();
  }

  movePinch() {
    const [a, b] = [...this.fingers.values()];
    if (!b) return;
    const box = this.frame.getBoundingClientRect(), { gap, middle: from, view } = this.pinch, to = middle(a, b);
    const zoom = Math.min(MAX_ZOOM, Math.max(1, (view.zoom * distance(a, b)) / gap));
    const fx = from.x - box.left - view.x, fy = from.y - box.top - view.y; // the point of the drawing between the fingers
    this.setView(zoom, to.x - box.left - (fx * zoom) / view.zoom, to.y - box.top - (fy * zoom) / view.zoom);
  }

  setView(zoom, x, y) {
    const side = this.frame.clientWidth, least = side * (1 - zoom);
    this.view = { zoom, x: Math.min(0, Math.max(least, x)), y: Math.min(0, Math.max(least, y)) };
    this.canvas.style.transform = zoom === 1 ? "" : `translate(${this.view.x}px,${this.view.y}px) scale(${zoom})`;
    this.tell.view(zoom);
  }
}

const distance = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
