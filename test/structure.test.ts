/**
 * The structure that ARCHITECTURE.md promises: imports go one way and never round, what is global is listed there with a reason, and
 * files stay short. The order of folders and the list of global state are read from ARCHITECTURE.md, which is their one place.
 *
 * Sources are read line by line: the formatter puts top-level statements, and nothing else, at the beginning of a line.
 */
import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize, resolve } from "node:path";
import { lintKernels } from "../scripts/lint-kernels.ts";

const TOP = resolve(import.meta.dir, "..");
const ARCHITECTURE = readFileSync(join(TOP, "ARCHITECTURE.md"), "utf8");

/** Text by path below src/. */
type Sources = ReadonlyMap<string, string>;

function sourcesIn(folder: string): Map<string, string> {
  const names = readdirSync(join(TOP, folder), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  return new Map(names.sort().map((name) => [name, readFileSync(join(TOP, folder, name), "utf8")]));
}

const SOURCES = sourcesIn("src");

/** Folders of src/ in the order of the list in ARCHITECTURE.md: each may import those after it. */
const ORDER = [...ARCHITECTURE.matchAll(/^ {4}src\/([\w-]+)\/ /gm)].map((match) => match[1]!);

/** Terminal stands low because it needs little; computing must not print all the same. */
const PRINTERS = ["cli", "commands", "drop-in", "batch", "views", "options"];
const PRINTING_FILES: string[] = [];

/** Imports against the order that are still there: each is to be mended, none to be added. */
const KNOWN: string[] = [];
/** Circles that are still there, likewise. */
const KNOWN_CIRCLES: string[] = [];

/** Tables may be long: a row per fact is their only structure. */
const TABLES = ["rules/operators.ts", "rules/versions.ts", "options/table.ts", "model/schema.gen.ts"];
const LONGEST = 400;

/** Files of src/ that each file imports, types included. */
function importsOf(sources: Sources): Map<string, string[]> {
  const imported = /(?:\bfrom|\bimport\(?)\s*"(\.[^"]+\.ts)"/g;
  return new Map(
    [...sources].map(([file, text]) => [
      file,
      [...text.matchAll(imported)]
        .map((match) => normalize(join(dirname(file), match[1]!)))
        // Of build/: types that are generated there.
        .filter((path) => !path.startsWith("..")),
    ]),
  );
}

/** Imports that go up, as `from → to`. What lies at the root of src/ is start.ts, which imports anything, and workers.ts, which anything imports. */
function wrongImports(sources: Sources): string[] {
  const wrong: string[] = [];
  const rank = (path: string) => {
    const folder = path.split("/")[0]!;
    const at = ORDER.indexOf(folder);
    if (at < 0) throw new Error(`src/${folder}/ is not in the list of ARCHITECTURE.md`);
    return at;
  };
  for (const [from, all] of importsOf(sources)) {
    for (const to of all) {
      const [above, below] = [from, to].map((path) => path.split("/")[0]!) as [string, string];
      if (above === below || from === "start.ts" || to === "workers.ts") continue;
      const prints = PRINTERS.includes(above) || PRINTING_FILES.includes(from);
      const allowed =
        from === "workers.ts" ? below === "base" : rank(from) < rank(to) && (below !== "terminal" || prints);
      if (!allowed) wrong.push(`${from} → ${to}`);
    }
  }
  return [...new Set(wrong)].sort();
}

/** Files that import each other, however far around: strongly connected components (Tarjan), each sorted. */
function circles(sources: Sources): string[] {
  const imports = importsOf(sources);
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[] = [];
  const visit = (file: string): void => {
    const number = index.size;
    index.set(file, number);
    low.set(file, number);
    stack.push(file);
    for (const next of imports.get(file) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!));
    }
    if (low.get(file) !== number) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1) found.push(circle.sort().join(", "));
  };
  for (const file of imports.keys()) if (!index.has(file)) visit(file);
  return found.sort();
}

