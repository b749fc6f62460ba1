/**
 * Job lists: a JSON file (checked, all problems at once), or every model below a folder.
 *
 *     command line (compare, fail-below) < defaults < entry < overrides, the later ones over the earlier
 *
 * A folder's entry are the options of the command line; its overrides come from `--overrides`, as a list's further ones do.
 */
import { existsSync, statSync } from "node:fs";
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { z } from "zod";
import { FileError, Problems, UsageError } from "../base/errors.ts";
import { readJson } from "../base/read-text.ts";
import { counted } from "../base/text.ts";
import { ACCURACY_OPTIONS } from "../options/lists.ts";
import { schemeNameOf, schemeOf, weightSchemeOf } from "../options/scheme.ts";
import { type OptionName, ROWS } from "../options/table.ts";
import type { Given } from "../options/values.ts";
import {
  DEFAULTS,
  ENTRY,
  type Entry,
  type Job,
  jobOf,
  keyOf,
  type Level,
  merged,
  OVERRIDE,
  optionsOf,
  PATH_KEYS,
  pathsOf,
  problemsOf,
  problemsTogether,
} from "./job.ts";
import { type Expansion, expansionOf, isFor, modelsBelow, real } from "./patterns.ts";

/** The batch's journal (results.ts); no job may write it. */
export const RESULTS = "results.jsonl";

export interface JobList {
  /** In the order of the list. */
  readonly jobs: readonly ListedJob[];
  /** Where outputs without a folder of their own, and results.jsonl, go. */
  readonly out: string;
}

export interface ListedJob extends Job {
  /** The model's path as people wrote it. */
  readonly written: string;
  /** A name for this job alone: the model's, with the output where a model has several jobs. */
  readonly shown: string;
}

/** An entry on its way to a job, and where its problems are told. */
interface Drawn {
  readonly entry: Entry;
  readonly place: string;
  readonly written: string;
}

const overrides = z.array(z.looseObject({}, 'must be an object with "match"'), "must be a list of overrides");

/** The file's frame; its jobs and overrides are looked at one by one, so that all problems are told. */
const FILE = z.strictObject(
  {
    $schema: z.string().optional(),
    defaults: z.looseObject({}, "must be an object of options").optional(),
    jobs: z
      .array(
        z.union([z.string(), z.looseObject({})], "must be an object with a model, or a pattern"),
        "must be a list of jobs",
      )
      .min(1, "is empty"),
    overrides: overrides.optional(),
  },
  { error: (issue) => (issue.code === "invalid_type" ? 'must be an object with "jobs"' : undefined) },
);

/** The whole file, for editors (scripts/generate-config-schema.ts). */
export const JOB_LIST = FILE.extend({
  defaults: DEFAULTS.optional().describe("options of all jobs"),
  jobs: z
    .array(z.union([z.string(), ENTRY]))
    .min(1)
    .describe(
      "one entry per model, folder of models (models/) or glob (models/*.tflite); a text is an entry without options",
    ),
  overrides: z.array(OVERRIDE).optional().describe("settings by pattern, over those of entries; later ones win"),
});

/** A file of `--overrides`, for editors: there it is an object, which can name its schema. */
export const OVERRIDES_FILE = z.strictObject({
  $schema: z.string().optional(),
  overrides: z.array(OVERRIDE).describe("settings by pattern; later ones win"),
});

/** Settings for models that match. */
interface Override extends Level {
  readonly place: string;
  readonly match: readonly string[];
}

/**
 * The list at `path`; `overridesPath`: a file with further overrides. Throws a MinmaxqError with every problem of a file, a UsageError for
 * options it cannot be run with.
 */
export function readJobs(path: string, out: string | undefined, given: Given, overridesPath?: string): JobList {
  if (!existsSync(path))
    throw new FileError(path, "there is no such file or folder; give a job list (JSON) or a folder of models");
  return statSync(path).isDirectory()
    ? jobsOfFolder(path, out, given, overridesPath)
    : jobsOfFile(path, out, given, overridesPath);
}

