// The classes as named chips. Names reach the page as text only.

export const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "q", "w"];

export class Palette {
  constructor(element, choose) {
    this.element = element;
    this.choose = choose;
    this.chips = [];
    element.addEventListener("keydown", (event) => this.move(event));
  }

  setLabels(labels) {
    this.chips = labels.map((label, i) => this.chip(label, i));
    this.element.replaceChildren(...this.chips);
  }

  chip({ name, color }, i) {
    const chip = document.createElement("button"), swatch = document.createElement("i"), text = document.createElement("span");
    chip.type = "button";
    chip.className = "sis-chip";
    chip.setAttribute("role", "radio");
    chip.setAttribute("aria-label", name);
    swatch.style.backgroundColor = `rgb(${color.map(Number).join(" ")})`;
    text.textContent = name;
    chip.append(swatch, text);
    if (KEYS[i]) chip.append(Object.assign(document.createElement("kbd"), { textContent: KEYS[i].toUpperCase() }));
    chip.addEventListener("click", () => this.choose(i));
    return chip;
  }

  mark(value) {
    this.chips.forEach((chip, i) => {
      chip.setAttribute("aria-checked", String(i === value));
      chip.tabIndex = i === value ? 0 : -1;
    });
    const chip = this.chips[value];
    if (chip && this.element.scrollWidth > this.element.clientWidth) {
      this.element.scrollTo({ left: chip.offsetLeft - this.element.clientWidth / 2 + chip.offsetWidth / 2, behavior: "smooth" });
    }
  }

  /** Dim the classes that the present sample lacks. */
  dim(absent) {
    this.chips.forEach((chip, i) => {
      chip.classList.toggle("is-absent", absent.has(i));
      chip.title = absent.has(i) ? "The present sample has none of this" : "";
    });
  }

  move(event) {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (this.chips.indexOf(document.activeElement) + step + this.chips.length) % this.chips.length;
    this.choose(next);
    this.chips[next].focus();
  }
}
