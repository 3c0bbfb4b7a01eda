// Small sheets that open under a button and close on Escape, a click elsewhere or a choice.

export function wireMenu(menu) {
  const button = menu.querySelector("[data-open]"), sheet = menu.querySelector(".sis-sheet");
  const open = (yes) => {
    sheet.hidden = !yes;
    button.setAttribute("aria-expanded", String(yes));
    const first = () => sheet.querySelector("[aria-checked=true]") ?? sheet.querySelector("button, [tabindex]");
    if (yes) first()?.focus({ preventScroll: true });
  };
  button.addEventListener("click", () => open(sheet.hidden));
  sheet.addEventListener("click", (event) => event.target.closest("[role=menuitem], [role=radio]") && open(false));
  document.addEventListener("pointerdown", (event) => !menu.contains(event.target) && open(false));
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !sheet.hidden) {
      event.stopPropagation();
      open(false);
      button.focus();
    }
    if (["ArrowDown", "ArrowUp"].includes(event.key) && !sheet.hidden) {
      const items = [...sheet.querySelectorAll("button")];
      const next = items.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
      items.at(next % items.length)?.focus();
      event.preventDefault();
    }
  });
}