function jobsOfFile(path: string, outGiven: string | undefined, given: Given, overridesPath?: string): JobList {
  const first = [...given.keys()].find((name) => !ACCURACY_OPTIONS.includes(name));
  if (first !== undefined)
    throw new UsageError(
      `--${keyOf(first)}: is for a folder of models; with a job list, write "${keyOf(first)}" into its "defaults"`,
    );
  const folder = dirname(resolve(path));
  const out = resolve(outGiven ?? folder);
  const problems = new Problems(path);
  const tell = (lines: readonly string[]) => lines.forEach((line) => void problems.add(`${path}: ${line}`));
  const file = readJson(path);
  tell(problemsOf(FILE, file, ""));
  const parts = partsOf(file);
  const wrongDefaults = problemsOf(DEFAULTS, parts.defaults, "defaults");
  tell(wrongDefaults);
  const own = overridesOf(parts.overrides, folder, "", tell);
  const further = readOverrides(overridesPath, problems);
  const overrides = [...own, ...further];
  const defaults: Level = { values: { ...entryOf(given), ...parts.defaults }, folder };
  const drawn: Drawn[] = [];
  const expansions: [string, Expansion][] = [];
  for (const [index, own] of parts.entries.entries()) {
    if (own === undefined) continue;
    const place = `jobs[${index}]`;
    const wrong = problemsOf(ENTRY, own, place);
    tell(wrong);
    if (wrong.length > 0 || wrongDefaults.length > 0) continue;
    const expansion = expansionOf(String(own.model), folder, out);
    if (expansion) {
      tell(expansionProblems(own, expansion, place));
      expansions.push([`${place}: "${own.model}"`, expansion]);
    }
    for (const each of expansion?.models ?? [String(own.model)]) {
      const model = resolve(folder, each);
      const levels = [defaults, { values: { ...own, model }, folder }, ...chosen(overrides, model, folder)];
      const entry = merged(levels, out);
      const where = expansion ? `${place} (${relative(folder, model)})` : place;
      tell(problemsTogether(entry, where));
      const written = expansion ? relative(folder, model) : String(own.model);
      drawn.push({ place: where, written, entry: withOutput(entry, folder, out) });
    }
  }
  if (wrongDefaults.length === 0) {
    tell(unusedOverrides(own, drawn, folder));
    for (const line of unusedOverrides(further, drawn, folder)) problems.add(`${overridesPath}: ${line}`);
  }
  tell(ownOutputs(expansions, drawn, out));
  tell(collisions(drawn, [path, join(out, RESULTS), ...(overridesPath === undefined ? [] : [overridesPath])]));
  tell(nothingToCompare(given, drawn));
  problems.throwIfAny(`${path}: is no valid job list`);
  return { jobs: listed(drawn, out), out };
}

/** An entry that stands for several models cannot name one file for all of them. */
function expansionProblems(own: Entry, { models }: Expansion, place: string): string[] {
  if (models.length === 0) return [`${place}.model: "${own.model}" stands for no .circle or .tflite file; mend it`];
  return Object.entries(PATH_KEYS)
    .filter(([key, use]) => use === "written" && (own[key] ?? null) !== null)
    .map(
      ([key]) => `${place}.${key}: is one file, and "${own.model}" may be many models; leave it out, or name a model`,
    );
}

/** Patterns that would take results for models the next time. */
function ownOutputs(expansions: readonly [string, Expansion][], drawn: readonly Drawn[], out: string): string[] {
  return expansions.flatMap(([what, expansion]) => {
    const taken = drawn.find(({ entry }) => expansion.takes(String(entry.output)));
    return taken
      ? [
          `${what} would take outputs for models the next time (${relative(out, String(taken.entry.output))}); give them another folder with --out`,
        ]
      : [];
  });
}

/** Limits of the command line that hold for no job: none has samples. */
function nothingToCompare(given: Given, drawn: readonly Drawn[]): string[] {
  const asked = ACCURACY_OPTIONS.filter((name) => given.has(name));
  if (drawn.length === 0 || drawn.some(({ entry }) => asked.some((name) => entry[keyOf(name)] !== undefined)))
    return [];
  return asked.map((name) => `--${keyOf(name)}: no job has samples to be compared on; give them data`);
}

