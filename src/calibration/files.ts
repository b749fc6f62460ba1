/**
 * Records as files: a list file, a folder, a pattern, or one file. Source of the rules of raw files: reference §7.2.
 *
 * List file: one record per line, names separated by single spaces. As many names as the model has inputs: one file an input;
 * one name: one raw file with all inputs one after the other. Names are looked up from the current folder first (the reference's
 * rule), then from the list file's folder. Blank lines are no records.
 *
 * Folder: files sorted by name (by code units, so number them 000, 001 …), those beginning with "." left out. A pattern (`photos/*.jpg`): the files
 * that it matches, sorted likewise. With one input, one file per record; with several, `NAME_0.npy`, `NAME_1.jpg` … are the inputs 0, 1 …
 * of the record NAME, and raw files hold all inputs one after the other.
 *
 * What a file is, its ending says: `.npy` are NumPy arrays (shape and type checked), pictures and sounds are made into values (media.ts),
 * all others are raw little-endian bytes (only the size can be checked). The files of a folder are of one kind.
 *
 * Where the model leaves sizes open, each file tells its own: `.npy` by its header, a picture by its size, a raw file of one input by its size if one
 * dimension alone is open.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { FileError, reasonOf } from "../base/errors.ts";
import { keepPlain } from "../base/plain.ts";
import { readText } from "../base/read-text.ts";
import { counted, firstOf } from "../base/text.ts";
import { endingOf, type FileKind, kindOf } from "../media/kinds.ts";
import { fileSize } from "./chunks.ts";
import type { DataSet, InputSpec, Said } from "./inputs.ts";
import type { Media, MediaContext, MediaKind } from "./media.ts";
import { throwAll } from "./problems.ts";
import { type FileRecord, openRecord } from "./record-files.ts";

/** Files of a record, or why there is none. */
interface Group {
  readonly files: readonly string[];
  readonly problems: readonly string[];
}

const found = (files: readonly string[]): Group => ({ files, problems: [] });
const lacking = (...problems: string[]): Group => ({ files: [], problems });

/** Opens a list file. Throws MinmaxqError with every missing or ill-sized file. */
export async function openList(path: string, inputs: readonly InputSpec[], media?: MediaContext): Promise<DataSet> {
  fileSize(path);
  const lines = linesOf(path);
  const groups = lines.flatMap((raw, number): Group[] => {
    const line = raw.trim();
    if (line === "") return [];
    const place = `${path}:${number + 1}`;
    const names = split(line, path);
    if (names.length !== inputs.length && names.length !== 1) {
      return [
        lacking(
          `${place}: wrong number of inputs: ${names.length} names for ${inputs.length} model inputs; give one file an input, or one with all of them`,
        ),
      ];
    }
    const files = names.map((name) => find(name, path));
    const missing = names.filter((_, i) => files[i] === undefined);
    if (missing.length === 0) return [found(files as string[])];
    return [
      lacking(
        ...missing.map(
          (name) => `${place}: there is no file "${name}", neither from the current folder nor from the list's`,
        ),
      ),
    ];
  });
  return openGroups(path, groups, inputs, `${path}: records that cannot be used`, media);
}

function linesOf(path: string): string[] {
  try {
    return readText(path).split("\n");
  } catch (error) {
    throw new FileError(path, `cannot be read (${reasonOf(error)})`, { cause: error });
  }
}

/** A line that as a whole names a file is that file, so one-file records may have spaces in their names. */
function split(line: string, list: string): string[] {
  return find(line, list) === undefined ? line.split(" ") : [line];
}

function find(name: string, list: string): string | undefined {
  const places = isAbsolute(name) ? [name] : [name, join(dirname(list), name)];
  return places.find((place) => existsSync(place));
}

