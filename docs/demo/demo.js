// The demo page: a picture, its record, and what the record gives back.

const [COUNT, RECORD] = [12, 200]; // samples that are shown; bytes
const $ = (id) => document.getElementById(id);
const about = JSON.parse($("about").textContent);
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const held = (id) => ($(id) ? bytesOf($(id).textContent) : null);

let [bitmap, current, original] = [null, null, null]; // the picture; what is shown; its pixels, if they are known
const call = worker();

function worker() {
  const source = new Blob([$("worker").textContent], { type: "text/javascript" });
  const [one, waiting] = [new Worker(URL.createObjectURL(source)), new Map()];
  let calls = 0;
  one.onmessage = ({ data }) => {
    const [resolve, reject] = waiting.get(data.call);
    waiting.delete(data.call);
    if (data.failed === undefined) resolve(data.answer);
    else reject(new Error(data.failed));
  };
  return (kind, content) =>
    new Promise((resolve, reject) => {
      waiting.set((calls += 1), [resolve, reject]);
      one.postMessage({ kind, call: calls, ...content });
    });
}

function make(name, attributes = {}, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...content);
  return element;
}

// -- a picture becomes an image of the codec's shape ----------------------------------------------------------------

function prepared(picture, shape) {
  const [height, width, channels = 1] = shape;
  const canvas = make("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const fit = $("fit").value;
  const factors = [width / picture.width, height / picture.height];
  const factor = fit === "cover" ? Math.max(...factors) : Math.min(...factors);
  const sides = fit === "stretch" ? [width, height] : [picture.width * factor, picture.height * factor];
  context.fillStyle = $("invert").checked ? "white" : "black";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (width - sides[0]) / 2, (height - sides[1]) / 2, ...sides);
  const { data } = context.getImageData(0, 0, width, height);
  const flip = $("invert").checked ? 255 : 0;
  return Uint8Array.from({ length: height * width * channels }, (_, at) => {
    const from = 4 * Math.floor(at / channels);
    const luminance = (299 * data[from] + 587 * data[from + 1] + 114 * data[from + 2]) / 1000;
    return flip ^ (channels === 3 ? data[from + (at % 3)] : Math.round(luminance));
  });
}

/** Whether most of a picture's edge is bright: then it is dark on white. */
function looksInverted(picture) {
  const canvas = make("canvas");
  [canvas.width, canvas.height] = [32, 32];
  const context = canvas.getContext("2d");
  context.fillRect(0, 0, 32, 32);
  context.drawImage(picture, 0, 0, 32, 32);
  const { data } = context.getImageData(0, 0, 32, 32);
  const edge = [...Array(1024).keys()].filter((at) => at < 32 || at >= 992 || at % 32 === 0 || at % 32 === 31);
  return edge.reduce((sum, at) => sum + data[4 * at + 1], 0) / edge.length > 128;
}

async function open(file) {
  $("status").textContent = "";
  try {
    if (file.size % RECORD === 0 && /\.atlc$/i.test(file.name)) {
      return await showRecord(new Uint8Array(await file.arrayBuffer()).subarray(0, RECORD));
    }
    bitmap = await createImageBitmap(file);
  } catch {
    $("status").textContent = `${file.name}: is not a picture that this browser can read`;
    return undefined;
  }
  $("invert").checked = looksInverted(bitmap);
  return encode();
}

async function encode() {
  if (!bitmap) return;
  $("status").textContent = "Encoding ...";
  const which = $("codec").value === "" ? about.codecs.map((_, at) => at) : [Number($("codec").value)];
  const pixels = about.codecs.map(({ shape }) => prepared(bitmap, shape));
  const found = await call("encode", { which, pixels });
  const chosen = which.length > 1 ? `, chosen among ${which.length} codecs` : "";
  $("status").textContent = `${about.codecs[found.codec].name}${chosen}: ${found.psnr.toFixed(1)} dB`;
  original = pixels[found.codec];
  show(found);
}

async function showRecord(record) {
  const found = await call("read", { record });
  $("status").textContent = found ? "" : "This record is damaged, or of a codec that this page does not have.";
  if (!found) return;
  original = null;
  show(found);
}

// -- what is shown --------------------------------------------------------------------------------------------------

