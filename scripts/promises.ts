/**
 * What a release promises to keep, one fact a line, from the tables and schemas that the program itself uses: docs/stability.md says what
 * the lines mean. test/stability/promised.txt has the lines of the last release; test/stability holds the program to them.
 *
 *     bun run scripts/promises.ts            records lines that are new; refuses while a recorded one no longer holds
 *     bun run scripts/promises.ts --break    records what is there, whatever was promised: for a new major version
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MinmaxqError, UsageError } from "../src/base/errors.ts";
import { SIGNAL_CODES } from "../src/base/interrupt.ts";
import { describeAll } from "../src/cli/describe.ts";
import { SCHEMAS_BY_NAME } from "../src/documents/documents.ts";
import { type DescribedCommand, wordsOf } from "../src/manual/described.ts";

const TOP = join(import.meta.dir, "..");
const RECORD = join(TOP, "test/stability/promised.txt");

/** Lines of the last release. */
export function promised(): string[] {
  return readFileSync(RECORD, "utf8").split("\n").filter(Boolean);
}

/** Lines that hold now, sorted. */
export async function promises(): Promise<string[]> {
  const { commands, common } = await describeAll();
  const shared = new Set(common.map(({ long }) => long));
  const lines = [
    ...exitCodes(),
    ...common.flatMap((option) => optionLines("every command", option)),
    ...commands.flatMap((command) => commandLines(command, shared)),
    ...codes(),
    ...environment(),
    ...Object.entries(SCHEMAS_BY_NAME).flatMap(([name, { by, jsonSchema }]) =>
      by === "minmaxq" ? outputLines(name, jsonSchema()) : inputLines(name, jsonSchema()),
    ),
  ];
  return [...new Set(lines)].sort();
}

/** Lines that were promised and do not hold any more. */
export function broken(promised: readonly string[], now: readonly string[]): string[] {
  const holds = new Set(now);
  return promised.filter((line) => !holds.has(line));
}

function exitCodes(): string[] {
  return [
    "exit 0: done",
    `exit ${new MinmaxqError("").exitCode}: MinmaxqError`,
    `exit ${new UsageError("").exitCode}: UsageError`,
    ...Object.entries(SIGNAL_CODES).map(([signal, code]) => `exit ${code}: ${signal}`),
  ];
}

function commandLines(
  { name, positionals, options, isFront }: DescribedCommand,
  shared: ReadonlySet<string>,
): string[] {
  const must = positionals.filter(({ isOptional }) => !isOptional).length;
  return [
    `command ${name}${isFront ? " (in place of ONE's)" : ""}`,
    `command ${name}: ${must} to ${positionals.length} words`,
    ...options.filter(({ long }) => !shared.has(long)).flatMap((option) => optionLines(name, option)),
  ];
}

function optionLines(command: string, option: DescribedCommand["options"][number]): string[] {
  const { long, value } = option;
  const choices = value?.of.kind === "choices" ? value.of.choices : [];
  return [
    ...wordsOf(option).map((word) => `option ${command} ${word}: ${value?.words ?? 0} words`),
    ...choices.map((choice) => `option ${command} ${long}: takes ${choice}`),
  ];
}

/** Sources of src/, by path. */
function sources(): string[] {
  const names = readdirSync(join(TOP, "src"), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".ts")).map((name) => readFileSync(join(TOP, "src", name), "utf8"));
}

/** How a stable code stands in the sources: as a member, as an argument of `warn` and `remark`, in a type of codes, as a named constant. */
const CODES = [
  /\bcode: ?"([a-z][a-z0-9]*(?:-[a-z0-9]+)*)"/g,
  /\bcode = "([a-z][a-z0-9]*(?:-[a-z0-9]+)*)"/g,
  /\b(?:warn|remark)\(\s*[\w.!]+,\s*[\w.!]+,\s*"([a-z0-9-]+)"/g,
];
const TYPES = /^export type \w*Code =([^;]*);/gm;

/** Codes of errors, notes, warnings and reasons. */
export function codes(texts: readonly string[] = sources()): string[] {
  const bare = texts.map((text) => text.replace(/\/\*[\s\S]*?\*\//g, ""));
  const found = bare.flatMap((text) => [
    ...CODES.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1]!)),
    ...[...text.matchAll(TYPES)].flatMap(([, union]) =>
      [...union!.matchAll(/"([a-z0-9-]+)"/g)].map((match) => match[1]!),
    ),
  ]);
  return found.map((code) => `code ${code}`);
}

