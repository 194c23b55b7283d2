// The errors of this package. A message is one line, and begins with the file or the record.

/** A file that is not an exact network, or not the one that was asked for. */
export class BadModel extends Error {}

/** Bytes that are not sealed records of a codec. */
export class BadRecord extends Error {}

/** Text of a file as it may stand in a message. */
export function shown(text) {
  return JSON.stringify(String(text).slice(0, 80)).replace(/[^ -~]/g, "?");
}
