// Files of a drawing: into the page and out of it.

import { encodePng } from "./codec.js";
import { saveAnswer } from "./files.js";
import { packJob } from "./job.js";
import { session } from "./session.js";
import { toast } from "./toast.js";

const MAX_FILE = 20 * 2 ** 20;

/** Save what a menu entry names: a job as a picture, its drawing as a mask, or the palette. */
export async function save(what, job) {
  const { model, seed, map } = job, title = session.model.title, name = `${title}-${seed}`;
  const asked = async (more) => {
    const { parameters, body } = await packJob(job);
    return session.ask("save-picture", { ...parameters, ...more }, { body });
  };
  const palette = (kind) => session.ask("palette", { model, format: kind });
  const jobs = {
    "save-mask": async () => saveAnswer(await session.ask("save-mask", { model }, { body: await encodePng(map) }), `${name}-mask.png`),
    "save-json": async () => saveAnswer(await palette("json"), "palette.json"),
    "save-gpl": async () => saveAnswer(await palette("gpl"), `${title}.gpl`),
    "save-1": async () => saveAnswer(await asked(), `${name}.png`),
    "save-4": async () => saveAnswer(await asked({ scale: 4 }), `${name}-large.png`),
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
