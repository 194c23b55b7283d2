// Arrays that are used again. A network makes the same arrays for each batch; new ones keep the garbage collector busy.

const KEPT = 2 ** 25; // bytes at most

const free = new Map();
let held = 0;

/** An array of a type and a length, with anything in it. */
export function take(type, length) {
  const found = free.get(`${type.name} ${length}`)?.pop();
  if (!found) return new type(length);
  held -= found.byteLength;
  return found;
}

/** Give an array back that nobody reads any more. */
export function give(array) {
  if (held + array.byteLength > KEPT) return;
  held += array.byteLength;
  const key = `${array.constructor.name} ${array.length}`;
  if (!free.has(key)) free.set(key, []);
  free.get(key).push(array);
}
