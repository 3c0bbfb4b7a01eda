// The top of the page: model menu, link, help, light and dark.

import { EMPTY } from "./codec.js";
import { wireMenu } from "./menu.js";
import { session } from "./session.js";
import { decodeLink, unpackState } from "./state.js";
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
  begin(wireTabs(element.querySelector(".sis-tabs")));
}

/** What a link holds, else the tab and the model of the last visit. */
async function begin(show) {
  const linked = await readLink(), kept = recall("model");
  session.handed = linked;
  show(linked?.tab ?? recall("tab"));
  try {
    await session.choose(linked?.model || (typeof kept === "string" ? kept : null));
  } catch (error) {
    if (linked) toast(error.message, { error: true });
    if (!session.model) await session.choose(null).catch((other) => toast(other.message, { error: true, seconds: 600 }));
  }
  window.addEventListener("hashchange", async () => {
    const state = await readLink();
    if (state) session.open(state);
  });
}

async function readLink() {
  const state = unpackState(await decodeLink(location.hash), EMPTY);
  if (!state && location.hash.startsWith("#s=")) toast("This link is damaged, so the page starts as usual.");
  return state;
}

/** The tabs: the chosen one is on the root element, so that styles show its part of the page alone. Returns the way to show one. */
function wireTabs(bar) {
  const tabs = [...bar.querySelectorAll("[data-tab]")];
  const show = (name) => {
    const wanted = tabs.find((tab) => tab.dataset.tab === name) ?? tabs[0];
    const lacking = session.model && !session.reads(wanted.dataset.tab), shown = lacking ? tabs[0] : wanted;
    if (lacking) toast(lack(wanted.dataset.tab));
    if (lacking && session.tab === tabs[0].dataset.tab) return;
    document.documentElement.dataset.tab = shown.dataset.tab;
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === shown));
      tab.tabIndex = tab === shown ? 0 : -1;
    }
    remember("tab", shown.dataset.tab);
    session.emit("tab", shown.dataset.tab);
  };
  bar.addEventListener("click", (event) => event.target.dataset.tab && show(event.target.dataset.tab));
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], at = tabs.indexOf(document.activeElement);
    if (!step || at < 0) return;
    const next = tabs[(at + step + tabs.length) % tabs.length];
    next.focus();
    show(next.dataset.tab);
  });
  session.on("show", show);
  session.on("model", (model) => {
    remember("model", model.name);
    for (const tab of tabs) {
      const lacking = !session.reads(tab.dataset.tab);
      tab.classList.toggle("is-lacking", lacking);
      tab.title = lacking ? lack(tab.dataset.tab) : "";
    }
    if (!session.reads(session.tab)) show(session.tab);
    if (model.untaught) {
      show("label");
      toast(`${model.title} has not learned labels yet: paint a few samples here and train.`);
    }
  });
  return show;
}

/** Why a tab cannot be used with the present model. */
function lack(tab) {
  const what = { scribble: "scribbles", sketch: "line drawings", photo: "photographs" }[tab];
  return `${session.model.title} has not learned to read ${what}; choose another model from the menu.`;
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
  if (!link) return toast("This drawing is too detailed for a link; download it and send the file.");
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

