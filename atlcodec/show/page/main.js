// What is shown, and in which order: search, filters, sorting, and the table of confusions.

const WIDEST = 30; // columns of the table
const MOST_LABELS = 500; // that can be chosen; the search finds all others
const read = Boolean(images.label);
const known = Boolean(images.true?.some((_, image) => isComparable(image))); // so that labels can be compared
let alike = null; // { image, distances } while all are sorted by likeness

const byNumber = (one, two) => one - two;
const doubt = (image) => (isWrong(image) ? -probabilityOf(image) : probabilityOf(image));
const sorts = {
  order: [images.distance ? "order of the hits" : "order of the set", byNumber],
  probability: [
    known ? "wrong first" : "unsure first",
    (one, two) => isWrong(two) - isWrong(one) || doubt(one) - doubt(two),
  ],
  label: ["label", (one, two) => compare(trueOf(one) ?? labelOf(one) ?? "", trueOf(two) ?? labelOf(two) ?? "")],
  psnr: ["PSNR, worst first", (one, two) => (images.psnr[one] ?? 99) - (images.psnr[two] ?? 99)],
};
const compare = (one, two) => (one < two ? -1 : one > two ? 1 : 0);

function option(value, text) {
  return make("option", { value }, visible(text));
}

/** The labels of a column with how many images have each. */
function counted(values) {
  const counts = new Map();
  values?.forEach((label) => label !== NONE && counts.set(label, (counts.get(label) ?? 0) + 1));
  const most = [...counts].sort((one, two) => two[1] - one[1]).slice(0, MOST_LABELS);
  return most.sort((one, two) => compare(about.labels[one[0]], about.labels[two[0]]));
}

function choices(select, values, word) {
  const found = counted(values).map(([label, count]) => option(label, `${about.labels[label]} (${count})`));
  select.replaceChildren(option("", word), ...found);
  select.parentElement.hidden = !found.length;
}

function prepare() {
  choices($("label"), images.label, "any");
  choices($("true"), images.true, "any");
  const labelled = [read && "probability", (read || known) && "label"];
  const wanted = ["order", ...labelled, images.psnr && "psnr"];
  $("sort").replaceChildren(...wanted.filter(Boolean).map((name) => option(name, sorts[name][0])));
  $("sort").value = about.sort in sorts && wanted.includes(about.sort) ? about.sort : "order";
  $("wrong").parentElement.hidden = !(known && read);
  const parts = [`${images.count.toLocaleString("en")} images in ${about.bytes} of records`];
  if (known && read) {
    let [total, right] = [0, 0];
    for (let image = 0; image < images.count; image += 1) {
      if (!isComparable(image)) continue;
      [total, right] = [total + 1, right + !isWrong(image)];
    }
    if (total) parts.push(`${percent(right / total)} of ${total.toLocaleString("en")} labels right`);
  }
  $("summary").textContent = parts.join(", ");
  if (known && read) table();
}

/** Which true label was read as which; a click shows these images. */
function table() {
  const pairs = new Map();
  for (let image = 0; image < images.count; image += 1) {
    const [one, two] = [images.true[image], images.label[image]];
    if (isComparable(image)) pairs.set(one * 65536 + two, (pairs.get(one * 65536 + two) ?? 0) + 1);
  }
  const rows = [...new Set([...pairs.keys()].map((pair) => Math.floor(pair / 65536)))].sort(byText);
  const columns = [...new Set([...rows, ...[...pairs.keys()].map((pair) => pair % 65536)])].sort(byText);
  if (!rows.length) return;
  const most = Math.max(...pairs.values());
  const filled = (one, two) => {
    const count = pairs.get(one * 65536 + two);
    const field = make("td", { class: one === two ? "right" : "off" });
    if (!count) return field;
    field.style.setProperty("--strength", String(0.1 + (0.5 * count) / most));
    const title = visible(`${about.labels[one]} read as ${about.labels[two]}`);
    const button = make("button", { type: "button", title }, String(count));
    button.addEventListener("click", () => pick(one, two));
    field.append(button);
    return field;
  };
  const head = (scope, label) => make("th", { scope }, isolated(about.labels[label]));
  const caption = "Rows: true labels. Columns: what the classifier says.";
  const grid = make("table", {}, make("caption", { class: "hidden" }, caption));
  if (columns.length <= WIDEST) {
    grid.append(make("tr", {}, make("th", {}, "true"), ...columns.map((label) => head("col", label))));
    rows.forEach((one) => grid.append(make("tr", {}, head("row", one), ...columns.map((two) => filled(one, two)))));
  } else {
    const wrong = [...pairs].filter(([pair]) => Math.floor(pair / 65536) !== pair % 65536);
    grid.append(make("tr", {}, ...["true", "read as", "images"].map((text) => make("th", {}, text))));
    for (const [pair] of wrong.sort((one, two) => two[1] - one[1]).slice(0, WIDEST)) {
      const [one, two] = [Math.floor(pair / 65536), pair % 65536];
      grid.append(make("tr", {}, head("row", one), head("row", two), filled(one, two)));
    }
  }
  $("confusion").querySelector(".scroll").replaceChildren(grid);
  $("confusion").hidden = false;
}

const byText = (one, two) => compare(about.labels[one], about.labels[two]);

function pick(one, two) {
  [$("true").value, $("label").value, $("wrong").checked, $("text").value] = [one, two, false, ""];
  apply();
}

/** The images that the filters leave, in the order of the sort. */
function apply() {
  const text = $("text").value.trim().toLowerCase();
  const [label, truth, wrong] = [$("label").value, $("true").value, $("wrong").checked];
  const fits = (image) =>
    (label === "" || images.label[image] === Number(label)) &&
    (truth === "" || images.true[image] === Number(truth)) &&
    (!wrong || isWrong(image)) &&
    (text === "" || `${nameOf(image)}\n${labelOf(image) ?? ""}\n${trueOf(image) ?? ""}`.toLowerCase().includes(text)) &&
    !(alike && Number.isNaN(alike.distances[image]));
  const order = new Uint32Array(images.count);
  let count = 0;
  for (let image = 0; image < images.count; image += 1) if (fits(image)) order[count++] = image;
  const found = order.slice(0, count);
  if (alike) found.sort((one, two) => alike.distances[one] - alike.distances[two] || one - two);
  else if ($("sort").value !== "order") found.sort((one, two) => sorts[$("sort").value][1](one, two) || one - two);
  const all = count === images.count && !alike;
  const [some, whole] = [count, images.count].map((number) => number.toLocaleString("en"));
  const what = alike
    ? `${some} images, the most similar to ${visible(nameOf(alike.image))} first`
    : `${some} of ${whole} images`;
  $("status").textContent = all ? "" : count ? what : "No image is like that. Show all, or search for something else.";
  $("reset").hidden = all && !text;
  showImages(found, alike?.distances);
}

async function showAlike(image) {
  alike = { image, distances: await distancesFrom(image) };
  apply();
  scrollTo(0, 0);
  go(0);
}

function reset() {
  alike = null;
  [$("text").value, $("label").value, $("true").value, $("wrong").checked] = ["", "", "", false];
  apply();
}

let typing = 0;
$("text").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(apply, 150);
});
for (const name of ["label", "true", "wrong"]) $(name).addEventListener("change", apply);
$("sort").addEventListener("change", () => {
  alike = null;
  apply();
});
$("reset").addEventListener("click", reset);
$("tools").addEventListener("submit", (event) => event.preventDefault());
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !dialog.open && !$("reset").hidden) reset();
});

prepare();
apply();
