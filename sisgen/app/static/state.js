// A drawing with its settings as text: for links, for the history and for the next visit. Read as hostile.

import { decodeRuns, deflate, encodeRuns, fromBase64, inflate, toBase64 } from "./codec.js";

export const TABS = ["mask", "scribble", "sketch", "photo"];
export const KINDS = ["mask", "scribble", "sketch", "canny", "hed", "depth"];
const MAX_LINK = 8192;
const MAX_STATE = 200000; // letters of a drawing
const MAX_PARTS = 32;
export const MAX_SEED = 2 ** 32 - 1;

/** state: { tab, kind, model, revision, seed, truncation, strength, map, also?, weight?, other?, parts? } -> a plain object for JSON. */
export function packState(state) {
  const { tab, kind, model, revision, seed, truncation, strength, map, also, weight, other, parts } = state;
  const packed = { v: 1, tab, k: kind, m: model, r: revision, s: seed, t: truncation, g: strength, d: toBase64(encodeRuns(map)) };
  if (also) packed.a = { k: also, w: weight, d: toBase64(encodeRuns(other)) };
  if (parts) packed.f = parts; // whom classes are from
  return packed;
}

/** The state again, or null when anything of it is wrong. */
export function unpackState(packed, numLabels) {
  if (typeof packed !== "object" || packed === null || packed.v !== 1 || typeof packed.d !== "string") return null;
  const map = unpackRuns(packed.d, numLabels), mixed = unpackMixed(packed.a, numLabels), parts = unpackParts(packed.f);
  const { tab, m, r, s, t, g } = packed, kind = packed.k ?? "mask"; // early links name no kind
  const good = map && mixed && parts && isSeed(s) && within(t, 1.5) && within(g, 1);
  if (!good || typeof m !== "string" || m.length > 200 || !TABS.includes(tab) || !KINDS.includes(kind)) return null;
  return { tab, kind, model: m, revision: typeof r === "string" ? r.slice(0, 80) : "", seed: s, truncation: t, strength: g, map, ...mixed, ...parts };
}

function unpackRuns(text, numLabels) {
  const bytes = typeof text === "string" && text.length < MAX_STATE ? fromBase64(text) : null;
  return bytes && decodeRuns(bytes, numLabels);
}

/** The drawing that is followed too: { also, weight, other }, nothing of it where there is none, null where it is wrong. */
function unpackMixed(a, numLabels) {
  if (a === undefined) return {};
  const other = unpackRuns(a?.d, numLabels);
  return other && KINDS.includes(a.k) && within(a.w, 1) ? { also: a.k, weight: a.w, other } : null;
}

/** The parts from other samples: { parts: [[class, seed], ...] }, nothing where there are none, null where they are wrong. */
export function unpackParts(pairs) {
  if (pairs === undefined) return {};
  const few = Array.isArray(pairs) && pairs.length <= MAX_PARTS;
  const good = few && pairs.every((pair) => Array.isArray(pair) && typeof pair[0] === "string" && isSeed(pair[1]));
  return good ? { parts: pairs.map(([name, seed]) => [name, seed]) } : null;
}

const isSeed = (value) => Number.isInteger(value) && value >= 0 && value <= MAX_SEED;

const within = (value, high) => typeof value === "number" && Number.isFinite(value) && value >= 0 && value <= high;

/** The part of a link behind "#", or null when the drawing is too detailed for one. */
export async function encodeLink(state) {
  const bytes = await deflate(new TextEncoder().encode(JSON.stringify(packState(state))));
  const text = "s=" + toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return text.length <= MAX_LINK ? text : null;
}

/** What a link holds, as a plain object that still has to go through `unpackState`; null when it holds nothing. */
export async function decodeLink(hash, most = MAX_LINK) {
  const match = /^#s=([A-Za-z0-9_-]+)$/.exec(hash);
  if (!match || hash.length > most + 1) return null;
  const bytes = fromBase64(match[1].replaceAll("-", "+").replaceAll("_", "/"));
  if (!bytes) return null;
  try {
    return JSON.parse(new TextDecoder().decode(await inflate(bytes, 2 * MAX_STATE + 1000)));
  } catch {
    return null;
  }
}
