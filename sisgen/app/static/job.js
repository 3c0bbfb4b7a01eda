// A picture that is wanted, on its way to the server: settings in the address, one or two drawings in the body.

import { encodePng } from "./codec.js";

/** job: { model, kind, seed, ..., map, also?, weight?, other?, parts? } -> { parameters, body } */
export async function packJob({ map, other, parts, signal, ...parameters }) {
  if (parts) parameters.parts = JSON.stringify(parts);
  return { parameters, body: await (other ? encodePng(map, other) : encodePng(map)) };
}
