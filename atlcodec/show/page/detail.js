// One image: its pictures, what is known of it, the labels that the classifier reads from its record, and what is like
// it.

const NEAREST = 12;
const dialog = $("detail");
let current = -1; // the image
let near = []; // images
let searchable = null; // whether a worker has the records to search

const dialogImages = () => (dialog.open ? [current, ...near] : []);

function openDetail(image) {
  [current, near] = [image, []];
  $("name").replaceChildren(isolated(nameOf(image)));
  $("pictures").replaceChildren(...figuresFor(image));
  $("facts").replaceChildren(facts(image), save(image), make("div", { id: "likely" }));
  $("near").replaceChildren();
  $("nearest").hidden = isGrid(image);
  if (!dialog.open) {
    dialog.showModal();
    $("name").focus(); // so that a screen reader begins with it
  }
  pump();
  classify(image);
  if (!isGrid(image)) showNearest(image);
}

function figuresFor(image) {
  const words = { original: "Original", decoded: "Decoded", difference: "Difference, 4 times" };
  const panels = originals?.has(image) ? PANELS : ["decoded"];
  const found = panels.map((panel) => {
    return make("figure", {}, canvasOf(image, panel), make("figcaption", {}, words[panel]));
  });
  if (isGrid(image)) return found;
  const symbols = make("canvas", { "aria-hidden": "true", "data-item": "symbols" });
  drawSymbols(symbols, recordsOf(image));
  const caption = make("figcaption", {}, "Its 400 symbols: 200 bytes");
  return [...found, make("figure", { class: "symbols" }, symbols, caption)];
}

/** Each symbol as one pixel, the darker the smaller. */
function drawSymbols(canvas, record) {
  const symbol = (at) => (at % 2 ? record[at >> 1] & 15 : record[at >> 1] >> 4);
  const pixels = Uint8Array.from({ length: 400 }, (_, at) => 17 * symbol(at));
  canvas.most = Infinity;
  draw(canvas, { pixels, width: 25, height: 16, channels: 1 });
}

function facts(image) {
  const lines = [
    ["Label", labelOf(image)],
    ["True label", trueOf(image)],
    ["Record", String(numberOf(image))],
    ["File", fileOf(image)],
    ["Codec", codecOf(image).name],
    ["PSNR", images.psnr && !Number.isNaN(images.psnr[image]) ? `${images.psnr[image].toFixed(1)} dB` : null],
  ];
  const rows = lines.filter(([, value]) => value !== null);
  const wrong = (name) => (name === "Label" && isWrong(image) ? { class: "wrong-text" } : {});
  return make(
    "dl",
    {},
    ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", wrong(name), isolated(value))]),
  );
}

function save(image) {
  const button = make("button", { type: "button", id: "save" }, isGrid(image) ? "Save its records" : "Save its record");
  button.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([recordsOf(image)], { type: "application/octet-stream" }));
    make("a", { href: address, download: `${numberOf(image)}.atlc` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  });
  return button;
}

