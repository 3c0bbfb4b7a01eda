// Files of a drawing: into the page and out of it.

import { encodePng } from "./codec.js";
import { saveAnswer } from "./files.js";
import { session } from "./session.js";
import { toast } from "./toast.js";

const MAX_FILE = 20 * 2 ** 20;

/** Save what a menu entry names: { model, seed, truncation, strength, map } as a picture, a mask or its palette. */
export async function save(what, { map, ...settings }) {
  const title = session.model.title, name = `${title}-${settings.seed}`;
  const asked = async (path, more) => session.ask(path, { ...settings, ...more }, { body: await encodePng(map) });
  const palette = (kind) => session.ask("palette", { model: settings.model, format: kind });
  const jobs = {
    "save-mask": async () => saveAnswer(await asked("save-mask"), `${name}-mask.png`),
    "save-json": async () => saveAnswer(await palette("json"), "palette.json"),
    "save-gpl": async () => saveAnswer(await palette("gpl"), `${title}.gpl`),
    "save-1": async () => saveAnswer(await asked("save-picture"), `${name}.png`),
    "save-4": async () => saveAnswer(await asked("save-picture", { scale: 4 }), `${name}-large.png`),
  };
  try {
    await jobs[what]();
  } catch (error) {
    toast(error.message, { error: true });
  }
}

/** Have the server read a mask file; its runs, or null after a message to the visitor. */
export async function openMask(file) {
  if (file.size > MAX_FILE) {
    toast("A file may have at most 20 MB, but this one is larger; make it smaller.", { error: true });
    return null;
  }
  try {
    const answer = await session.ask("open-mask", { model: session.model.name }, { body: file });
    return (await answer.json()).runs;
  } catch (error) {
    toast(error.message, { error: true });
    return null;
  }
}
