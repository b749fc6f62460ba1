/**
 * One job of a batch: an entry of a job list, whose keys are `model`, `output` and the options of `quantize` by their
 * names. Entries travel as they are (to a child process, through the queue) and are checked wherever they arrive.
 */
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import { closest, distance } from "fastest-levenshtein";
import { z } from "zod";
import { MinmaxqError, reasonOf } from "../base/errors.ts";
import { keepTextsPlain } from "../base/plain.ts";
import type { SampleSource } from "../driver/settings.ts";
import {
  ACCURACY_OPTIONS,
  checkTogether,
  JOB_OPTIONS,
  METHOD_OPTIONS,
  OF_ACTIVATIONS,
  REDUCTION_OPTIONS,
  usesSamples,
} from "../options/lists.ts";
import type { OptionRow } from "../options/row.ts";
import { weightSchemeOf } from "../options/scheme.ts";
import { isMadeUp, sampleFormat, sampleSource, sourceText, withFormats } from "../options/sources.ts";
import { type OptionName, ROWS } from "../options/table.ts";
import type { OptionValues } from "../options/values.ts";
import { DEFAULT_SCHEME } from "../rules/schemes.ts";
import { layerArgument } from "../settings/layer-arguments.ts";

/** Values of a job list; `null` takes a default back. */
export type Entry = Readonly<Record<string, string | number | boolean | readonly (string | number)[] | null>>;

/** A checked entry. */
export interface Job {
  readonly model: string;
  readonly output: string;
  readonly options: OptionValues;
  /** What it was read from, paths absolute. */
  readonly entry: Entry;
}

/** An option's name in a job list: as on the command line, without the dashes. */
export function keyOf(name: OptionName): string {
  return /--([a-z-]+)/.exec(ROWS[name].flags)![1]!;
}

/** Options by their keys; where the model goes is a field of the entry. */
const BY_KEY: ReadonlyMap<string, OptionName> = new Map(
  JOB_OPTIONS.filter((name) => name !== "output").map((name) => [keyOf(name), name]),
);

/** Keys of an entry whose values are paths. */
export const PATH_KEYS: Readonly<Record<string, NonNullable<OptionRow["file"]>>> = {
  model: "read",
  output: "written",
  ...Object.fromEntries([...BY_KEY].flatMap(([key, name]) => (ROWS[name].file ? [[key, ROWS[name].file]] : []))),
};

const path = z
  .string("must be a text")
  .refine((value) => value.trim() !== "", "is empty")
  .refine((value) => !/\p{Cc}/u.test(value), "has a control character");

/** The checks of the option table, for a value of a job list. */
function schemaOf(name: OptionName): z.ZodType {
  const row = ROWS[name];
  if (!/[<[]/.test(row.flags)) return z.boolean("must be true or false");
  if (row.file && !row.many) return path;
  const one = row.file ? path : z.union([z.string(), z.number()], "must be a text or a number");
  const many = row.many ? z.union([one, z.array(one).min(1, "is empty")], "must be a text, or a list of texts") : one;
  const value = row.flags.includes("[") ? z.union([z.boolean(), one], "must be true, false or a number") : many;
  return value.superRefine((value, context) => {
    try {
      parsed(name, value as string);
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      context.addIssue({ code: "custom", message: `is ${JSON.stringify(value)}; ${lower(error.message)}` });
    }
  });
}

const lower = (sentence: string) => sentence.replace(/^[A-Z]/, (letter) => letter.toLowerCase()).replace(/\.$/, "");

/** The value as the command line would give it. */
function parsed(name: OptionName, value: string | number | boolean | readonly (string | number)[]): unknown {
  const { parse, many } = ROWS[name];
  if (typeof value === "boolean") return value;
  const texts = (Array.isArray(value) ? value : [value]).map(String);
  if (!parse) return texts[0];
  if (many === "repeated") return texts.reduce<unknown>((before, each) => parse(each, before), undefined);
  return parse(texts.join(","));
}

const OPTION_VALUES = Object.fromEntries(
  [...BY_KEY].map(([key, name]) => [key, schemaOf(name).describe(ROWS[name].help)]),
);
const nullable = Object.fromEntries(Object.entries(OPTION_VALUES).map(([key, value]) => [key, value.nullish()]));
const optional = Object.fromEntries(Object.entries(OPTION_VALUES).map(([key, value]) => [key, value.optional()]));

/** An entry as written in a job list. */
export const ENTRY = z.strictObject({
  model: path.describe("the .circle or .tflite file to quantize"),
  output: path.optional().describe("where the result goes, by default MODEL.q8.circle or MODEL.q16.circle"),
  ...nullable,
});
export const DEFAULTS = z.strictObject(optional);
/** Settings for the models that a pattern matches. */
export const OVERRIDE = z.strictObject({
  match: z
    .union([path, z.array(path).min(1, "is empty")], "must be a pattern, or a list of patterns")
    .describe("which models: a path or a glob; without a slash, a name in any folder"),
  ...nullable,
});

/** What is wrong with a value, one line each, the place first: `jobs[2].dtype: is "uint9"; choose uint8 or int16`. */
export function problemsOf(schema: z.ZodType, value: unknown, place: string): string[] {
  const result = schema.safeParse(value);
  return result.success ? [] : result.error.issues.flatMap((issue) => linesOf(issue, value, place));
}

function linesOf(issue: z.core.$ZodIssue, value: unknown, place: string): string[] {
  if (issue.code === "unrecognized_keys")
    return issue.keys.map(
      (key) =>
        `${placeOf(place, [key])}: ${place === "" ? 'is unknown; a job list has "defaults", "jobs" and "overrides"' : unknown(key)}`,
    );
  const typed = issue.code === "invalid_type" || issue.code === "invalid_union";
  const missing = typed && issue.path.length > 0 && at(value, issue.path) === undefined;
  return [`${placeOf(place, issue.path)}: ${missing ? "is missing" : lower(issue.message)}`];
}

function unknown(key: string): string {
  if (key === "force") return "is no option of a job: the output must not be the input; see --redo";
  const known = ["model", "output", ...BY_KEY.keys()];
  const near = closest(key.replace(/^-+/, "").toLowerCase(), known);
  return distance(key, near) <= Math.max(2, key.length / 2)
    ? `there is no such option; did you mean "${near}"?`
    : `there is no such option; see 'minmaxq quantize --help'`;
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value);
}