/** The likeliest labels; of a grid, how many tiles have each, and a map of them. */
async function classify(image) {
  const codec = images.codec?.[image] ?? 0;
  if (!about.codecs[codec].classifier) return;
  const packed = recordsOf(image).slice(isGrid(image) ? RECORD : 0);
  const { labels, probabilities } = await pool[0].call("classify", { codec, records: packed });
  if (current !== image || !labels) return;
  const count = about.codecs[codec].head.labels.length;
  if (isGrid(image)) return mapTiles(image, packed, labels, count, probabilities);
  const order = [...probabilities.keys()].sort((one, two) => probabilities[two] - probabilities[one] || one - two);
  const rows = order.slice(0, 4).flatMap((at) => [
    make("dt", {}, isolated(about.codecs[codec].head.labels[at])),
    make("dd", {}, make("meter", { value: probabilities[at], "aria-hidden": "true" }), percent(probabilities[at])),
  ]);
  $("likely").replaceChildren(make("dl", {}, ...rows));
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Colours over the tiles, by their labels. */
function mapTiles(image, packed, labels, count, probabilities) {
  const names = about.codecs[images.codec?.[image] ?? 0].head.labels;
  const hue = (label) => `hsl(${Math.round(names.indexOf(label) * 222.5) % 360} 85% 55%)`;
  const there = labels.map((_, tile) => packed.subarray(tile * RECORD, (tile + 1) * RECORD).some((byte) => byte));
  const counts = new Map();
  labels.forEach((label, tile) => there[tile] && counts.set(label, (counts.get(label) ?? 0) + 1));
  const sorted = [...counts].sort((one, two) => two[1] - one[1]);
  const swatch = (label) => {
    const square = make("span", { class: "swatch" });
    square.style.background = hue(label);
    return square;
  };
  const rows = sorted.flatMap(([label, tiles]) => [
    make("dt", {}, swatch(label), isolated(label)),
    make("dd", {}, `${tiles} tiles`),
  ]);
  const box = make("input", { type: "checkbox", id: "map" });
  box.addEventListener("change", () => {
    const canvas = $("pictures").querySelector("canvas");
    fill(canvas);
    if (!box.checked || !decoded.has(image)) return;
    const [{ described }, context] = [decoded.get(image), canvas.getContext("2d")];
    labels.forEach((label, tile) => {
      if (!there[tile]) return;
      const most = Math.max(...probabilities.subarray(tile * count, (tile + 1) * count));
      context.globalAlpha = most < codecOf(image).unsure ? 0.15 : 0.45;
      context.fillStyle = hue(label);
      const [down, across] = described.tile.map((side) => side - described.overlap);
      const [row, column] = [Math.floor(tile / described.columns), tile % described.columns];
      context.fillRect(column * across, row * down, across, down);
    });
  });
  const choice = make("p", {}, make("label", { class: "check" }, box, " show the labels of the tiles"));
  $("likely").replaceChildren(choice, make("dl", {}, ...rows));
}

/** The distances of all images from one, computed by a worker. */
async function distancesFrom(image) {
  searchable ??= pool[0].call("searched", searched());
  await searchable;
  const [codec, query] = [images.codec?.[image] ?? 0, recordsOf(image)];
  const { distances } = await pool[0].call("search", { codec, query, latents: about.codecs[codec].latents });
  return distances;
}

/** One record for each image, and its codec; grids belong to no codec. */
function searched() {
  const codecs = new Uint8Array(images.count);
  codecs.forEach((_, image) => (codecs[image] = isGrid(image) ? 255 : (images.codec?.[image] ?? 0)));
  if (!starts) return { records: records.slice(), codecs };
  const first = new Uint8Array(images.count * RECORD);
  for (let image = 0; image < images.count; image += 1) {
    first.set(records.subarray(starts[image] * RECORD, (starts[image] + 1) * RECORD), image * RECORD);
  }
  return { records: first, codecs };
}

async function showNearest(image) {
  const distances = await distancesFrom(image);
  if (current !== image) return;
  near = nearestTo(image, distances, NEAREST);
  $("nearest").hidden = !near.length;
  $("near").replaceChildren(...near.map((other) => make("li", {}, cell(other, distances[other], ["decoded"]))));
  pump();
}

/** The nearest images without the image itself; of equal distances, the lower number comes first. */
function nearestTo(image, distances, count) {
  const best = [];
  for (let other = 0; other < distances.length; other += 1) {
    const distance = distances[other];
    if (other === image || Number.isNaN(distance)) continue;
    if (best.length === count && distance >= distances[best.at(-1)]) continue;
    let at = best.length;
    while (at > 0 && distances[best[at - 1]] > distance) at -= 1;
    best.splice(at, 0, other);
    best.length = Math.min(best.length, count);
  }
  return best;
}

function step(by) {
  const place = shown.indexOf(current) + by;
  if (!shown.length || place < 0 || place >= shown.length) return;
  openDetail(shown[place]);
}

$("before").addEventListener("click", () => step(-1));
$("after").addEventListener("click", () => step(1));
$("close").addEventListener("click", () => dialog.close());
$("alike").addEventListener("click", () => {
  dialog.close();
  showAlike(current);
});
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
dialog.addEventListener("close", () => {
  const place = shown.indexOf(current);
  if (place >= 0) go(place);
});
