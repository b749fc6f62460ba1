/**
 * One process of the fuzzer: `fuzz-child.ts FOLDER FIRST COUNT`. Damages models of FOLDER by seeds, runs a command on each and prints `seed` before and
 * what went wrong after; the parent (fuzz.test.ts) sees where it crashed or hung.
 */
import { readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Answered, MinmaxqError, shortageText } from "../../src/base/errors.ts";
import type { Output } from "../../src/base/output.ts";
import { check } from "../../src/commands/check.ts";
import type { Command } from "../../src/commands/command.ts";
import { convert } from "../../src/commands/convert.ts";
import { dequantize } from "../../src/commands/dequantize.ts";
import { diff } from "../../src/commands/diff.ts";
import { explain } from "../../src/commands/explain.ts";
import { inspect } from "../../src/commands/inspect.ts";
import { quantize } from "../../src/commands/quantize.ts";
import { quantizeWeights } from "../../src/commands/quantize-weights.ts";
import { requantize } from "../../src/commands/requantize.ts";
import { verify } from "../../src/commands/verify.ts";
import { openModel, serializeModel } from "../../src/model/index.ts";
import { ROWS } from "../../src/options/table.ts";
import type { OptionValues } from "../../src/options/values.ts";
import { Random } from "../property/graphs.ts";

const [folder, first, count] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])];
const bases = readdirSync(folder)
  .filter((name) => name.startsWith("base-"))
  .sort();

/** A whole number from 0 to below `end`. */
const below = (random: Random, end: number) => random.whole(0, end - 1);

/** Swallows what is printed, but makes it: that is code, too. */
const output: Output = { print() {}, tell() {}, progress: () => () => {} };

/** Values of options by their words, with the defaults that a command line has. */
function values(command: Command, given: Readonly<Record<string, string | true>>): OptionValues {
  const all: Record<string, unknown> = {};
  for (const name of command.options) if (ROWS[name].default !== undefined) all[name] = ROWS[name].default;
  for (const [name, text] of Object.entries(given)) {
    const { parse } = ROWS[name as keyof typeof ROWS] as { parse?: (text: string, before?: unknown) => unknown };
    all[name] = parse && typeof text === "string" ? parse(text, all[name]) : text;
  }
  return all as OptionValues;
}

type Case = readonly [command: Command, options: Readonly<Record<string, string | true>>, ...more: string[]];

/** The first two load LiteRT, which takes as long as hundreds of the others. */
function caseFor(random: Random, base: string): Case {
  const to = (ending: string) => ({ output: join(folder, `out.${ending}`) });
  if (random.chance(0.02)) return [quantize, { ...to("tflite"), data: "random:1" }];
  if (random.chance(0.02)) return [quantize, { ...to("tflite"), scheme: "dynamic-int8" }];
  return random.of<Case>([
    [inspect, { json: true }],
    [inspect, { tensors: true }],
    [inspect, { operators: true }],
    [inspect, { text: true }],
    [verify, {}],
    [verify, { target: "litert" }],
    [check, { target: random.of(["litert", "tflm", "onert", "ethos-u", "edgetpu"]) }],
    [explain, {}, random.of(["x", "y", "w", "conv", "b"])],
    [diff, {}, base],
    [convert, to("circle")],
    [convert, to("tflite")],
    [convert, { ...to("circle"), target: "onert" }],
    [dequantize, to("circle")],
    [requantize, to("circle")],
    [quantizeWeights, to("circle")],
    [quantize, to("circle")],
    [quantize, { ...to("circle"), scheme: "int16" }],
  ]);
}

const HURTING = [0, 1, 2, 3, 4, 8, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

function damaged(random: Random, bytes: Uint8Array): Uint8Array {
  let result = bytes.slice();
  const at = (room: number) => below(random, Math.max(1, result.length - room));
  for (let times = 1 + below(random, 6); times > 0; times--) {
    const view = new DataView(result.buffer, result.byteOffset, result.byteLength);
    const kind = below(random, 12);
    if (kind < 5) result[at(0)] = random.chance(0.5) ? below(random, 256) : HURTING[below(random, 9)]! & 0xff;
    else if (kind < 10 && result.length > 8)
      view.setUint32(at(4) & ~3, random.chance(0.7) ? random.of(HURTING) : below(random, 2 * result.length), true);
    else if (kind === 10 && result.length > 64) result.copyWithin(at(32), at(32), at(0));
    else if (random.chance(0.2)) result = result.slice(0, 8 + at(8));
  }
  return result;
}

/** Numbers of a model's tables that may be set: what they are now, and how. Contents of buffers are left alone. */
function numbersOf(table: object, found: { value: number | bigint; set: (value: number) => void }[] = []) {
  for (const [key, value] of Object.entries(table)) {
    const set = (to: number) => Object.assign(table, { [key]: typeof value === "bigint" ? BigInt(to) : to });
    if (typeof value === "number" || typeof value === "bigint") found.push({ value, set });
    else if (typeof value === "object" && value !== null && !("source" in value)) numbersOf(value, found);
  }
  return found;
}

const MEANT = [-2, -1, 0, 1, 2, 3, 4, 5, 7, 16, 64, 127, 255, 65536, 2 ** 31 - 1, -(2 ** 31), Number.NaN, 1e38, 1e-40];

/** A file whose tables are well-formed and say something else: most bytes that are damaged are found by the reader, these go further. */
async function otherwise(random: Random, path: string): Promise<Uint8Array> {
  const opened = openModel(path);
  try {
    const numbers = numbersOf(opened.model);
    for (let times = 1 + below(random, 4); times > 0; times--) {
      const { value, set } = random.of(numbers);
      const to = random.chance(0.3) ? Number(value) + random.of([-1, 1]) : random.of(MEANT);
      set(typeof value === "bigint" && !Number.isInteger(to) ? 0 : to);
    }
    if (random.chance(0.2)) {
      const graph = random.of(opened.model.subgraphs!);
      const list = random.chance(0.5) ? graph.tensors : graph.operators;
      if (list && list.length > 0) (list as object[]).push(list[below(random, list.length)]!);
    }
    return await serializeModel(opened.model, { dialect: opened.dialect });
  } finally {
    opened.close();
  }
}

for (let seed = first; seed < first + count; seed++) {
  const random = new Random(seed);
  const base = random.of(bases);
  const path = join(folder, `damaged-${process.pid}.${base.split(".").at(-1)}`);
  const [command, options, ...more] = caseFor(random, join(folder, base));
  // Written at once: what a stream holds is lost in a crash.
  writeSync(1, `seed ${seed} ${command.name} ${JSON.stringify(options)} ${base}\n`);
  const from = join(folder, base);
  try {
    writeFileSync(path, random.chance(0.3) ? damaged(random, readFileSync(from)) : await otherwise(random, from));
  } catch {
    // Numbers that the writer does not write.
    continue;
  }
  try {
    await command.run(
      [path, ...more],
      values(command, { ...options, ...("output" in options && { force: true }) }),
      output,
    );
  } catch (error) {
    const isOurs = error instanceof MinmaxqError || error instanceof Answered || shortageText(error) !== undefined;
    if (!isOurs)
      writeSync(1, `defect ${seed} ${error instanceof Error ? error.stack?.replace(/\n/g, " | ") : error}\n`);
  }
  if (process.memoryUsage.rss() > 1.5e9) {
    Bun.gc(true);
    if (process.memoryUsage.rss() > 1.5e9)
      writeSync(1, `defect ${seed} has ${process.memoryUsage.rss()} bytes of memory\n`);
  }
}
writeSync(1, "end\n");
process.exit(0);