/** `jobs[2].layer[0]`, `jobs[2]["odd key"]`. */
function placeOf(place: string, path: readonly PropertyKey[]): string {
  const step = (part: PropertyKey) =>
    typeof part === "number"
      ? `[${part}]`
      : /^[\w-]+$/.test(String(part))
        ? `.${String(part)}`
        : `[${JSON.stringify(part)}]`;
  return (place + path.map(step).join("")).replace(/^\./, "") || "the file";
}

/** An entry's samples, in its order; `folder` is where paths begin. */
export function samplesIn(entry: Entry, folder?: string): SampleSource[] {
  const texts = (key: string) => [entry[key] ?? []].flat().map(String);
  return withFormats(
    texts("data").map((text) => sampleSource(text, folder)),
    texts("data-format").map(sampleFormat),
  );
}

/** The value of an entry's `data` with these locations, a text or a list as it was. */
export function dataOf(entry: Entry, samples: readonly SampleSource[]): Entry[string] {
  const texts = samples.map(sourceText);
  return Array.isArray(entry.data) ? texts : texts[0]!;
}

/** A path that an entry has under a key. */
export interface EntryPath {
  readonly key: string;
  readonly path: string;
  readonly use: NonNullable<OptionRow["file"]>;
}

/** All paths of an entry. */
export function pathsOf(entry: Entry): EntryPath[] {
  return Object.entries(PATH_KEYS).flatMap(([key, use]): EntryPath[] => {
    if (use === "samples")
      return samplesIn(entry).flatMap((source) => (isMadeUp(source) ? [] : [{ key, path: source.location, use }]));
    const path = entry[key] ?? undefined;
    return path === undefined ? [] : [{ key, path: String(path), use }];
  });
}

/** Files that a job writes: its output and reports. */
export function writtenBy({ entry }: Job): string[] {
  return pathsOf(entry).flatMap(({ path, use }) => (use === "written" ? [path] : []));
}

/** Settings of one level: defaults of all jobs, an entry, an override. */
export interface Level {
  readonly values: Entry;
  /** Where paths in it begin. */
  readonly folder: string;
}

/** Values by key, and the level that said each last. */
interface Said {
  readonly value: Entry[string];
  readonly level: number;
}

/**
 * Settings of all levels as one entry, the first (defaults) to the last: what a later one says wins. Paths become absolute, those that
 * are written below `out`. What a more general level says and a more special one has made useless is left out; at the same level it is a mistake.
 */
export function merged(levels: readonly Level[], out: string): Entry {
  const said = new Map<string, Said>();
  for (const [level, { values }] of levels.entries())
    for (const [key, value] of Object.entries(values)) if (value !== undefined) said.set(key, { value, level });
  takeBackUseless(said);
  const all = Object.fromEntries([...said].map(([key, { value }]) => [key, value]));
  const result: Record<string, Entry[string]> = {};
  for (const [key, { value, level }] of said) {
    if (value === null || value === false) continue;
    const needed = ROWS[BY_KEY.get(key)!]?.needs as OptionName | undefined;
    if (needed && (all[keyOf(needed)] ?? null) === null && level < (said.get(keyOf(needed))?.level ?? 1)) continue;
    const { folder } = levels[level]!;
    const use = PATH_KEYS[key];
    if (use === "samples")
      result[key] = dataOf(
        all,
        samplesIn(all, folder).map((source) =>
          isMadeUp(source) ? source : { ...source, location: resolve(folder, source.location) },
        ),
      );
    else result[key] = use === undefined ? value : resolve(use === "written" ? out : folder, String(value));
  }
  return result;
}