/** Opens a folder. Throws MinmaxqError with every file that cannot be used. */
export async function openDirectory(
  path: string,
  inputs: readonly InputSpec[],
  media?: MediaContext,
): Promise<DataSet> {
  let names: string[];
  let folders: string[];
  try {
    const entries = readdirSync(path, { withFileTypes: true }).filter((entry) => !entry.name.startsWith("."));
    names = entries.flatMap((entry) => (entry.isDirectory() ? [] : [keepPlain(entry.name)])).sort();
    folders = entries.flatMap((entry) => (entry.isDirectory() ? [keepPlain(entry.name)] : [])).sort();
  } catch (error) {
    throw new FileError(path, `is not a readable folder (${reasonOf(error)})`, { cause: error });
  }
  if (names.length === 0 && folders.length > 0)
    throw new FileError(
      path,
      `holds folders alone (${firstOf(folders)}); to take what lies in them, give a pattern in quotes, as '${join(path, "**/*.jpg")}'`,
    );
  return openFiles(
    path,
    names.map((name) => join(path, name)),
    inputs,
    media,
  );
}

/** Opens files that were named together: those of a folder, of a pattern, or a single picture or sound. */
export async function openFiles(
  path: string,
  files: readonly string[],
  inputs: readonly InputSpec[],
  media?: MediaContext,
): Promise<DataSet> {
  const kinds = Map.groupBy(files, kindOf);
  const isMedia = media !== undefined && (kinds.has("picture") || kinds.has("sound"));
  const skip = media?.settings.skipBad === true;
  const several = inputs.length > 1;
  const strangers = several && isMedia ? [] : strangersOf(kinds, isMedia);
  if (strangers.length > 0 && !(skip && isMedia && !kinds.has("array"))) throw mixed(path, kinds, isMedia);
  const byNumber = several && (isMedia ? files.length > 1 : kinds.has("array"));
  const groups: Group[] = byNumber
    ? byInput(path, files, inputs.length)
    : files.map((file) =>
        strangers.includes(file) ? lacking(`${file}: is neither picture nor sound`) : found([file]),
      );
  return openGroups(path, groups, inputs, `${path}: files that cannot be used`, media);
}

/** Files that are of another kind than the folder: of pictures, of sounds, of arrays, of raw files. */
function strangersOf(kinds: ReadonlyMap<FileKind, readonly string[]>, isMedia: boolean): readonly string[] {
  const of = (kind: FileKind) => kinds.get(kind) ?? [];
  const others = isMedia ? [...of("array"), ...of("raw")] : of("array").length > 0 ? otherThan(kinds, "array") : [];
  if (!isMedia || of("picture").length === 0 || of("sound").length === 0) return others;
  return [...others, ...of("sound")];
}

function otherThan(kinds: ReadonlyMap<FileKind, readonly string[]>, kind: FileKind): string[] {
  return [...kinds].flatMap(([each, files]) => (each === kind ? [] : files));
}

const KIND_WORDS: Readonly<Record<FileKind, string>> = {
  picture: "picture",
  sound: "sound",
  array: ".npy file",
  raw: "other file",
  foreign: "picture or sound of a kind that is not read",
};

function mixed(path: string, kinds: ReadonlyMap<FileKind, readonly string[]>, isMedia: boolean): FileError {
  const listed = [...kinds]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([kind, files]) => `${counted(files.length, KIND_WORDS[kind])} (e.g. "${nameIn(path, files[0]!)}")`);
  const skip = isMedia && !kinds.has("array") ? ", or leave them out by --skip-bad" : "";
  return new FileError(path, `holds ${listed.join(" and ")}; a folder holds one kind: move the others away${skip}`);
}

const nameIn = (path: string, file: string) => (file.startsWith(`${path}/`) ? file.slice(path.length + 1) : file);

