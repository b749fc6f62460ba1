import { SCHEME_NAMES, WEIGHT_SCHEME_NAMES } from "../rules/schemes.ts";

/** The word that keeps a layer float, in a file and on the command line. */
export const KEEP_FLOAT = "float32";

/** What a layer can be. */
export const LAYER_WORDS: readonly [string, ...string[]] = [
  KEEP_FLOAT,
  ...Object.values<string>(SCHEME_NAMES),
  ...Object.values<string>(WEIGHT_SCHEME_NAMES),
];
