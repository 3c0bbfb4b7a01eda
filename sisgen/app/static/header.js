// The top of the page: model menu, link, help, light and dark.

import { wireMenu } from "./menu.js";
import { session } from "./session.js";
import { recall, remember } from "./store.js";
import { toast } from "./toast.js";

export function mount(element, base) {
  session.base = base;
  wireTheme(element.querySelector("[data-theme]"));
  wireMenu(element.querySelector("[data-menu=model]"));
  element.querySelector("[data-help]").addEventListener("click", () => session.emit("help"));
  session.on("help", () => element.querySelector(".sis-help").showModal());
  element.querySelector("[data-share]").addEventListener("click", copyLink);
  session.on("model", (model) => tellModel(element, model));
  session.on("choosing", ({ name, share }) => tellChoosing(element, name, share));
  session.on("chosen", () => tellChosen(element));
  wireOther(element.querySelector("[data-other-model]"));
  wireTabs(element.querySelector(".sis-tabs"));
}

/** The tabs: the chosen one is on the root element, so that styles show its part of the page alone. */
function wireTabs(bar) {
  const tabs = [...bar.querySelectorAll("[data-tab]")];
  const show = (name) => {
    document.documentElement.dataset.tab = name;
    for (const tab of tabs) {
      const chosen = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    remember("tab", name);
    session.emit("tab", name);
  };
  bar.addEventListener("click", (event) => event.target.dataset.tab && show(event.target.dataset.tab));
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], at = tabs.indexOf(document.activeElement);
    if (!step || at < 0) return;
    const next = tabs[(at + step + tabs.length) % tabs.length];
    show(next.dataset.tab);
    next.focus();
  });
  session.on("show", show);
  const kept = tabs.find((tab) => tab.dataset.tab === recall("tab"));
  show(kept && !location.hash.startsWith("#s=") ? kept.dataset.tab : tabs[0].dataset.tab);
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
  others.replaceChildren(...model.models.map((offer) => choice(offer, offer.name === model.name)));
  element.querySelector("[data-other-model]").hidden = !model.anyModel;
}

/** While a model is loaded or fetched, the button says so; the page goes on with the one before. */
function tellChoosing(element, name, share) {
  const button = element.querySelector("[data-menu=model] [data-open]"), label = element.querySelector("[data-model-name]");
  const offer = session.model?.models.find((other) => other.name === name), title = offer?.title ?? name?.split("/").at(-1) ?? "model";
  button.setAttribute("aria-busy", "true");
  label.textContent = share === null ? `Loading ${title}…` : `Fetching ${title}, ${Math.floor(100 * share)} %`;
}

function tellChosen(element) {
  element.querySelector("[data-menu=model] [data-open]").removeAttribute("aria-busy");
  element.querySelector("[data-model-name]").textContent = session.model?.title ?? "No model";
}

/** The field for any model by its name, where the server allows that. */
function wireOther(form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = form.elements.name.value.trim();
    if (name) choose(name).then((good) => good && form.reset());
  });
}

async function choose(name) {
  try {
    await session.choose(name);
    return true;
  } catch (error) {
    toast(error.message, { error: true, seconds: 12 });
    return false;
  }
}

function node(tag, text) {
  return Object.assign(document.createElement(tag), { textContent: text });
}

/** A row of the menu: the model's name, and what tells it from the others. */
function choice({ name, title, about, license, resolution, source }, chosen) {
  const button = Object.assign(node("button", ""), { type: "button", title: about });
  const facts = [resolution && `${resolution} px`, license, source].filter(Boolean).join(" · ");
  button.append(node("span", title), node("small", facts));
  button.setAttribute("role", "radio");
  button.setAttribute("aria-checked", String(chosen));
  button.setAttribute("aria-label", title);
  button.dataset.name = name;
  button.addEventListener("click", () => chosen || choose(name));
  return button;
}

