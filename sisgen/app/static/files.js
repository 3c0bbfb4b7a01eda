// Files out of the page and into it.

const MAX_SIDE = 1024; // pixels of a picture on its way to the server
const MAX_FILE = 20 * 2 ** 20;

/** Make a picture's file small before it is sent; what the browser cannot read goes as it is, for the server to say what is wrong. */
export async function shrinkFile(file, side = MAX_SIDE) {
  let picture = null;
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    if (file.size > MAX_FILE) throw new Error("A file may have at most 20 MB, but this one is larger; make it smaller.");
    return file;
  }
  const scale = Math.min(1, side / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale)));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // under a transparent picture
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/png" });
}

/** Offer an answer of the server to the visitor as a file. */
export const saveAnswer = async (answer, name) => saveBlob(await answer.blob(), name);

/** Offer bytes to the visitor as a file. */
export function saveBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Hand on files that are chosen, dropped on an element or pasted. */
export function wireUpload(input, area, open) {
  input.addEventListener("change", () => {
    if (input.files[0]) open(input.files[0]);
    input.value = "";
  });
  area.addEventListener("dragover", (event) => event.preventDefault());
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
}
