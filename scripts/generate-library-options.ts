/** Writes library/options.gen.ts, the options of the library's functions, from the option table. The build calls it; the file is not kept. */
import { join } from "node:path";
import { compare } from "../src/commands/compare.ts";
import { QUANTIZE_OPTIONS } from "../src/options/lists.ts";
import type { OptionRow } from "../src/options/row.ts";
import { type OptionName, ROWS } from "../src/options/table.ts";

const OUT = join(import.meta.dir, "../library/options.gen.ts");

/** Always given. */
const OURS: readonly OptionName[] = ["json"];

/** The file's text. */
export function libraryOptions(): string {
  const commas = [...new Set([...QUANTIZE_OPTIONS, ...compare.options])].filter(
    (name) => rowOf(name).many === "commas",
  );
  return [
    "/** Made of src/options/table.ts by scripts/generate-library-options.ts. */",
    "",
    ...declared("QuantizeOptions", "quantize", QUANTIZE_OPTIONS, []),
    ...declared("CompareOptions", "compare", compare.options, compare.demands ?? []),
    "/** Options whose lists are one value with commas; other lists are given one by one. */",
    `export const COMMAS: readonly string[] = ${JSON.stringify(commas.map(keyOf))};`,
    "",
  ].join("\n");
}

function declared(name: string, command: string, options: readonly OptionName[], demands: readonly OptionName[]) {
  const members = options
    .filter((option) => !OURS.includes(option))
    .flatMap((option) => {
      const row = rowOf(option);
      const must = row.required || demands.includes(option) ? "" : "?";
      const fallback = row.defaultText ?? (row.default === undefined ? undefined : String(row.default));
      const text = fallback === undefined ? row.help : `${row.help} (default: ${fallback})`;
      return [`  /** ${text.replaceAll("*/", "*\\/")} */`, `  readonly ${keyOf(option)}${must}: ${typeOf(row)};`];
    });
  return [`/** Options of \`minmaxq ${command}\`. */`, `export interface ${name} {`, ...members, "}", ""];
}

/** Many rows have none of some members. */
const rowOf = (name: OptionName): OptionRow => ROWS[name];

/** "--input-dtype <dtypes>" → inputDtype. */
function keyOf(name: OptionName): string {
  const long = /--([\w-]+)/.exec(rowOf(name).flags)![1]!;
  return long.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function typeOf({ flags, parse, many }: OptionRow): string {
  if (!/[<[]/.test(flags)) return "boolean";
  // A value may be several with commas, so it is more than the words.
  if (many !== undefined) return "string | number | readonly (string | number)[]";
  return parse?.choices ? parse.choices.map((choice) => JSON.stringify(choice)).join(" | ") : "string | number";
}

/** Writes the file. */
export async function generateLibraryOptions(): Promise<void> {
  await Bun.write(OUT, libraryOptions());
}

if (import.meta.main) await generateLibraryOptions();
