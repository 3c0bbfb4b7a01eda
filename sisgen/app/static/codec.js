// Bytes of a drawing: runs for storage and links, an index PNG for the server. A drawing is a Uint8Array of 256 x 256 cells.

export const SIDE = 256;
export const CELLS = SIDE * SIDE;
export const EMPTY = 255;

/** Write runs: a class, then a length as a base-128 number. */
export function encodeRuns(map) {
  const out = [];
  for (let i = 0; i < map.length; ) {
    let j = i + 1;
    while (j < map.length && map[j] === map[i]) j++;
    out.push(map[i]);
    let length = j - i;
    while (length > 127) {
      out.push((length & 127) | 128);
      length >>= 7;
    }
    out.push(length);
    i = j;
  }
  return Uint8Array.from(out);
}

/** Read runs that may come from a stranger; null unless they fill the drawing exactly. Unknown classes become unpainted. */
export function decodeRuns(bytes, numLabels) {
  const map = new Uint8Array(CELLS);
  let at = 0;
  for (let i = 0; i < bytes.length; ) {
    const value = bytes[i++] < numLabels ? bytes[i - 1] : EMPTY;
    let length = 0, shift = 0, more = true;
    while (more) {
      if (i >= bytes.length || shift > 14) return null;
      length |= (bytes[i] & 127) << shift;
      more = bytes[i++] > 127;
      shift += 7;
    }
    if (length < 1 || at + length > CELLS) return null;
    map.fill(value, at, at + length);
    at += length;
  }
  return at === CELLS ? map : null;
}

export function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(text);
}

export function fromBase64(text) {
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}

async function pipe(bytes, stream, limit) {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts = [];
  let total = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    total += value.length;
    if (total > limit) {
      await reader.cancel();
      throw new Error("too long");
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

export const deflate = (bytes) => pipe(bytes, new CompressionStream("deflate"), Infinity);

/** Unpack, but never to more than `limit` bytes. */
export const inflate = (bytes, limit) => pipe(bytes, new DecompressionStream("deflate"), limit);

const CRC = new Uint32Array(256).map((_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function chunk(name, data) {
  const out = new Uint8Array(12 + data.length), view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) out[4 + i] = name.charCodeAt(i);
  out.set(data, 8);
  let sum = ~0;
  for (let i = 4; i < 8 + data.length; i++) sum = CRC[(sum ^ out[i]) & 255] ^ (sum >>> 8);
  view.setUint32(8 + data.length, ~sum >>> 0);
  return out;
}

/** Encode drawings as one 8-bit grey PNG, one below the other; its values are their cells. */
export async function encodePng(...maps) {
  const height = maps.length * SIDE, rows = new Uint8Array(height * (SIDE + 1)); // every row starts with filter 0
  maps.forEach((map, i) => {
    for (let y = 0; y < SIDE; y++) rows.set(map.subarray(y * SIDE, (y + 1) * SIDE), (i * SIDE + y) * (SIDE + 1) + 1);
  });
  const head = new Uint8Array(13), view = new DataView(head.buffer);
  view.setUint32(0, SIDE);
  view.setUint32(4, height);
  head[8] = 8;
  const start = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  return new Blob([start, chunk("IHDR", head), chunk("IDAT", await deflate(rows)), chunk("IEND", new Uint8Array(0))]);
}
