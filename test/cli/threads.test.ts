/** The number of threads cannot show in what is written: every mode on a model that is worth several. */
import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { generateModel } from "../../scripts/generate-model.ts";
import type { ByteRange } from "../../src/model/bytes.ts";
import { openModel } from "../../src/model/index.ts";
import { cleanUpAfterwards, folder, minmaxq } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const MODEL = "model.circle";

beforeAll(() => generateModel(60e6, join(cwd, MODEL)));

const FRONT = "circle-quantizer";
const MODES: readonly (readonly string[])[] = [
  [FRONT, "--quantize_with_minmax", "float32", "uint8", "channel", MODEL],
  [FRONT, "--quantize_with_minmax", "float32", "uint8", "layer", MODEL],
  [FRONT, "--quantize_with_minmax", "float32", "int16", "channel", MODEL],
  [FRONT, "--quantize_dequantize_weights", "float32", "uint8", "channel", MODEL],
  [FRONT, "--quantize_dequantize_weights", "float32", "uint8", "layer", MODEL],
  [FRONT, "--quantize_weights", "float32", "int4", "channel", MODEL],
  [FRONT, "--quantize_weights", "float32", "int8", "channel", MODEL],
  [FRONT, "--quantize_weights", "float32", "int16", "channel", MODEL],
  ["convert", MODEL, "-o"],
  ["quantize", MODEL, "-o"],
  ["quantize", MODEL, "--granularity", "layer", "-o"],
  ["quantize", MODEL, "--dtype", "int16", "-o"],
];

/** Runs with so many threads; gives the hash of what was written and the threads that took part. */
async function run(args: readonly string[], threads: number): Promise<{ hash: string; tracks: number }> {
  const env = { MINMAXQ_THREADS: String(threads) };
  const { code, err } = await minmaxq([...args, "out.circle", "--trace", "trace.json"], { cwd, env });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const { traceEvents } = await Bun.file(join(cwd, "trace.json")).json();
  const tracks = new Set(
    traceEvents.filter(({ name }: { name: string }) => name === "read").map((e: { tid: number }) => e.tid),
  );
  const hash = new Bun.CryptoHasher("sha256").update(await Bun.file(join(cwd, "out.circle")).bytes()).digest("hex");
  return { hash, tracks: tracks.size };
}

test.each(MODES.map((args) => [args.join(" "), args] as const))("%s", async (_, args) => {
  const one = await run(args, 1);
  expect(one.tracks).toBeLessThanOrEqual(1);
  for (const threads of [2, 3]) expect((await run(args, threads)).hash).toBe(one.hash);
});

// Which thread is faster is chance: on a fast machine one may be done before the other has started.
test("several threads do take part, if not every time", async () => {
  let tracks = 0;
  for (let tries = 0; tracks < 2 && tries < 20; tries++) tracks = (await run(MODES[0]!, 2)).tracks;
  expect(tracks).toBe(2);
});

test.each(["channel", "layer"])("unusable constants are told in the order of the file (%s)", async (granularity) => {
  const { model, close } = openModel(join(cwd, MODEL));
  const { tensors } = model.subgraphs![0]!;
  // Some of more than 4 MiB, which are scanned first when they have one scale, between others.
  const filters = tensors!.filter(({ shape, buffer }) => shape!.length > 1 && buffer);
  const ranges = filters.map(({ buffer }) => model.buffers![buffer!]!.data as ByteRange);
  expect(new Set(ranges.map(({ length }) => length > 4 << 20)).size).toBe(2);
  const names = filters.map(({ name }) => String(name));
  close();
  const bytes = await Bun.file(join(cwd, MODEL)).bytes();
  for (const { offset } of ranges) new DataView(bytes.buffer).setFloat32(offset, Number.NaN, true);
  await Bun.write(join(cwd, "nan.circle"), bytes);
  const args = ["quantize", "nan.circle", "--granularity", granularity, "-o", "out.nan.circle"];
  const errors = await Promise.all(
    [1, 2, 3].map((threads) => minmaxq(args, { cwd, env: { MINMAXQ_THREADS: String(threads) } })),
  );
  for (const { code, err } of errors) {
    expect(code).toBe(1);
    expect(err).toBe(errors[0]!.err);
    expect([...err.matchAll(/constant "([^"]+)"/g)].map(([, name]) => name)).toEqual(names.slice(0, 5));
    expect(err).toContain(`and ${filters.length - 5} more like these`);
  }
});