/** The overrides for a model. */
function chosen(overrides: readonly Override[], model: string, folder: string): Override[] {
  return overrides.filter(({ match }) => match.some((pattern) => isFor(pattern, model, folder)));
}

/** Patterns that are for no model of the list: a slip, most likely. */
function unusedOverrides(overrides: readonly Override[], drawn: readonly Drawn[], folder: string): string[] {
  const models = drawn.map(({ entry }) => String(entry.model));
  return overrides.flatMap(({ place, match }) =>
    match
      .filter((pattern) => models.length > 0 && !models.some((model) => isFor(pattern, model, folder)))
      .map(
        (pattern) =>
          `${place}.match: "${pattern}" is for none of the ${counted(models.length, "model")}; mend it or leave it out`,
      ),
  );
}

/** Checked overrides; what is wrong with them is told, and they are left out. */
function overridesOf(
  list: readonly (Entry | undefined)[],
  folder: string,
  place: string,
  tell: (lines: readonly string[]) => void,
): Override[] {
  return list.flatMap((each, index) => {
    if (each === undefined) return [];
    const where = `${place === "" ? "overrides" : ""}[${index}]`;
    const wrong = problemsOf(OVERRIDE, each, where);
    tell(wrong);
    if (wrong.length > 0) return [];
    const { match, ...values } = each;
    return [{ place: where, match: [match].flat().map(String), values, folder }];
  });
}

/** The overrides of a file of their own: a list, or an object with it under "overrides". */
function readOverrides(path: string | undefined, problems: Problems): Override[] {
  if (path === undefined) return [];
  if (!existsSync(path)) throw new FileError(path, "there is no such file; give a list of overrides (JSON)");
  const file = readJson(path);
  const tell = (lines: readonly string[]) => lines.forEach((line) => void problems.add(`${path}: ${line}`));
  const given: Record<string, unknown> = Array.isArray(file) ? { overrides: file } : { ...objectIn(file) };
  const { $schema: _, overrides: list, ...extra } = given;
  tell(Object.keys(extra).map((key) => `${key}: is unknown; a file of overrides has "overrides" alone`));
  if (!Array.isArray(list)) tell(['must be a list of overrides, or an object with it under "overrides"']);
  else tell(problemsOf(overrides, list, ""));
  return overridesOf(Array.isArray(list) ? list.map(objectIn) : [], dirname(resolve(path)), path, tell);
}

function objectIn(value: unknown): Entry | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Entry) : undefined;
}

/** What of a file can be looked at further, whatever else is wrong with it. */
function partsOf(file: unknown) {
  const { defaults, jobs, overrides } = (objectIn(file) ?? {}) as Record<string, unknown>;
  return {
    defaults: objectIn(defaults) ?? {},
    entries: Array.isArray(jobs)
      ? jobs.map((each) => (typeof each === "string" ? { model: each } : objectIn(each)))
      : [],
    overrides: Array.isArray(overrides) ? overrides.map(objectIn) : [],
  };
}

