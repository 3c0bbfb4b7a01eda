// "Send to": a drawing or a picture of one tab becomes the start of another.

import { session } from "./session.js";
import { toast } from "./toast.js";

const TITLES = { mask: "Mask", scribble: "Scribble", sketch: "Sketch", photo: "Photo" };

/** What each tab can hand on: to which tab, what of it, and which kinds of drawing the model must read for that. */
const WAYS = {
  mask: [["scribble", "drawing"], ["sketch", "picture"], ["photo", "picture"]],
  scribble: [["mask", "drawing"], ["sketch", "picture"], ["photo", "picture"]],
  sketch: [["mask", "picture"], ["photo", "picture"]],
  photo: [["mask", "drawing"], ["sketch", "picture"]],
};

export function wireSending(menu, studio) {
  const sheet = menu.querySelector(".sis-sheet");
  const offer = () => {
    const ways = WAYS[studio.name].filter(([tab]) => session.reads(tab));
    menu.hidden = !ways.length;
    sheet.replaceChildren(...ways.map(([tab, what]) => entry(tab, what, studio)));
  };
  session.on("model", offer);
  if (session.model) offer();
}

function entry(tab, what, studio) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: `This ${what} to ${TITLES[tab]}` });
  button.setAttribute("role", "menuitem");
  button.addEventListener("click", () => send(tab, what, studio));
  return button;
}

async function send(tab, what, studio) {
  try {
    const { also, weight, other, ...state } = studio.state(); // a mix belongs to its tab
    const blob = what === "picture" ? await (await fetch(studio.picture.image.src)).blob() : null;
    session.open({ ...state, tab, strength: 1, sent: { from: studio.kind, blob } });
  } catch (error) {
    toast(error.message, { error: true });
  }
}