/** `a_0.npy, a_1.npy, b_0.npy, b_1.npy` → the groups `[a_0, a_1], [b_0, b_1]`. */
function byInput(path: string, files: readonly string[], inputs: number): Group[] {
  const groups = new Map<string, string[]>();
  const problems: Group[] = [];
  for (const file of files) {
    const match = /^(.*)_(\d+)\.[^./\\]+$/.exec(file);
    if (match === null || Number(match[2]) >= inputs) {
      const ending = endingOf(file);
      problems.push(
        lacking(
          `${file}: a model with ${inputs} inputs needs NAME_0.${ending} … NAME_${inputs - 1}.${ending} for the record NAME`,
        ),
      );
      continue;
    }
    const group = groups.get(match[1]!) ?? [];
    group[Number(match[2])] = file;
    groups.set(match[1]!, group);
  }
  const complete = [...groups].map(([record, group]): Group => {
    const missing = Array.from({ length: inputs }, (_, i) => i).filter((i) => group[i] === undefined);
    const ending = endingOf(group.find((file) => file !== undefined)!);
    const name = nameIn(path, record);
    return missing.length === 0
      ? found(group)
      : lacking(
          ...missing.map((i) => `${record}_${i}.${ending}: there is no such file (input ${i} of record "${name}")`),
        );
  });
  return [...problems, ...complete];
}

/** Opens the files of every record. Throws MinmaxqError with all that cannot be used, unless they are to be left out. */
async function openGroups(
  path: string,
  groups: readonly Group[],
  inputs: readonly InputSpec[],
  summary: string,
  context: MediaContext | undefined,
): Promise<DataSet> {
  const skip = context?.settings.skipBad === true;
  const media = await mediaFor(groups, inputs, context);
  const records: FileRecord[] = [];
  const problems: string[] = [];
  const leftOut: string[] = [];
  try {
    for (const [number, { files, problems: lacks }] of groups.entries()) {
      const before = problems.length;
      problems.push(...lacks);
      const record = lacks.length === 0 ? await openRecord(files, inputs, problems, media) : undefined;
      if (record && problems.length === before) records.push(record);
      else leftOut.push(...problems.slice(before, before + 1));
      if (media) context!.onProgress?.(number + 1, groups.length);
    }
    if (!skip && media && problems.length === 1 && groups.length > 1) problems[0] += "; --skip-bad leaves it out";
    if (!skip) throwAll(problems, media ? `${summary} (--skip-bad leaves them out)` : summary, path);
    if (skip && records.length === 0) throwAll(problems, `${path}: holds no file that can be used`, path);
  } catch (error) {
    media?.close();
    throw error;
  }
  const left: Said[] = leftOut.length > 0 ? [leftOutText(leftOut, groups.length)] : [];
  return {
    description: `${path} (${counted(records.length, "record")})`,
    count: records.length,
    shapes: (record) => records[record]!.shapes,
    ...(media && { prepared: true as const, looks: media.looks() }),
    said: [...(media?.said() ?? []), ...left],
    async *records() {
      for (const record of records) yield record.read();
    },
    close: () => media?.close(),
  };
}

/** At most five of the files that are left out, and how many more there are. */
function leftOutText(lines: readonly string[], of: number): Said {
  return {
    kind: "warning",
    code: "samples-left-out",
    text: `${lines.length} of ${counted(of, "sample")} left out (--skip-bad): ${firstOf(lines)}`,
  };
}

/** What reads pictures and sounds; undefined where there are none. Throws where no input takes them. */
async function mediaFor(
  groups: readonly Group[],
  inputs: readonly InputSpec[],
  context: MediaContext | undefined,
): Promise<Media | undefined> {
  const wanted = new Map<string, [kind: MediaKind, input: number]>();
  if (!context) return undefined;
  for (const { files } of groups)
    for (const [input, file] of files.entries()) {
      const kind = kindOf(file);
      if (kind !== "picture" && kind !== "sound") continue;
      if (files.length !== inputs.length)
        throw new FileError(
          file,
          `one ${kind} cannot feed ${inputs.length} model inputs (${firstOf(inputs.map(({ name }) => `"${name}"`))}); name files NAME_0, NAME_1 …, or list one an input in each line of a .txt file`,
        );
      wanted.set(`${kind} ${input}`, [kind, input]);
    }
  if (wanted.size === 0) return undefined;
  // Loaded here: most samples are arrays.
  const { Media } = await import("./media.ts");
  const media = new Media(inputs, context);
  for (const [kind, input] of wanted.values()) media.plan(kind, input);
  return media;
}