function environment(): string[] {
  return sources().flatMap((text) =>
    [...text.matchAll(/process\.env\.(MINMAXQ_\w+)/g)].map(([, name]) => `environment ${name}`),
  );
}

interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly prefixItems?: readonly Schema[];
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

/** A place in what a schema describes: a member, an element, what any name may stand for. */
interface Place {
  readonly path: string;
  readonly types: readonly string[];
  readonly words: readonly string[];
  /** Members that have to be there. */
  readonly demands: readonly string[];
  readonly isDemanded: boolean;
}

/** All places of a schema. A part that contains itself is entered once. */
function places(root: Schema): Place[] {
  const found: Place[] = [];
  const visit = (path: string, schema: Schema, isDemanded: boolean, entered: readonly string[]): void => {
    const alternatives = flat(schema, root);
    if (schema.$ref !== undefined && entered.includes(schema.$ref)) return;
    const within = schema.$ref === undefined ? entered : [...entered, schema.$ref];
    const types = alternatives.flatMap(typesOf);
    const words = alternatives.flatMap((each) => (each.const !== undefined ? [each.const] : (each.enum ?? [])));
    const demands = alternatives.flatMap(({ required = [] }) => required);
    found.push({
      ...{ path, isDemanded, types: [...new Set(types)].sort() },
      ...{ words: words.map((word) => JSON.stringify(word)), demands: [...new Set(demands)].sort() },
    });
    for (const each of alternatives) {
      for (const [name, member] of Object.entries(each.properties ?? {}))
        visit(path === "" ? name : `${path}.${name}`, member, each.required?.includes(name) === true, within);
      for (const item of [...(each.items ? [each.items] : []), ...(each.prefixItems ?? [])])
        visit(`${path}[]`, item, false, within);
      if (typeof each.additionalProperties === "object") visit(`${path}.*`, each.additionalProperties, false, within);
    }
  };
  visit("", root, false, []);
  return found;
}

function flat(schema: Schema, root: Schema): Schema[] {
  if (schema.$ref !== undefined)
    return flat(
      schema.$ref === "#" ? { ...root, $ref: undefined } : root.$defs![schema.$ref.replace("#/$defs/", "")]!,
      root,
    );
  const parts = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  return parts ? parts.flatMap((each) => flat(each, root)) : [schema];
}

function typesOf({ type, const: value, enum: words }: Schema): string[] {
  if (typeof type === "string") return [type];
  if (type) return [...type];
  if (value !== undefined) return [typeof value];
  return words ? words.map((word) => typeof word) : ["anything"];
}

/** What a reader may rely on: members that are there, always or sometimes, and what they are. Words may be added: a reader expects others. */
export function outputLines(name: string, schema: object): string[] {
  return places(schema as Schema).flatMap(({ path, types, words, isDemanded }) => [
    `output ${name} ${path}: ${types.join(" or ")}`,
    ...(isDemanded ? [`output ${name} ${path}: always`] : []),
    ...words.map((word) => `output ${name} ${path}: may be ${word}`),
  ]);
}

/** What a writer may rely on: what is taken goes on being taken, and nothing more is demanded. */
export function inputLines(name: string, schema: object): string[] {
  return places(schema as Schema).flatMap(({ path, types, words, demands }) => [
    ...types.map((type) => `input ${name} ${path}: takes ${type}`),
    ...words.map((word) => `input ${name} ${path}: takes ${word}`),
    ...(types.includes("object") ? [`input ${name} ${path}: demands ${demands.join(", ") || "nothing"}`] : []),
  ]);
}

if (import.meta.main) {
  const now = await promises();
  const lost = process.argv.includes("--break") ? [] : broken((await Bun.file(RECORD).exists()) ? promised() : [], now);
  if (lost.length > 0) {
    console.error(`promised, and not so any more (${lost.length}):\n${lost.join("\n")}`);
    process.exit(1);
  }
  await Bun.write(RECORD, `${now.join("\n")}\n`);
}
