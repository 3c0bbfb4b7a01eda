// Keys of the whole page; silent while a text field has the focus.

import { KEYS } from "./palette.js";

const TOOLS = { b: "brush", f: "fill", l: "line", e: "eraser" };

/** act: { pick(class), tool(name), size(factor), undo(), redo(), shuffle(), compare(), help(), unzoom() }; active: () -> whether its tab is shown */
export function wireKeys(act, active = () => true) {
  document.addEventListener("keydown", (event) => {
    if (!active()) return;
    const field = event.target.closest?.("input, textarea, select, [contenteditable=true], dialog[open]");
    if (field && field.type !== "range") return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey) return withControl(event, key, act);
    if (event.altKey) return;
    if (press(key, act)) event.preventDefault();
  });
}

function withControl(event, key, act) {
  if (key !== "z" && key !== "y") return;
  event.preventDefault();
  if (key === "y" || event.shiftKey) act.redo();
  else act.undo();
}

function press(key, act) {
  if (KEYS.includes(key)) return act.pick(KEYS.indexOf(key)), true;
  if (TOOLS[key]) return act.tool(TOOLS[key]), true;
  if (key === "[" || key === ",") return act.size(1 / 1.2), true;
  if (key === "]" || key === ".") return act.size(1.2), true;
  if (key === "r") return act.shuffle(), true;
  if (key === "c") return act.compare?.(), true;
  if (key === "?") return act.help(), true;
  if (key === "Escape") return act.unzoom(), true;
  return false;
}
