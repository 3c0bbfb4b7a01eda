// What a picture is made of, in words: under the picture and on its entry of the history.

export const TITLES = { mask: "Mask", scribble: "Scribble", sketch: "Drawn lines", canny: "Canny edges", hed: "Soft edges", depth: "Depth" };

/** job: { kind, photo?, also?, weight?, parts? } -> one line, empty where nothing is mixed. */
export function tellRecipe({ kind, photo, also, weight, parts = [] }) {
  const words = [], percent = (share) => `${Math.round(100 * share)} %`;
  if (also) words.push(`${photo ? "Photo" : TITLES[kind]} ${percent(1 - weight)} + ${TITLES[also].toLowerCase()} ${percent(weight)}`);
  for (const seed of new Set(parts.map(([, seed]) => seed))) {
    words.push(`${list(parts.filter((part) => part[1] === seed).map(([name]) => name))} of sample ${seed}`);
  }
  return words.join(" · ");
}

const list = (names) => (names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0]);