/** What the scheme that a more special level names has no use for, or says otherwise. */
function takeBackUseless(said: Map<string, Said>): void {
  const takeBack = (names: readonly OptionName[], by: Said | undefined) => {
    if (by === undefined) return;
    for (const key of names.map(keyOf)) {
      const found = said.get(key);
      if (found && found.level < by.level) said.set(key, { value: null, level: by.level });
    }
  };
  const value = (name: OptionName) => said.get(keyOf(name))?.value ?? false;
  if (value("compare") === false) takeBack(["failBelow", "failAbove"], said.get("compare"));
  const [scheme, dtype] = [said.get("scheme"), said.get("dtype")];
  // Two words for one thing: the later one is meant.
  if (value("scheme") !== false) takeBack(["dtype"], scheme);
  if (value("dtype") !== false) takeBack(["scheme"], dtype);
  const named = (["scheme", "dtype"] as const).find((name) => value(name) !== false);
  const by = named && said.get(named);
  const weights =
    named === "scheme"
      ? weightSchemeOf({ scheme: String(by!.value).toLowerCase() as OptionValues["scheme"] })
      : undefined;
  if (!weights?.inBlocks) takeBack(["block"], by);
  if (!weights) return;
  const compared = ACCURACY_OPTIONS.some((name) => value(name) !== false);
  takeBack(REDUCTION_OPTIONS, by);
  // Samples are still of use: the result is run on them, or they say what layers read.
  const read = METHOD_OPTIONS.some((name) => name !== "rangeMargin" && value(name) !== false);
  takeBack(
    OF_ACTIVATIONS.filter((name) => name !== "data" || !(compared || read)),
    by,
  );
}

/** Whether a job's result is held against its model. */
export function isCompared(options: OptionValues): boolean {
  return ACCURACY_OPTIONS.some((name) => options[name] !== undefined);
}

/** The options that `quantize` gets: samples that are for the comparison alone are none of its business. */
export function forQuantize(options: OptionValues): OptionValues {
  if (!isCompared(options) || !weightSchemeOf(options) || usesSamples(options)) return options;
  return { ...options, data: undefined, dataFormat: undefined, inputShape: undefined };
}

/** The options of a checked entry as `quantize` takes them. */
export function optionsOf(entry: Entry): OptionValues {
  const values: Record<string, unknown> = { output: entry.output };
  for (const [key, name] of BY_KEY) {
    const value = entry[key];
    const given = value === undefined || value === null ? ROWS[name].default : parsed(name, value);
    if (given !== undefined) values[name] = given;
  }
  return values as unknown as OptionValues;
}

/** Problems of options that are right one by one. */
export function problemsTogether(entry: Entry, place: string): string[] {
  const options = optionsOf(entry);
  const problems: string[] = [];
  for (const [key, name] of BY_KEY) {
    const needed = ROWS[name].needs as OptionName | undefined;
    if (needed && entry[key] !== undefined && entry[keyOf(needed)] === undefined)
      problems.push(`${placeOf(place, [key])}: does nothing without "${keyOf(needed)}"`);
  }
  const refused = (work: () => void) => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof MinmaxqError)) throw error;
      problems.push(`${place}: ${reasonOf(error)}`);
    }
  };
  refused(() => checkTogether(forQuantize(options)));
  const weights = isCompared(options) ? weightSchemeOf(options) : undefined;
  if (weights)
    for (const key of REDUCTION_OPTIONS.map(keyOf))
      if (entry[key] !== undefined) problems.push(`${placeOf(place, [key])}: does nothing with "${weights.name}"`);
  for (const each of options.layer ?? [])
    refused(() => layerArgument(each, { ...DEFAULT_SCHEME, granularity: options.granularity }));
  return problems;
}

/** A job from an entry with absolute paths, wherever it comes from. Throws a MinmaxqError with everything wrong in it. */
export function jobOf(value: unknown): Job {
  // Before anything is said of them.
  keepTextsPlain(value);
  const problems = problemsOf(ENTRY, value, "job");
  const entry = value as Entry;
  if (problems.length === 0 && entry.output === undefined) problems.push("job.output: is missing");
  if (problems.length === 0) problems.push(...problemsTogether(entry, "job"));
  if (problems.length > 0) throw new MinmaxqError(problems.join("; "));
  return { model: String(entry.model), output: String(entry.output), options: optionsOf(entry), entry };
}
