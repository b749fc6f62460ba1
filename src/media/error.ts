/** What is wrong with a picture or sound, in words that follow its name: "is an animation; give single pictures". The caller knows the file. */
export class MediaError extends Error {}

/** Most bytes of a file: it is read as a whole. */
export const LARGEST_FILE = 256 * 2 ** 20;
