// Choosing the square part of a photo: it is moved and enlarged under a fixed frame that shows where the head should be.

const SIDE = 512; // pixels of what is taken
const LARGEST = 6;

export class Crop {
  /** box: the element over the drawing; tell: { take(blob), cancel() } */
  constructor(box, tell) {
    Object.assign(this, { box, tell });
    this.canvas = box.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.slider = box.querySelector("[data-zoom]");
    this.fingers = new Map();
    this.wire();
  }

  /** Show a photo, a bitmap that is upright. */
  open(photo) {
    Object.assign(this, { photo, zoom: 1, x: photo.width / 2, y: photo.height / 2 });
    this.box.hidden = false;
    this.draw();
    this.canvas.focus({ preventScroll: true });
  }

  close() {
    this.box.hidden = true;
    this.photo?.close();
    this.photo = null;
  }

  /** Side of the square that is chosen, in the photo's pixels. */
  get side() {
    return Math.min(this.photo.width, this.photo.height) / this.zoom;
  }

  draw() {
    const { photo, side } = this, half = side / 2;
    this.x = Math.min(photo.width - half, Math.max(half, this.x));
    this.y = Math.min(photo.height - half, Math.max(half, this.y));
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(photo, this.x - half, this.y - half, side, side, 0, 0, SIDE, SIDE);
    this.slider.value = this.zoom;
    this.slider.style.setProperty("--at", `${(100 * (this.zoom - 1)) / (LARGEST - 1)}%`);
  }

  move(dx, dy) {
    this.x -= dx * this.side;
    this.y -= dy * this.side;
    this.draw();
  }

  enlarge(factor) {
    this.zoom = Math.min(LARGEST, Math.max(1, this.zoom * factor));
    this.draw();
  }

  take() {
    this.canvas.toBlob((blob) => {
      this.close();
      this.tell.take(blob);
    }, "image/png");
  }

  wire() {
    const { canvas, fingers } = this, width = () => canvas.getBoundingClientRect().width;
    const gap = () => {
      const [a, b] = [...fingers.values()];
      return Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = fingers.get(event.pointerId);
      if (!last || !this.photo) return;
      const before = fingers.size > 1 ? gap() : 0;
      this.move((event.clientX - last.x) / width() / fingers.size, (event.clientY - last.y) / width() / fingers.size);
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (before) this.enlarge(gap() / before);
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => (event.preventDefault(), this.enlarge(event.deltaY < 0 ? 1.1 : 1 / 1.1)), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    this.slider.addEventListener("input", () => this.enlarge(Number(this.slider.value) / this.zoom));
    this.box.querySelector("[data-do=crop-take]").addEventListener("click", () => this.take());
    this.box.querySelector("[data-do=crop-cancel]").addEventListener("click", () => this.cancel());
  }

  cancel() {
    this.close();
    this.tell.cancel();
  }

  key(event) {
    const ways = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }, way = ways[event.key];
    if (way) this.move(0.03 * way[0], 0.03 * way[1]);
    else if (event.key === "+" || event.key === "=") this.enlarge(1.1);
    else if (event.key === "-") this.enlarge(1 / 1.1);
    else if (event.key === "Enter") this.take();
    else if (event.key === "Escape") this.cancel();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