/** Values that change: not a typed array without elements, not a decoder, which keep nothing. */
const INSTANCE = /^new (?!Map\b|Set\b|TextDecoder\b|TextEncoder\b|\w+Array\(0\))/;
const COLLECTION = /^new (Map|Set|WeakMap|WeakSet)\b/;
const CHANGING = "push|pop|shift|unshift|splice|sort|reverse|fill|set|add|delete|clear|copyWithin";

/** Whether `text` changes the object `name`: sets a member, or calls a method that does. */
function changes(text: string, name: string): boolean {
  const member = String.raw`(?<![.\w])${name}(?:\.\w+|\[[^\]]*\])`;
  return new RegExp(
    String.raw`${member}+ *(?:[-+*/|&^]|\?\?|<<|>>>?)?=[^=>]|${member}*\.(?:${CHANGING})\(|Object\.assign\(${name}\b`,
  ).test(text);
}

/** Module-level state, as `file name`: variables, collections that are not declared read-only, and objects that some file changes. */
function moduleState(sources: Sources): string[] {
  const imports = importsOf(sources);
  const found: string[] = [];
  for (const [file, text] of sources) {
    for (const match of text.matchAll(
      /^(export )?(?:(?:let|var) (\w+)|const (\w+)(: [^=]+?(?:=>[^=]+?)?)? =\s+(.{0,60}))/gm,
    )) {
      const [, exported, variable, constant = "", type = "", value = ""] = match;
      // Where it is known by its name: here, and where it is imported.
      const others = [...sources].filter(
        ([other, its]) =>
          exported && imports.get(other)!.includes(file) && new RegExp(`^import[^;]*\\b${constant}\\b`, "m").test(its),
      );
      const users = [text, ...others.map(([, its]) => its)];
      const isState =
        variable !== undefined ||
        (COLLECTION.test(value) && !/Readonly(Map|Set)\b/.test(type)) ||
        INSTANCE.test(value) ||
        (/^[[{]/.test(value) && users.some((user) => changes(user, constant)));
      if (isState) found.push(`${file} ${variable ?? constant}`);
    }
    // Static members of classes are as global.
    for (const match of text.matchAll(/^ {2}(?:private |public |protected )?static (\w+)(?:[?!]?: [^=(]+)?(?: =|;)/gm))
      found.push(`${file} ${match[1]}`);
  }
  return found.sort();
}

/** The list of ARCHITECTURE.md: rows `| src/file.ts | name, name | reason |`. */
function listedState(): string[] {
  const rows = [...ARCHITECTURE.matchAll(/^\| `src\/([\w./-]+)` \| ([^|]+) \| ([^|]+) \|$/gm)];
  return rows.flatMap(([, file, names]) => [...names!.matchAll(/`(\w+)`/g)].map((name) => `${file} ${name[1]}`)).sort();
}

test("imports go one way", () => {
  expect(ORDER.length).toBeGreaterThan(10);
  expect(wrongImports(SOURCES)).toEqual(KNOWN);
});

test("no files import each other in a circle", () => {
  expect(circles(SOURCES)).toEqual(KNOWN_CIRCLES);
});

test("state of a module is on the list of ARCHITECTURE.md, and nothing else is", () => {
  expect(moduleState(SOURCES)).toEqual(listedState());
});

test.each(["src", "kernels"])("no file of %s is too long", (folder) => {
  const long = [...sourcesIn(folder)]
    .filter(([name]) => !(folder === "src" && TABLES.includes(name)))
    .map(([name, text]) => `${name}: ${text.split("\n").length - 1}`)
    .filter((line) => Number(line.split(": ")[1]) > LONGEST);
  expect(long).toEqual([]);
});

/** Files that are loaded with one: what it imports, and so on, but neither types nor what is imported when it is needed. */
function loadedWith(sources: Sources, first: string): Set<string> {
  const loaded = new Set<string>();
  const open = [first];
  for (let file = open.pop(); file; file = open.pop()) {
    if (loaded.has(file)) continue;
    loaded.add(file);
    for (const match of (sources.get(file) ?? "").matchAll(
      /^(?:import|export) (?!type\b)[^";(]*\bfrom "(\.[^"]+\.ts)"/gm,
    ))
      open.push(normalize(join(dirname(file), match[1]!)));
  }
  return loaded;
}

test("quantizing from recorded ranges loads nothing that runs models", () => {
  const loaded = loadedWith(SOURCES, "commands/quantize.ts");
  expect(loaded).toContain("driver/quantize.ts");
  for (const file of ["litert", "record", "slices", "instrument", "pool"])
    expect(loaded).not.toContain(`calibration/${file}.ts`);
});

test("wrong imports are found", () => {
  const found = wrongImports(
    new Map([
      ["model/a.ts", 'import type { B } from "../graph/b.ts";'],
      ["graph/b.ts", 'export * from "../base/c.ts";\nimport { say } from "../terminal/d.ts";'],
      ["base/c.ts", 'const load = () => import("../model/a.ts");'],
      ["commands/e.ts", 'import {\n  say,\n  type B,\n} from "../terminal/d.ts";'],
    ]).set("start.ts", 'import "./cli/main.ts";'),
  );
  expect(found).toEqual(["base/c.ts → model/a.ts", "graph/b.ts → terminal/d.ts", "model/a.ts → graph/b.ts"]);
});

test("circles are found", () => {
  const found = circles(
    new Map([
      ["a/one.ts", 'import "./two.ts";'],
      ["a/two.ts", 'import type { Three } from "../b/three.ts";\nimport "./four.ts";'],
      ["b/three.ts", 'const one = () => import("../a/one.ts");'],
      ["a/four.ts", ""],
    ]),
  );
  expect(found).toEqual(["a/one.ts, a/two.ts, b/three.ts"]);
});

test.each([
  ["let count = 0;", ["count"]],
  ["export let shown: Bar | undefined;", ["shown"]],
  ["const known = new Map<string, number>();", ["known"]],
  ["const known: Map<string, number> = new Map();", ["known"]],
  ["const NAMES: ReadonlySet<string> = new Set(list);", []],
  ["const stream = new WeightStream();", ["stream"]],
  ["const NONE = new Float32Array(0);", []],
  ["const list: Worker[] = [];\nfunction add() {\n  list.push(start());\n}", ["list"]],
  ["const table = { a: 1 };\nfunction set() {\n  table.a = 2;\n}", ["table"]],
  ["const table = { a: 1 };\nconst same = () => other.table.a === table.a;", []],
  ["function f() {\n  let inside = 0;\n  const seen = new Set();\n}", []],
  ["class C {\n  static count = 0;\n  static readonly LIMIT = 3;\n  static of() {}\n}", ["count"]],
])("module-level state is told from constants: %s", (text, names) => {
  expect(moduleState(new Map([["a.ts", text]]))).toEqual(names.map((name) => `a.ts ${name}`));
});

test("a table that another file changes is state", () => {
  const sources = new Map([
    ["a.ts", "export const table = { a: 1 };"],
    ["b.ts", 'import { table } from "./a.ts";\nexport function set() {\n  table.a = 2;\n}'],
    ["c.ts", "export function other(table: Table) {\n  table.a = 2;\n}"],
  ]);
  expect(moduleState(sources)).toEqual(["a.ts table"]);
});

test("kernels are held to the linter", async () => {
  const folder = mkdtempSync(join(tmpdir(), "minmaxq-lint-"));
  const lint = async (line: string) => {
    await Bun.write(
      join(folder, "a.ts"),
      `// @ts-ignore: decorator\n@inline\nexport function a(x: i32): i32 {\n${line}}\n`,
    );
    return lintKernels(folder, false, "ignore");
  };
  expect(await lint("  return x;\n")).toBe(0);
  // An unused variable; a line that the formatter would move.
  expect(await lint("  const y = x;\n  return x;\n")).toBe(1);
  expect(await lint("return x;\n")).toBe(1);
  rmSync(folder, { recursive: true });
  expect(lintKernels(join(TOP, "kernels"), false, "ignore")).toBe(0);
});
