// Rows of small pictures: starting points, variations, history.

import { EMPTY, SIDE } from "./codec.js";

/** A button with a picture in it; names reach the page as text only. */
export function thumb(name, { url, canvas, caption, pick }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "sis-thumb";
  button.setAttribute("aria-label", name);
  button.title = name;
  if (url) button.append(Object.assign(document.createElement("img"), { src: url, alt: "", draggable: false }));
  if (canvas) button.append(canvas);
  if (caption) button.append(Object.assign(document.createElement("span"), { textContent: caption }));
  button.addEventListener("click", pick);
  return button;
}

/** A small canvas that shows a drawing. */
export function miniature(map, colors) {
  const side = 64, canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const context = canvas.getContext("2d"), image = context.createImageData(side, side), out = new Uint32Array(image.data.buffer);
  const step = SIDE / side;
  for (let i = 0; i < out.length; i++) {
    const corner = Math.floor(i / side) * step * SIDE + (i % side) * step;
    let value = map[corner + 2 * SIDE + 2];
    for (let y = 0; value === EMPTY && y < step; y++) value = Math.min(...map.subarray(corner + y * SIDE, corner + y * SIDE + step)); // thin lines stay
    out[i] = colors[value];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A small copy of a picture as a data URL, for the history. */
export async function shrink(url, side = 96) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, side, side);
  return canvas.toDataURL("image/jpeg", 0.85);
}
