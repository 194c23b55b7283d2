// Pictures on canvases. Workers decode what is in sight, a few images at a time, so that scrolling changes what comes
// next.

const AT_ONCE = 16; // images that a worker decodes for one call
const KEPT = 48e6; // bytes of pixels

const pool = workers();
const decoded = new Map(); // image -> { pixels, width, height, channels }, the last used at the end
const failures = new Map(); // image -> why
const asked = new Set(); // images that a worker decodes now
let kept = 0;

/** Each worker has a queue of its own; `call` resolves with its answer. */
function workers() {
  const source = URL.createObjectURL(new Blob([$("worker").textContent], { type: "text/javascript" }));
  const models = about.codecs.map(({ decompressor, classifier, name, head }) => ({
    name: `${name}/decompressor.onnx`,
    decompressor: bytesOf($(decompressor).textContent),
    classifier: classifier && bytesOf($(classifier).textContent),
    head,
  }));
  const count = Math.max(1, Math.min(4, navigator.hardwareConcurrency || 2));
  return Array.from({ length: count }, () => {
    const [worker, waiting] = [new Worker(source), new Map()];
    let calls = 0;
    worker.onmessage = ({ data }) => {
      const [resolve, reject] = waiting.get(data.call);
      waiting.delete(data.call);
      if (data.failed === undefined) resolve(data.answer);
      else reject(new Error(data.failed));
    };
    const call = (kind, content) =>
      new Promise((resolve, reject) => {
        waiting.set((calls += 1), [resolve, reject]);
        worker.postMessage({ kind, call: calls, ...content });
      });
    call("models", { models });
    return { call, busy: false };
  });
}

/** The images that are in sight, the most wanted first. */
let inSight = () => [];

/** Let idle workers decode what is in sight and not decoded. */
function pump() {
  const missing = inSight().filter((image) => !decoded.has(image) && !failures.has(image) && !asked.has(image));
  for (const one of pool.filter((each) => !each.busy)) {
    if (!missing.length) break;
    const first = missing[0];
    const fits = (image) => image === first || (!isGrid(first) && !isGrid(image) && sameCodec(image, first));
    const share = Math.max(4, Math.ceil(missing.length / pool.length)); // for each worker
    const taken = isGrid(first) ? [first] : missing.filter(fits).slice(0, Math.min(AT_ONCE, share));
    taken.forEach((image) => missing.splice(missing.indexOf(image), 1));
    decode(one, taken);
  }
  const left = inSight().some((image) => !decoded.has(image) && !failures.has(image));
  document.documentElement.dataset.decoded = String(!left);
}

const sameCodec = (first, second) => !images.codec || images.codec[first] === images.codec[second];

async function decode(worker, batch) {
  worker.busy = true;
  batch.forEach((image) => asked.add(image));
  const codec = images.codec?.[batch[0]] ?? 0;
  try {
    const grid = isGrid(batch[0]);
    const packed = grid ? recordsOf(batch[0]) : gathered(batch);
    const { pixels, shape, described, there } = await worker.call(grid ? "grid" : "decode", { codec, records: packed });
    const [height, width, channels = 1] = shape;
    const size = height * width * channels;
    batch.forEach((image, at) => {
      keep(image, { pixels: pixels.slice(at * size, (at + 1) * size), width, height, channels, described, there });
    });
  } catch (error) {
    batch.forEach((image) => failures.set(image, error.message));
  }
  worker.busy = false;
  batch.forEach((image) => {
    asked.delete(image);
    document.querySelectorAll(`canvas[data-wanted="${image}"]`).forEach(fill);
  });
  pump();
}

function gathered(batch) {
  const packed = new Uint8Array(batch.length * RECORD);
  batch.forEach((image, at) => packed.set(recordsOf(image), at * RECORD));
  return packed;
}

function keep(image, picture) {
  decoded.set(image, picture);
  kept += picture.pixels.length;
  const seen = new Set(inSight());
  for (const [old, { pixels }] of decoded) {
    if (kept <= KEPT) break;
    if (seen.has(old)) continue;
    decoded.delete(old);
    kept -= pixels.length;
  }
}

/** A canvas that shows a panel of an image as soon as it is decoded: "decoded", "original" or "difference". `most`
 *  limits its pixels, for large images in small places. */
function canvasOf(image, panel = "decoded", most = Infinity) {
  const canvas = make("canvas", { "data-wanted": image, "data-panel": panel, "aria-hidden": "true" });
  canvas.most = most;
  [canvas.height, canvas.width] = isGrid(image) ? [2, 3] : codecOf(image).shape;
  fill(canvas);
  return canvas;
}

function fill(canvas) {
  const [image, panel] = [Number(canvas.dataset.wanted), canvas.dataset.panel];
  const [picture, original] = [decoded.get(image), originals?.get(image)];
  if (!picture) return;
  canvas.dataset.item = image;
  if (panel === "decoded") return draw(canvas, picture);
  const pixels = originalOf(original, picture);
  if (!pixels) return undefined;
  const lost = () => picture.pixels.map((value, at) => Math.max(0, Math.min(255, 128 + 4 * (value - pixels[at]))));
  return draw(canvas, { ...picture, pixels: panel === "original" ? pixels : lost() });
}

function originalOf(text, { pixels }) {
  const found = text && bytesOf(text);
  return found?.length === pixels.length ? found : null;
}

function draw(canvas, { pixels, width, height, channels }) {
  const image = new ImageData(width, height);
  for (let at = 0, to = 0, from = 0; at < width * height; at += 1, to += 4, from += channels) {
    image.data[to] = pixels[from];
    image.data[to + 1] = pixels[from + (channels === 3 ? 1 : 0)];
    image.data[to + 2] = pixels[from + (channels === 3 ? 2 : 0)];
    image.data[to + 3] = 255;
  }
  const factor = Math.min(1, canvas.most / Math.max(width, height));
  if (factor === 1) {
    [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d").putImageData(image, 0, 0);
    return;
  }
  const whole = make("canvas");
  [whole.width, whole.height] = [width, height];
  whole.getContext("2d").putImageData(image, 0, 0);
  [canvas.width, canvas.height] = [width, height].map((side) => Math.max(1, Math.round(side * factor)));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, canvas.width, canvas.height);
}
