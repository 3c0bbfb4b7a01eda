// How drawings without classes look: a cell is 0 where a line is full (or a thing nearest) and 255 where nothing is.

const INK = [29, 28, 26];
const GREYS = ["nearest", "near", "middle", "far", "farthest"];

const pen = [{ name: "pen", color: INK, value: 0 }];
const greys = GREYS.map((name, i) => ({ name, value: 51 * i, color: Array(3).fill(255 - 51 * i) }));

/** What each kind says of itself, what it is drawn with, and what is opened for it. */
export const LINES = {
  sketch: { note: "Draw lines, or open a sketch.", open: "Open a sketch…", pens: pen },
  canny: { note: "Sharp edges of a photo: erase some, draw others.", open: "Open a photo…", pens: pen },
  hed: { note: "Soft edges of a photo: the darker, the surer.", open: "Open a photo…", pens: pen },
  depth: { note: "How near things are: light is near.", open: "Open a depth picture…", save: "Download depth", pens: greys },
};

const ramp = (color) => {
  const colors = new Uint32Array(256), bytes = new Uint8Array(colors.buffer);
  for (let value = 0; value < 256; value++) bytes.set(color(value), 4 * value);
  return colors;
};

const ink = ramp((value) => [...INK, 255 - value]);

/** Colours of the cells of classes: [{ color, value? }], see `Workbench.setLabels`. */
export function rampOf(labels) {
  const colors = new Uint32Array(256), bytes = new Uint8Array(colors.buffer);
  labels.forEach(({ color, value }, i) => bytes.set([...color, 255], 4 * (value ?? i)));
  return colors;
}

/** kind -> colours of all 256 values. */
export const RAMPS = { sketch: ink, canny: ink, hed: ink, depth: ramp((value) => [255 - value, 255 - value, 255 - value, 255]) };