function draw(pixels, [height, width, channels = 1], attributes = {}) {
  const canvas = make("canvas", { "data-item": "1", ...attributes });
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      image.data[4 * at + channel] = pixels[at * channels + (channels === 3 ? channel : 0)];
    }
    image.data[4 * at + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function figure(words, canvas) {
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", words);
  return make("figure", {}, canvas, make("figcaption", {}, words));
}

function show(found) {
  current = found;
  const { shape } = about.codecs[found.codec];
  const pictures = [["Decoded", found.pixels, { id: "decoded" }]];
  if (original) {
    pictures.unshift(["Original, in the codec's size", original, { id: "original" }]);
    const lost = found.pixels.map((value, at) => Math.max(0, Math.min(255, 128 + 4 * (value - original[at]))));
    pictures.push(["Difference, 4 times", lost, {}]);
  }
  const symbols = draw(symbolsOf(found.record).map((symbol) => 17 * symbol), [16, 25], { id: "symbols" });
  symbols.addEventListener("click", (event) => changeSymbol(event, symbols));
  $("pictures").replaceChildren(
    ...pictures.map(([words, pixels, attributes]) => figure(words, draw(pixels, shape, attributes))),
    figure("Its 400 symbols: click one to change it", symbols),
  );
  showFacts(found);
  $("result").hidden = false;
  showNearest(found);
}

const symbolOf = (record, at) => (at % 2 ? record[at >> 1] & 15 : record[at >> 1] >> 4);
const symbolsOf = (record) => Uint8Array.from({ length: 400 }, (_, at) => symbolOf(record, at));

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function showFacts({ codec, record, probabilities }) {
  const { name, head } = about.codecs[codec];
  const order = [...probabilities.keys()].sort((one, two) => probabilities[two] - probabilities[one]).slice(0, 5);
  const save = make("button", { type: "button", id: "save" }, "Save the record");
  save.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([record], { type: "application/octet-stream" }));
    make("a", { href: address, download: "picture.atlc" }).click();
  });
  const rows = order.flatMap((at) => [
    make("dt", {}, head.labels[at]),
    make("dd", {}, make("meter", { value: probabilities[at], "aria-hidden": "true" }), percent(probabilities[at])),
  ]);
  const hexadecimal = [...record].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  $("facts").replaceChildren(
    make("dl", {}, make("dt", {}, "Codec"), make("dd", {}, name), ...rows),
    save,
    make("details", {}, make("summary", {}, "The 200 bytes"), make("code", {}, hexadecimal)),
  );
}

async function changeSymbol(event, canvas) {
  const box = canvas.getBoundingClientRect();
  const [column, row] = [25 * (event.clientX - box.left) / box.width, 16 * (event.clientY - box.top) / box.height];
  const place = 25 * Math.floor(row) + Math.floor(column);
  const record = current.record.slice();
  const symbol = (symbolOf(record, place) + 8) % 16;
  const byte = place >> 1;
  record[byte] = place % 2 ? (record[byte] & 240) | symbol : (record[byte] & 15) | (symbol << 4);
  show(await call("changed", { codec: current.codec, record }));
  $("seal").textContent =
    `Symbol ${place} is ${symbol} now. The seal is broken: a reader would report this record as damaged.`;
}

async function showNearest({ codec, record }) {
  $("seal").textContent = "";
  const found = await call("nearest", { codec, record, count: COUNT });
  const some = record ? "Most similar samples" : "Samples: click one";
  $("near-title").textContent = found.numbers.length ? some : "No samples of this codec";
  $("near").replaceChildren(
    ...found.numbers.map((number, at) => {
      const label = about.samples[codec][number];
      const picture = draw(found.images[at], about.codecs[codec].shape, { "aria-hidden": "true" });
      const button = make(
        "button",
        { type: "button", class: "cell" },
        make("span", { class: "images" }, picture),
        make("span", { class: "caption" }, make("bdi", {}, label)),
        make("span", { class: "figures" }, record ? `${found.distances[at].toFixed(1)} away` : ""),
      );
      button.addEventListener("click", () => {
        bitmap = null;
        showRecord(found.records[at]);
      });
      return make("li", {}, button);
    }),
  );
}

// -- the beginning --------------------------------------------------------------------------------------------------

$("codec").append(make("option", { value: "" }, "choose for me"));
about.codecs.forEach(({ name }, at) => $("codec").append(make("option", { value: at }, name)));
$("file").addEventListener("change", () => $("file").files[0] && open($("file").files[0]));
for (const name of ["codec", "fit", "invert"]) $(name).addEventListener("change", encode);
$("tools").addEventListener("submit", (event) => event.preventDefault());
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", () => document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => event.clipboardData.files[0] && open(event.clipboardData.files[0]));

call("models", {
  weights: about.weights,
  samples: about.codecs.map(({ id }) => held(`samples-${id}`)),
  codecs: about.codecs.map((codec) => ({
    ...codec,
    compressor: held(`compressor-${codec.id}`),
    decompressor: held(`decompressor-${codec.id}`),
    classifier: held(`classifier-${codec.id}`),
  })),
}).then(() => showNearest({ codec: Math.max(0, about.samples.findIndex((labels) => labels.length)), record: null }));
