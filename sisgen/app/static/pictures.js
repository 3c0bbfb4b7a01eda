// Pictures that were painted already, so that undo, variations and history bring theirs back at once.

const MOST = 80;

export class PictureCache {
  constructor() {
    this.pictures = new Map();
  }

  /** The picture of a job, or undefined. */
  get(job) {
    return this.pictures.get(keyOf(job));
  }

  put(job, blob, { ms, size }) {
    const key = keyOf(job);
    const picture = { url: URL.createObjectURL(blob), ms, size };
    this.pictures.set(key, picture);
    for (const [old, { url }] of this.pictures) {
      if (this.pictures.size <= MOST) break;
      this.pictures.delete(old);
      setTimeout(() => URL.revokeObjectURL(url), 60000);
    }
    return picture;
  }

  clear() {
    for (const { url } of this.pictures.values()) setTimeout(() => URL.revokeObjectURL(url), 60000);
    this.pictures.clear();
  }
}

function keyOf({ map, other, signal, ...settings }) {
  return [...Object.values(settings), fingerprint(map), ...(other ? [fingerprint(other)] : [])].join(" ");
}

function fingerprint(map) {
  let a = 0x811c9dc5, b = 0x12345678;
  for (let i = 0; i < map.length; i++) {
    a = Math.imul(a ^ map[i], 0x01000193);
    b = Math.imul(b + map[i] + 1, 0x5bd1e995) ^ (b >>> 13);
  }
  return `${a} ${b}`;
}
