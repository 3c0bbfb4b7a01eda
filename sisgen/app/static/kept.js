// A picture that was downloaded here carries its drawing and settings in a text chunk, in the form of a link.

import { EMPTY } from "./codec.js";
import { decodeLink, unpackState } from "./state.js";

const PNG = 0x89504e47, TEXT = 0x74455874; // how the file and a text chunk begin
const KEY = "sisgen.link\0";
const MOST = 2 ** 20; // letters

/** The state that a file carries, or null for any other file. */
export async function readKept(file) {
  const head = new DataView(await file.slice(0, 8).arrayBuffer());
  if (head.byteLength < 8 || head.getUint32(0) !== PNG) return null;
  for (let at = 8; at + 12 <= file.size; ) {
    const chunk = new DataView(await file.slice(at, at + 8).arrayBuffer()), length = chunk.getUint32(0);
    if (chunk.getUint32(4) === TEXT && length < MOST) {
      const text = new TextDecoder("latin1").decode(await file.slice(at + 8, at + 8 + length).arrayBuffer());
      if (text.startsWith(KEY)) return unpackState(await decodeLink(`#${text.slice(KEY.length)}`, MOST), EMPTY);
    }
    at += 12 + length;
  }
  return null;
}
