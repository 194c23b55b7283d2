// The list of images. Only the cells in sight exist; the list is as tall as if all of them did.

const PANELS = originals ? ["original", "decoded", "difference"] : ["decoded"];
const [NARROW, WIDE] = originals ? [230, 300] : [92, 112]; // pixels of a cell
const TEXT = 60; // pixels of a cell below and around its picture
const BEYOND = 2; // rows above and below what is in sight

const list = $("list");
const cells = new Map(); // place -> element
let shown = new Uint32Array(0); // images in their order
let notes = null; // distances of a search, by image
let active = 0; // the place that the Tab key reaches
const layout = { columns: 1, width: 0, height: 0 };

/** Show other images, or the same in another order. */
function showImages(order, distances = null) {
  [shown, notes, active] = [order, distances, 0];
  cells.forEach((cell) => cell.remove());
  cells.clear();
  measure();
}

function measure() {
  const room = list.clientWidth;
  const least = room < 560 ? NARROW : WIDE;
  layout.columns = Math.max(1, Math.floor(room / least));
  layout.width = room / layout.columns;
  layout.height = Math.round((layout.width - 22) / PANELS.length) + TEXT;
  list.style.height = `${Math.ceil(shown.length / layout.columns) * layout.height}px`;
  cells.forEach((cell, place) => put(cell, place));
  update();
}

/** The places of the rows in sight, and of `beyond` rows more on both sides. */
function window_(beyond) {
  const top = -list.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / layout.height) - beyond);
  const last = Math.floor((top + innerHeight) / layout.height) + beyond;
  return [first * layout.columns, Math.min(shown.length, (last + 1) * layout.columns)];
}

function update() {
  const [from, to] = window_(BEYOND);
  for (const [place, cell] of cells) {
    if (place >= from && place < to) continue;
    if (cell.contains(document.activeElement)) continue; // the keyboard is there
    cell.remove();
    cells.delete(place);
  }
  for (let place = from; place < to; place += 1) if (!cells.has(place)) add(place);
  pump();
}

function add(place) {
  const item = make("li", { "aria-setsize": shown.length, "aria-posinset": place + 1 }, cell(shown[place]));
  item.firstChild.tabIndex = place === active ? 0 : -1;
  item.firstChild.addEventListener("focus", () => activate(place));
  cells.set(place, item);
  put(item, place);
  const next = [...cells.keys()].filter((other) => other > place).sort((one, two) => one - two)[0];
  list.insertBefore(item, next === undefined ? null : cells.get(next)); // in their order, for screen readers
}

function put(item, place) {
  const [row, column] = [Math.floor(place / layout.columns), place % layout.columns];
  item.style.transform = `translate(${column * layout.width}px, ${row * layout.height}px)`;
  [item.style.width, item.style.height] = [`${layout.width}px`, `${layout.height}px`];
}

/** The button of an image: its pictures and its label. */
function cell(image, distance = notes?.[image], panels = PANELS) {
  const pictures = panels.map((panel) => canvasOf(image, panel, 256));
  const button = make(
    "button",
    { type: "button", class: isWrong(image) ? "cell wrong" : "cell", "data-image": image },
    make("span", { class: "images" }, ...pictures),
    make("span", { class: "caption" }, isolated(captionOf(image))),
    make("span", { class: "figures" }, figuresOf(image, distance ?? images.distance?.[image])),
  );
  button.title = visible(nameOf(image));
  button.addEventListener("click", () => openDetail(image));
  return button;
}

function activate(place) {
  const before = cells.get(active)?.firstChild;
  if (before) before.tabIndex = -1;
  active = place;
  const now = cells.get(place)?.firstChild;
  if (now) now.tabIndex = 0;
}

/** Move the keyboard to a place, and the page so that it is in sight. */
function go(place) {
  const to = Math.max(0, Math.min(shown.length - 1, place));
  const top = Math.floor(to / layout.columns) * layout.height + list.getBoundingClientRect().top;
  const bar = getComputedStyle(document.querySelector("header")).position === "sticky";
  const least = bar ? document.querySelector("header").offsetHeight : 0;
  if (top < least) scrollBy(0, top - least - 8);
  else if (top + layout.height > innerHeight) scrollBy(0, top + layout.height - innerHeight + 8);
  activate(to);
  update();
  cells.get(to)?.firstChild.focus({ preventScroll: true });
}

list.addEventListener("keydown", (event) => {
  const page = Math.max(1, Math.floor(innerHeight / layout.height) - 1) * layout.columns;
  const steps = {
    ArrowLeft: active - 1,
    ArrowRight: active + 1,
    ArrowUp: active - layout.columns,
    ArrowDown: active + layout.columns,
    PageUp: active - page,
    PageDown: active + page,
    Home: 0,
    End: shown.length - 1,
  };
  if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  if (steps[event.key] >= 0 && steps[event.key] < shown.length) go(steps[event.key]);
  else if (event.key.startsWith("Page")) go(steps[event.key]);
});

let drawing = false;
function soon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    update();
  });
}
addEventListener("scroll", soon, { passive: true });
addEventListener("resize", () => measure());

inSight = () => {
  const [from, to] = window_(0);
  const wanted = [...dialogImages(), ...shown.subarray(from, to)];
  const [above, below] = window_(BEYOND);
  return [...wanted, ...shown.subarray(above, from), ...shown.subarray(to, below)];
};
