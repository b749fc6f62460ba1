/** What differs by platform and is needed in several places; docs/platforms.md has all of it. */

const IS_WINDOWS = process.platform === "win32";

/** The environment's name of the folder for temporary files, for messages. */
export const TEMPORARY_FOLDER = IS_WINDOWS ? "TEMP" : "TMPDIR";

/** A path or pattern with / between folders. Windows takes both kinds; elsewhere \\ is a letter of a name, or makes the next one plain in a pattern. */
export function withSlashes(path: string, isWindows = IS_WINDOWS): string {
  return isWindows ? path.replaceAll("\\", "/") : path;
}

/** Whether a path ends as that of a folder. */
export function endsAsFolder(path: string, isWindows = IS_WINDOWS): boolean {
  return withSlashes(path, isWindows).endsWith("/");
}
