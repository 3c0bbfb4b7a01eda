// A drawing with its settings as text: for links, for the history and for the next visit. Read as hostile.

import { decodeRuns, deflate, encodeRuns, fromBase64, inflate, toBase64 } from "./codec.js";

export const TABS = ["mask", "scribble", "sketch", "photo"];
export const KINDS = ["mask", "scribble", "sketch", "canny", "hed", "depth"];
const MAX_LINK = 8192;
const MAX_STATE = 200000;
export const MAX_SEED = 2 ** 32 - 1;

/** state: { tab, kind, model, revision, seed, truncation, strength, map } -> a plain object for JSON. */
export function packState(state) {
  const { tab, kind, model, revision, seed, truncation, strength, map } = state;
  return { v: 1, tab, k: kind, m: model, r: revision, s: seed, t: truncation, g: strength, d: toBase64(encodeRuns(map)) };
}

/** The state again, or null when anything of it is wrong. */
export function unpackState(packed, numLabels) {
  if (typeof packed !== "object" || packed === null || packed.v !== 1 || typeof packed.d !== "string") return null;
  const bytes = packed.d.length < MAX_STATE ? fromBase64(packed.d) : null;
  const map = bytes && decodeRuns(bytes, numLabels);
  const { tab, m, r, s, t, g } = packed, kind = packed.k ?? "mask"; // early links name no kind
  const good = map && Number.isInteger(s) && s >= 0 && s <= MAX_SEED && within(t, 1.5) && within(g, 1);
  if (!good || typeof m !== "string" || m.length > 200 || !TABS.includes(tab) || !KINDS.includes(kind)) return null;
  return { tab, kind, model: m, revision: typeof r === "string" ? r.slice(0, 80) : "", seed: s, truncation: t, strength: g, map };
}

const within = (value, high) => typeof value === "number" && Number.isFinite(value) && value >= 0 && value <= high;

/** The part of a link behind "#", or null when the drawing is too detailed for one. */
export async function encodeLink(state) {
  const bytes = await deflate(new TextEncoder().encode(JSON.stringify(packState(state))));
  const text = "s=" + toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return text.length <= MAX_LINK ? text : null;
}

/** What a link holds, as a plain object that still has to go through `unpackState`; null when it holds nothing. */
export async function decodeLink(hash) {
  const match = /^#s=([A-Za-z0-9_-]+)$/.exec(hash);
  if (!match || hash.length > MAX_LINK + 1) return null;
  const bytes = fromBase64(match[1].replaceAll("-", "+").replaceAll("_", "/"));
  if (!bytes) return null;
  try {
    return JSON.parse(new TextDecoder().decode(await inflate(bytes, MAX_STATE)));
  } catch {
    return null;
  }
}
