/** Job lists: a JSON file (checked, all problems at once), or every model below a folder. */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { z } from "zod";
import { FileError, Problems, reasonOf, UsageError } from "../base/errors.ts";
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
  merged,
  optionsOf,
  pathsOf,
  problemsOf,
  problemsTogether,
} from "./job.ts";

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

/** The file's frame; its jobs are looked at one by one, so that all problems are told. */
const FILE = z.strictObject(
  {
    $schema: z.string().optional(),
    defaults: z.looseObject({}, "must be an object of options").optional(),
    jobs: z.array(z.looseObject({}, "must be an object with a model"), "must be a list of jobs").min(1, "is empty"),
  },
  { error: (issue) => (issue.code === "invalid_type" ? 'must be an object with "jobs"' : undefined) },
);

/** The whole file, for editors (scripts/generate-config-schema.ts). */
export const JOB_LIST = FILE.extend({
  defaults: DEFAULTS.optional().describe("options of all jobs"),
  jobs: z.array(ENTRY).min(1).describe("one entry per model"),
});

const MODEL_ENDINGS = [".circle", ".tflite"];

/** The list at `path`. Throws a MinmaxqError with every problem of a file, a UsageError for options it cannot be run with. */
export function readJobs(path: string, out: string | undefined, given: Given): JobList {
  if (!existsSync(path))
    throw new FileError(path, "there is no such file or folder; give a job list (JSON) or a folder of models");
  return statSync(path).isDirectory() ? jobsOfFolder(path, out, given) : jobsOfFile(path, out, given);
}

function jobsOfFile(path: string, outGiven: string | undefined, given: Given): JobList {
  const first = [...given.keys()][0];
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
  const { defaults, entries } = partsOf(file);
  const wrongDefaults = problemsOf(DEFAULTS, defaults, "defaults");
  tell(wrongDefaults);
  const drawn: Drawn[] = [];
  for (const [index, own] of entries.entries()) {
    if (own === undefined) continue;
    const place = `jobs[${index}]`;
    const wrong = problemsOf(ENTRY, own, place);
    tell(wrong);
    if (wrong.length > 0 || wrongDefaults.length > 0) continue;
    const entry = merged(defaults, own, folder, out);
    const together = problemsTogether(entry, place);
    tell(together);
    drawn.push({ place, written: String(own.model), entry: withOutput(entry, folder, out) });
  }
  tell(collisions(drawn, [path, join(out, RESULTS)]));
  problems.throwIfAny(`${path}: is no valid job list`);
  return { jobs: listed(drawn, out), out };
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new FileError(path, `cannot be read as JSON (${reasonOf(error)})`, { cause: error });
  }
}

/** What of a file can be looked at further, whatever else is wrong with it. */
function partsOf(file: unknown): { defaults: Entry; entries: (Entry | undefined)[] } {
  const isObject = (value: unknown): value is Entry =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  const { defaults, jobs } = isObject(file) ? (file as Record<string, unknown>) : {};
  return {
    defaults: isObject(defaults) ? defaults : {},
    entries: Array.isArray(jobs) ? jobs.map((each) => (isObject(each) ? each : undefined)) : [],
  };
}

function jobsOfFolder(path: string, outGiven: string | undefined, given: Given): JobList {
  if (outGiven === undefined) throw new UsageError(`${path}: is a folder; say with --out where the outputs go`);
  const folder = resolve(path);
  const out = resolve(outGiven);
  if (real(out) === real(folder))
    throw new UsageError(
      `--out ${outGiven}: is the folder of the models itself; outputs would be taken for models, give another folder`,
    );
  const options = entryOf(given);
  const found = modelsBelow(folder, real(out));
  if (found.length === 0) throw new FileError(path, "has no .circle or .tflite file, nor have its folders");
  const drawn = found.map((name): Drawn => {
    const entry = merged({}, { ...options, model: join(folder, name) }, process.cwd(), out);
    return { place: join(path, name), written: name, entry: withOutput(entry, folder, out) };
  });
  const problems = new Problems(path);
  // The options are the same for all.
  for (const line of problemsTogether(drawn[0]!.entry, "options")) problems.add(line.replace(/^options: /, ""));
  for (const line of collisions(drawn, [join(out, RESULTS)])) problems.add(line);
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

/** Models below a folder, by their paths inside it, sorted; hidden names, linked folders and `without` are left out. */
function modelsBelow(folder: string, without: string, inside = ""): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(folder, inside), { withFileTypes: true })) {
    if (entry.name.startsWith(".")) continue;
    const name = join(inside, entry.name);
    if (entry.isDirectory()) {
      if (real(join(folder, name)) !== without) found.push(...modelsBelow(folder, without, name));
    } else if (MODEL_ENDINGS.includes(extname(entry.name).toLowerCase())) {
      if (entry.isFile() || statSync(join(folder, name), { throwIfNoEntry: false })?.isFile()) found.push(name);
    }
  }
  return inside === "" ? found.sort() : found;
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

/** One name a file, also for those to come: links of the folders that are there are followed. */
function real(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const folder = dirname(path);
  return folder === path ? path : join(real(folder), basename(path));
}

function listed(drawn: readonly Drawn[], out: string): ListedJob[] {
  const counts = new Map<string, number>();
  for (const { written } of drawn) counts.set(written, (counts.get(written) ?? 0) + 1);
  return drawn.map(({ entry, written }) => {
    const shown = counts.get(written) === 1 ? written : `${written} → ${relative(out, String(entry.output))}`;
    return { ...jobOf(entry), written, shown };
  });
}
