// One sentence at the foot of the page, read out by screen readers, with at most one thing to do.

let shelf = null;

export function toast(sentence, { action, run, seconds = 6, error = false } = {}) {
  shelf ??= document.body.appendChild(Object.assign(document.createElement("div"), { className: "sis-toasts" }));
  for (const old of shelf.children) if (old.dataset.sentence === sentence) old.remove();
  const box = document.createElement("div");
  box.className = error ? "sis-toast is-error" : "sis-toast";
  box.setAttribute("role", error ? "alert" : "status");
  box.dataset.sentence = sentence;
  box.append(Object.assign(document.createElement("span"), { textContent: sentence }));
  const close = () => box.remove();
  if (action) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: action });
    button.addEventListener("click", () => (close(), run()));
    box.append(button);
  }
  const cross = Object.assign(document.createElement("button"), { type: "button", textContent: "×", className: "is-cross" });
  cross.setAttribute("aria-label", "Close message");
  cross.addEventListener("click", close);
  box.append(cross);
  shelf.append(box);
  while (shelf.children.length > 3) shelf.firstChild.remove();
  setTimeout(close, 1000 * seconds);
}
