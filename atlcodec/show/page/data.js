// What the page carries: records, what is known of each image, and networks. It is read once.

const RECORD = 200; // bytes
const NONE = 65535; // no label
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
const JOINERS = "\u200c\u200d"; // Persian and emoji need them

const $ = (id) => document.getElementById(id);
const about = JSON.parse($("about").textContent);
const records = joined([...document.querySelectorAll(".records")]);
const column = (name, type) => about.columns[name] && new type(bytesOf(about.columns[name]).buffer);

/** Columns have a value for each image; one that says nothing is missing. */
const images = {
  count: about.count,
  file: column("file", Uint16Array),
  number: column("number", Uint32Array),
  codec: column("codec", Uint8Array),
  label: column("label", Uint16Array),
  true: column("true", Uint16Array),
  unsure: column("unsure", Uint8Array),
  probability: column("probability", Uint16Array),
  psnr: column("psnr", Float32Array),
  distance: column("distance", Float32Array), // from the query of `atlc similar`; -1 for the query itself
  records: column("records", Uint32Array), // how many; more than one for a grid
  paths: about.paths,
};
const starts = beginnings(images.records); // of the first record of each image
const places = new Map(about.labels.map((label, at) => [label, at]));
const vocabularies = about.codecs.map(({ labels = [] }) => new Set(labels.map((label) => places.get(label))));
const originals = about.originals && new Map(about.originals.map(([at, pixels]) => [at, pixels]));

function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at += 1) bytes[at] = letters.charCodeAt(at);
  return bytes;
}

/** The bytes of several elements, whose text is given up. */
function joined(elements) {
  const parts = elements.map((element) => {
    const bytes = bytesOf(element.textContent);
    element.remove();
    return bytes;
  });
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

function beginnings(counts) {
  if (!counts) return null;
  const found = new Uint32Array(counts.length + 1);
  counts.forEach((count, at) => (found[at + 1] = found[at] + count));
  return found;
}

const isGrid = (image) => Boolean(images.records && images.records[image] > 1);
const codecOf = (image) => about.codecs[images.codec ? images.codec[image] : 0];
const labelOf = (image) => (images.label && images.label[image] !== NONE ? about.labels[images.label[image]] : null);
const trueOf = (image) => (images.true && images.true[image] !== NONE ? about.labels[images.true[image]] : null);
const probabilityOf = (image) => (images.probability ? images.probability[image] / 65535 : 0);
const isWrong = (image) => isComparable(image) && images.true[image] !== images.label[image];
const numberOf = (image) => (images.number ? images.number[image] : image);
const fileOf = (image) => about.files[images.file ? images.file[image] : 0];

/** Whether the classifier could have given the label of the list. */
function isComparable(image) {
  if (!images.true || !images.label || images.true[image] === NONE || images.label[image] === NONE) return false;
  return vocabularies[images.codec ? images.codec[image] : 0].has(images.true[image]);
}

function recordsOf(image) {
  const [from, to] = starts ? [starts[image], starts[image + 1]] : [image, image + 1];
  return records.slice(from * RECORD, to * RECORD);
}

/** What stands for an image where it has no label. */
function nameOf(image) {
  return images.paths?.[image] ?? `${fileOf(image)}[${numberOf(image)}]`;
}

/** Text of strangers, with direction marks and the like by their numbers. */
function visible(text) {
  return text.replace(HIDDEN, (mark) => (JOINERS.includes(mark) ? mark : `\\u{${mark.codePointAt(0).toString(16)}}`));
}

/** An element with text or other elements in it; text is never read as HTML. */
function make(name, attributes = {}, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...content);
  return element;
}

const isolated = (text) => make("bdi", {}, visible(text));

function captionOf(image) {
  const [label, known] = [labelOf(image), trueOf(image)];
  if (images.distance && images.distance[image] === -1) return "query";
  const foreign = known !== null && !isComparable(image) && !images.distance;
  if (label === null || foreign) return known ?? (isGrid(image) ? fileOf(image) : nameOf(image));
  if (isWrong(image)) return `${label}, not ${known}`;
  return images.unsure?.[image] ? `${label}?` : label;
}

function figuresOf(image, distance = images.distance?.[image]) {
  if (distance >= 0) return `${distance.toFixed(1)} away`;
  const share = `${Math.round(100 * probabilityOf(image))} %`;
  const parts = labelOf(image) !== null ? [share] : [];
  if (parts.length && trueOf(image) !== null && !isComparable(image)) parts[0] = `${visible(labelOf(image))} ${share}`;
  if (images.psnr && !Number.isNaN(images.psnr[image])) parts.push(`${images.psnr[image].toFixed(1)} dB`);
  return parts.join(", ");
}
