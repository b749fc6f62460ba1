/** The word that keeps a layer float, in a file and on the command line. */
export const KEEP_FLOAT = "float32";