function jobsOfFolder(path: string, outGiven: string | undefined, given: Given, overridesPath?: string): JobList {
  if (outGiven === undefined) throw new UsageError(`${path}: is a folder; say with --out where the outputs go`);
  const folder = resolve(path);
  const out = resolve(outGiven);
  if (real(out) === real(folder))
    throw new UsageError(
      `--out ${outGiven}: is the folder of the models itself; outputs would be taken for models, give another folder`,
    );
  const found = modelsBelow(folder, real(out));
  if (found.length === 0) throw new FileError(path, "has no .circle or .tflite file, nor have its folders");
  const problems = new Problems(path);
  const overrides = readOverrides(overridesPath, problems);
  const all = Object.entries(entryOf(given));
  const isGeneral = ([key]: (typeof all)[number]) => ACCURACY_OPTIONS.some((name) => keyOf(name) === key);
  const general: Level = { values: Object.fromEntries(all.filter(isGeneral)), folder };
  const options = Object.fromEntries(all.filter((each) => !isGeneral(each)));
  const drawn = found.map((name): Drawn => {
    const model = join(folder, name);
    const own: Level = { values: { ...options, model }, folder: process.cwd() };
    const entry = merged([general, own, ...chosen(overrides, model, folder)], out);
    return { place: join(path, name), written: name, entry: withOutput(entry, folder, out) };
  });
  // Without overrides the options are the same for all.
  if (overrides.length === 0)
    for (const line of problemsTogether(drawn[0]!.entry, "options")) problems.add(line.replace(/^options: /, ""));
  else for (const { entry, place } of drawn) for (const line of problemsTogether(entry, place)) problems.add(line);
  for (const line of unusedOverrides(overrides, drawn, folder)) problems.add(`${overridesPath}: ${line}`);
  for (const line of collisions(drawn, [join(out, RESULTS), ...(overridesPath === undefined ? [] : [overridesPath])]))
    problems.add(line);
  for (const line of nothingToCompare(given, drawn)) problems.add(line);
  problems.throwIfAny(`${path}: cannot be done`);
  return { jobs: listed(drawn, out), out };
}

/** Options of the command line as those of an entry. */
function entryOf(given: Given): Entry {
  const value = (name: OptionName, texts: readonly (string | true)[]) => {
    const last = texts.at(-1)!;
    if (last === true) return true;
    return ROWS[name].many === "repeated" ? texts.map(String) : last;
  };
  return Object.fromEntries([...given].map(([name, texts]) => [keyOf(name), value(name, texts)]));
}

/**
 * `sub/a.tflite` → `OUT/sub/a.q8.circle` (q16 for int16), or `a.int8.tflite` in a scheme of LiteRT's; models from elsewhere lie directly in
 * OUT.
 */
function withOutput(entry: Entry, folder: string, out: string): Entry {
  if (entry.output !== undefined) return entry;
  const inside = relative(folder, String(entry.model));
  const name = inside === ".." || inside.startsWith(`..${sep}`) ? basename(inside) : inside;
  const options = { ...optionsOf(entry), output: undefined };
  const { family, activation } = schemeOf(options);
  const isOnes = family === "one" && !weightSchemeOf(options);
  const ending = isOnes ? `.q${activation.bits}.circle` : `.${schemeNameOf(options)}.tflite`;
  return { ...entry, output: join(out, name.slice(0, name.length - extname(name).length) + ending) };
}

/** No two jobs write one file, and none writes what any job reads, nor the batch's own files. */
function collisions(drawn: readonly Drawn[], own: readonly string[]): string[] {
  const all = drawn.flatMap(({ entry, place }) =>
    pathsOf(entry).map((each) => ({ ...each, place, real: real(each.path) })),
  );
  const problems: string[] = [];
  const read = new Map(all.filter(({ use }) => use !== "written").map((each) => [each.real, each]));
  const written = new Map<string, { place: string; key: string }>();
  const reserved = new Set(own.map(real));
  for (const { key, place, path, real } of all.filter(({ use }) => use === "written")) {
    const [reader, writer, folder] = [read.get(real), written.get(real), read.get(dirname(real))];
    if (folder?.use === "samples")
      problems.push(`${place}: its ${key} ${path} lies among the samples of ${folder.place}; give another path`);
    if (reader)
      problems.push(`${place}: its ${key} ${path} is the ${reader.key} of ${reader.place}; give another path`);
    if (writer)
      problems.push(`${place}: its ${key} ${path} is the ${writer.key} of ${writer.place}, too; give another path`);
    if (reserved.has(real)) problems.push(`${place}: its ${key} ${path} is the batch's own file; give another path`);
    written.set(real, { place, key });
  }
  return problems;
}

function listed(drawn: readonly Drawn[], out: string): ListedJob[] {
  const counts = new Map<string, number>();
  for (const { written } of drawn) counts.set(written, (counts.get(written) ?? 0) + 1);
  return drawn.map(({ entry, written }) => {
    const shown = counts.get(written) === 1 ? written : `${written} → ${relative(out, String(entry.output))}`;
    return { ...jobOf(entry), written, shown };
  });
}
