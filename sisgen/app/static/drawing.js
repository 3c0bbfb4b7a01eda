// The drawing itself: cells, strokes and the steps back. No page in here.

import { CELLS, EMPTY, SIDE } from "./codec.js";

const MAX_STEPS = 100;

export class Drawing {
  constructor() {
    this.map = new Uint8Array(CELLS).fill(EMPTY);
    this.past = [];
    this.future = [];
    this.before = null;
  }

  /** Start a change that will be one step back. */
  begin() {
    this.before = this.map.slice();
  }

  /** End the change; false when nothing differs. */
  commit() {
    const before = this.before;
    this.before = null;
    if (!before || same(before, this.map)) return false;
    this.past.push(before);
    if (this.past.length > MAX_STEPS) this.past.shift();
    this.future = [];
    return true;
  }

  /** Take back what was done since `begin`. */
  rollback() {
    if (this.before) this.map.set(this.before);
  }

  /** Put another drawing in place of this one, as one step. */
  replace(map) {
    this.begin();
    this.map.set(map);
    return this.commit();
  }

  /** Forget the steps: they are drawings in other classes now. */
  forget() {
    this.past = [];
    this.future = [];
  }

  /** Lay another sheet with its own steps on the easel; the present one is given back. */
  exchange(sheet) {
    const { map, past, future } = this, old = { map: map.slice(), past, future };
    this.map.set(sheet?.map ?? new Uint8Array(CELLS).fill(EMPTY));
    this.past = sheet?.past ?? [];
    this.future = sheet?.future ?? [];
    return old;
  }

  clear() {
    return this.replace(new Uint8Array(CELLS).fill(EMPTY));
  }

  undo() {
    return this.step(this.past, this.future);
  }

  redo() {
    return this.step(this.future, this.past);
  }

  step(from, to) {
    const map = from.pop();
    if (!map) return false;
    to.push(this.map.slice());
    this.map.set(map);
    return true;
  }

  at(x, y) {
    return x >= 0 && y >= 0 && x < SIDE && y < SIDE ? this.map[Math.floor(y) * SIDE + Math.floor(x)] : EMPTY;
  }

  /** Paint all cells within `size / 2` of the line between two points. */
  stroke(x0, y0, x1, y1, size, value) {
    const r = Math.max(size / 2, 0.71), dx = x1 - x0, dy = y1 - y0, length2 = dx * dx + dy * dy;
    const left = clamp(Math.min(x0, x1) - r), right = clamp(Math.max(x0, x1) + r);
    const top = clamp(Math.min(y0, y1) - r), bottom = clamp(Math.max(y0, y1) + r);
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const px = x + 0.5 - x0, py = y + 0.5 - y0;
        const t = length2 ? Math.min(1, Math.max(0, (px * dx + py * dy) / length2)) : 0;
        const qx = px - t * dx, qy = py - t * dy;
        if (qx * qx + qy * qy <= r * r) this.map[y * SIDE + x] = value;
      }
    }
  }

  /** Fill the area of one class around a point. */
  fill(x, y, value) {
    x = Math.floor(x);
    y = Math.floor(y);
    if (x < 0 || y < 0 || x >= SIDE || y >= SIDE) return;
    const map = this.map, from = map[y * SIDE + x];
    if (from === value) return;
    const stack = [y * SIDE + x];
    map[stack[0]] = value;
    while (stack.length) {
      const cell = stack.pop(), column = cell % SIDE;
      if (column > 0 && map[cell - 1] === from) stack.push(cell - 1), (map[cell - 1] = value);
      if (column < SIDE - 1 && map[cell + 1] === from) stack.push(cell + 1), (map[cell + 1] = value);
      if (cell >= SIDE && map[cell - SIDE] === from) stack.push(cell - SIDE), (map[cell - SIDE] = value);
      if (cell < CELLS - SIDE && map[cell + SIDE] === from) stack.push(cell + SIDE), (map[cell + SIDE] = value);
    }
  }
}

export function same(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const clamp = (value) => Math.min(SIDE - 1, Math.max(0, Math.floor(value)));
