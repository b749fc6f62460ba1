/** Every § that a comment or a page cites is a heading of docs/reference.md. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const TOP = resolve(import.meta.dir, "..");
const read = (path: string) => readFileSync(join(TOP, path), "utf8");

function filesIn(folder: string): string[] {
  const names = readdirSync(join(TOP, folder), { recursive: true, encoding: "utf8" });
  return names.filter((name) => /\.(ts|wit|md|tsv|py)$/.test(name)).map((name) => join(folder, name));
}

const HEADINGS = new Set(
  [...read("docs/reference.md").matchAll(/^#+ (\d+(?:\.\d+)*)\.? /gm)].map((match) => match[1]!),
);
const FILES = [
  ...["src", "kernels", "test", "scripts", "docs"].flatMap(filesIn),
  "README.md",
  "ARCHITECTURE.md",
  "build.ts",
];

/** Numbers behind § signs; in differences-from-one.md those of the tables' first column, too. */
function cited(path: string): string[] {
  const text = read(path);
  const numbers = [...text.matchAll(/§ ?(\d+(?:\.\d+)*)/g)].map((match) => match[1]!);
  if (!path.endsWith("differences-from-one.md")) return numbers;
  const columns = [...text.matchAll(/^\| ([^|]*)\|/gm)].map((match) => match[1]!);
  return [...numbers, ...columns.flatMap((column) => column.match(/\d+(?:\.\d+)*/g) ?? [])];
}

test("every § is a heading of docs/reference.md", () => {
  const all = FILES.flatMap((path) => cited(path).map((number) => ({ path, number })));
  expect(all.length).toBeGreaterThan(250);
  expect(all.filter(({ number }) => !HEADINGS.has(number))).toEqual([]);
});

test("headings are numbered once each and in order", () => {
  const numbers = [...read("docs/reference.md").matchAll(/^#+ (\d+(?:\.\d+)*)\.? /gm)].map((match) => match[1]!);
  const order = (a: string, b: string) => a.localeCompare(b, "en", { numeric: true });
  expect(numbers).toEqual([...new Set(numbers)].sort(order));
});
