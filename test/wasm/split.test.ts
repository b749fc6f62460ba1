/** Modules in two parts (scripts/wasm/split.ts): they do what the whole does, whichever functions come first. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import asc from "assemblyscript/asc";
import { readModule } from "../../scripts/wasm/binary.ts";
import { type FirstFunctions, hashOf, LIST, WHOLE } from "../../scripts/wasm/litert.ts";
import { calledName, LOADER, observed, split } from "../../scripts/wasm/split.ts";
import { TABLE } from "../../src/calibration/litert-parts.ts";

/** Calls, calls through a table, an import, a global, memory, and numbers of all types. */
const SOURCE = `
  declare function told(value: i32): void;
  let state: i32 = 5;
  type Step = (a: f32, b: f64, c: i64) => f64;
  function twice(a: f32, b: f64, c: i64): f64 { state += 1; return <f64>a * 2.0 + b / 3.0 + <f64>c; }
  function wide(a: f32, b: f64, c: i64): f64 { state *= 3; store<i32>(32768, state); return b - <f64>a - <f64>(c * c); }
  function pick(which: i32): Step { return which ? twice : wide; }
  export function run(which: i32, a: f32, b: f64, c: i64): f64 {
    told(state);
    return pick(which)(a, b, c) + twice(a, b, c) * 0.5;
  }
  export function seen(): i32 { told(load<i32>(32768)); return state; }
`;

async function compiled(): Promise<Uint8Array<ArrayBuffer>> {
  const options = { optimizeLevel: 0, runtime: "stub" as const, noAssert: true, use: ["abort="] };
  const { binary, error } = await asc.compileString(SOURCE, options);
  if (!binary) throw error;
  return new Uint8Array(binary);
}

type Exports = Readonly<{
  run(which: number, a: number, b: number, c: bigint): number;
  seen(): number;
}>;

/** An instance, what it told, and how often its rest was loaded. */
function started(first: Uint8Array<ArrayBuffer>, rest?: Uint8Array<ArrayBuffer>) {
  const told: number[] = [];
  const counts = { loads: 0 };
  const imports = { input: { told: (value: number) => void told.push(value) } };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(first), imports);
  if (rest) {
    const load = () => {
      counts.loads++;
      new WebAssembly.Instance(new WebAssembly.Module(rest), { ...imports, first: exports });
    };
    const loader = new WebAssembly.Instance(new WebAssembly.Module(LOADER), { split: { load } });
    const table = exports[TABLE] as WebAssembly.Table;
    table.set(table.length - 1, loader.exports.load as () => void);
  }
  return { ...(exports as unknown as Exports), exports, told, counts };
}

function results({ run, seen, told }: ReturnType<typeof started>): unknown[] {
  const values = [run(1, 1.5, 2.25, 7n), run(0, -0.1, 1e9, -12n), seen(), run(0, 3, 0.1, 1n << 40n), seen()];
  return [...values, ...told];
}

test("every choice of first functions computes what the whole computes; the rest is loaded once, if at all", async () => {
  const whole = await compiled();
  const wanted = results(started(whole));
  const { length } = readModule(whole).types;
  expect(length).toBeLessThan(9);
  for (let choice = 0; choice < 1 << length; choice++) {
    const { first, rest } = split(whole, (place) => ((choice >> place) & 1) === 1);
    const parts = started(first, rest);
    expect(results(parts)).toEqual(wanted);
    expect(parts.counts.loads).toBeLessThanOrEqual(1);
    if (choice === (1 << length) - 1) expect(parts.counts.loads).toBe(0);
  }
});

test("a module that notes what is called computes the same, and notes nothing else", async () => {
  const whole = await compiled();
  const noting = started(observed(whole));
  const noted = () =>
    readModule(whole).types.flatMap((_, place) =>
      (noting.exports[calledName(place)] as WebAssembly.Global).value === 1 ? [place] : [],
    );
  const before = noted().length;
  noting.seen();
  expect(noted()).toHaveLength(before + 1);
  const again = started(observed(whole));
  expect(results(again)).toEqual(results(started(whole)));
});

test("of LiteRT, every function is in one part as it came, and the list is of this LiteRT", () => {
  const file = new Uint8Array(readFileSync(WHOLE));
  const { sha256, functions }: FirstFunctions = JSON.parse(readFileSync(LIST, "utf8"));
  expect(sha256).toBe(hashOf(file));
  const isFirst = (place: number) => functions.some(([from, to]) => place >= from && place <= to);
  const whole = readModule(file);
  const first = readModule(new Uint8Array(readFileSync("build/litert-first.wasm")));
  const rest = readModule(new Uint8Array(readFileSync("build/litert-rest.wasm")));
  const other = whole.bodies.filter(
    (body, place) => Buffer.compare((isFirst(place) ? first : rest).bodies[place]!, body) !== 0,
  );
  expect(other).toEqual([]);
  expect([first.types, rest.types]).toEqual([whole.types, whole.types]);
});
