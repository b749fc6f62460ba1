/**
 * THE DOCUMENTS that `--json` prints: one JSON object each, whose first member `schema` names its kind and version. What is in them is
 * described by src/documents, and promised in docs/stability.md.
 */

/** Versions by kind. A version stays while members are only added; what is removed, renamed or means something else makes a new one. */
export const DOCUMENTS = {
  report: 1,
  verify: 1,
  check: 1,
  inspect: 1,
  tensor: 1,
  diff: 1,
  explain: 1,
  compare: 1,
  diagnose: 1,
  tune: 1,
  samples: 1,
  doctor: 1,
  batch: 1,
  plan: 1,
} as const;

export type DocumentName = keyof typeof DOCUMENTS;

/** What the member `schema` of a kind says: "minmaxq/report/1". */
export function schemaId(name: DocumentName): string {
  return `minmaxq/${name}/${DOCUMENTS[name]}`;
}

/**
 * Characters that can change how a terminal shows what follows: C1 controls, DEL, and those that turn the direction of text. Control
 * characters below the space are escaped by JSON itself.
 */
const UNSAFE = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The document as it is printed: the same data, and nothing in it that a terminal obeys. */
export function documentText(name: DocumentName, facts: object): string {
  const text = JSON.stringify({ schema: schemaId(name), ...facts }, null, 2);
  return text.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
