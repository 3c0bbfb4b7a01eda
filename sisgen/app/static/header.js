// The top of the page: model menu, link, help, light and dark.

import { wireMenu } from "./menu.js";
import { session } from "./session.js";
import { toast } from "./toast.js";

export function mount(element, base) {
  session.base = base;
  wireTheme(element.querySelector("[data-theme]"));
  wireMenu(element.querySelector("[data-menu=model]"));
  element.querySelector("[data-help]").addEventListener("click", () => session.emit("help"));
  element.querySelector("[data-share]").addEventListener("click", copyLink);
  session.on("model", (model) => tellModel(element, model));
}

function wireTheme(button) {
  const apply = (dark) => {
    document.documentElement.classList.toggle("sis-dark", dark);
    document.body.classList.toggle("dark", dark);
    button.setAttribute("aria-pressed", String(dark));
  };
  apply(document.documentElement.classList.contains("sis-dark"));
  button.addEventListener("click", () => {
    const dark = !document.documentElement.classList.contains("sis-dark");
    apply(dark);
    try {
      localStorage.setItem("sisgen.theme", dark ? "dark" : "light");
    } catch {
      // storage is off: the choice lasts as long as the page
    }
  });
}

async function copyLink() {
  const link = session.link && (await session.link());
  if (!link) return toast("This drawing is too detailed for a link; download the mask and send the file.");
  try {
    await navigator.clipboard.writeText(link);
    toast("The link is copied. It holds the drawing and its settings, nothing else.");
  } catch {
    location.hash = new URL(link).hash; // the address bar holds it where the clipboard is closed to us
    toast("The link is in the address bar; copy it from there.");
  }
}

function tellModel(element, model) {
  const put = (name, text) => (element.querySelector(`[data-${name}]`).textContent = text);
  put("model-name", model.title);
  put("about-name", model.title);
  put("about-text", model.about);
  const runs = model.whyNoGpu ? `${model.device}; no graphics card: ${model.whyNoGpu}` : model.device;
  const facts = { Picture: `${model.resolution} × ${model.resolution} px`, From: model.source, Version: model.revision, Licence: model.license, "Runs on": runs };
  const list = element.querySelector("[data-about-facts]");
  list.replaceChildren(...Object.entries(facts).flatMap(([name, text]) => [node("dt", name), node("dd", text)]));
  const others = element.querySelector(".sis-models");
  others.hidden = model.models.length < 2;
  others.replaceChildren(...model.models.map((name) => choice(name, name === model.name)));
}

function node(tag, text) {
  return Object.assign(document.createElement(tag), { textContent: text });
}

function choice(name, chosen) {
  const button = Object.assign(node("button", name.split("/").at(-1)), { type: "button" });
  button.setAttribute("role", "radio");
  button.setAttribute("aria-checked", String(chosen));
  button.addEventListener("click", () => session.choose(name).catch((error) => toast(error.message, { error: true })));
  return button;
}

