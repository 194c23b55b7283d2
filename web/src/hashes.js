// SHA-256, the name of a file, and CRC-32, the seal of a record.

const CRC = new Int32Array(256).map((_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** The CRC-32 of bytes `start` to `end`: that of zlib and PNG. */
export function crc32(bytes, start = 0, end = bytes.length) {
  let crc = -1;
  for (let at = start; at < end; at += 1) crc = CRC[(crc ^ bytes[at]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** A whole number of 32 bits in hexadecimal, as cards write ids. */
export function hexadecimal(number) {
  return (number >>> 0).toString(16).padStart(8, "0");
}

/** The SHA-256 of bytes, in hexadecimal. Browsers have one of their own, but not for pages opened from the disk. */
export async function sha256(bytes) {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return plainSha256(bytes);
  const view = new DataView(await subtle.digest("SHA-256", bytes));
  return Array.from({ length: 8 }, (_, word) => hexadecimal(view.getUint32(4 * word))).join("");
}

/** The same in plain JavaScript (FIPS 180-4). */
export function plainSha256(bytes) {
  const [state, words] = [Int32Array.from(roots(8, 1 / 2)), new Int32Array(64)];
  const constants = Int32Array.from(roots(64, 1 / 3));
  const whole = bytes.length - (bytes.length % 64);
  for (let at = 0; at < whole; at += 64) compress(state, words, constants, bytes, at);
  const rest = new Uint8Array(bytes.length - whole < 56 ? 64 : 128); // what is left, a one, zeros, the number of bits
  rest.set(bytes.subarray(whole));
  rest[bytes.length - whole] = 128;
  const view = new DataView(rest.buffer);
  view.setUint32(rest.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(rest.length - 4, bytes.length << 3);
  for (let at = 0; at < rest.length; at += 64) compress(state, words, constants, rest, at);
  return Array.from(state, hexadecimal).join("");
}

/** The first 32 bits behind the point of the roots of the first primes. */
function roots(count, power) {
  const primes = [];
  for (let number = 2; primes.length < count; number += 1) {
    if (primes.every((prime) => number % prime)) primes.push(number);
  }
  return primes.map((prime) => ((prime ** power % 1) * 2 ** 32) | 0);
}

function compress(state, words, constants, bytes, start) {
  const turn = (word, by) => (word >>> by) | (word << (32 - by));
  for (let at = 0; at < 16; at += 1) {
    const first = start + 4 * at;
    words[at] = (bytes[first] << 24) | (bytes[first + 1] << 16) | (bytes[first + 2] << 8) | bytes[first + 3];
  }
  for (let at = 16; at < 64; at += 1) {
    const [early, late] = [words[at - 15], words[at - 2]];
    const low = turn(early, 7) ^ turn(early, 18) ^ (early >>> 3);
    const high = turn(late, 17) ^ turn(late, 19) ^ (late >>> 10);
    words[at] = words[at - 16] + low + words[at - 7] + high;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let at = 0; at < 64; at += 1) {
    const mixed = (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g));
    const first = (h + mixed + constants[at] + words[at]) | 0;
    const second = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, at) => (state[at] += word));
}
