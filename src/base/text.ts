/** Numbers and lists in sentences. */

/** "1 sample", "2 samples". */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** Of many things of a kind people are shown so many, and how many more there are. */
export const FEW = 5;

/** The first of a list, and how many more there are: "a, b, c, d, e and 7 more". */
export function firstOf(list: readonly (string | number)[]): string {
  const more = list.length - FEW;
  return list.slice(0, FEW).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** Each on a line of its own, below a sentence. Of those that say the same of other things, the first few and how many more there are. */
export function indented(lines: readonly string[]): string {
  const byKind = Map.groupBy(lines, kindOf);
  const shown = [...byKind.values()].flatMap((found) => [
    ...found.slice(0, FEW),
    ...(found.length > FEW ? [`and ${found.length - FEW} more like these`] : []),
  ]);
  return shown.map((line) => `  ${line}`).join("\n");
}

/** What a line says, without the names, operators and numbers that it says it of. */
function kindOf(line: string): string {
  return line
    .replace(/"[^"]*"/g, '""')
    .replace(/\b[A-Z][A-Z0-9_]+\b/g, "OP")
    .replace(/\d+(\.\d+)?/g, "0");
}

/** "229 KB", "1.0 GB": powers of ten, as file managers say it. */
export function sizeText(bytes: number): string {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? `${bytes} bytes` : `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** The names of a table's rows, each by itself: what an option takes that chooses one. */
export function namesOf<Rows extends object>(rows: Rows): { readonly [Name in keyof Rows]: Name } {
  return Object.fromEntries(Object.keys(rows).map((name) => [name, name])) as { [Name in keyof Rows]: Name };
}
