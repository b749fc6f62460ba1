/**
 * Speed of the kernels on 64 MB that already lie in WASM memory, in GB of input a second.
 *
 *     bun run scripts/bench-kernels.ts
 */
import { loadKernels } from "../src/weights/kernels.ts";

const BYTES = 64 * 1024 * 1024;
const { stream } = loadKernels();
const block = stream.reserve(BYTES);
const floats = new Float32Array(block.bytes().buffer, block.pointer, BYTES / 4);
for (let i = 0; i < floats.length; i++) floats[i] = Math.sin(i * 0.37) * 0.9;

const list = (length: number, value: number): Float32Array => new Float32Array(length).fill(value);

function measure(name: string, run: () => unknown): void {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 12; round++) {
    const start = performance.now();
    stream.scoped(run);
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${name.padEnd(40)} ${(BYTES / best / 1e6).toFixed(2).padStart(6)} GB/s`);
}

measure("minmax", () => stream.minmax(block));
measure("observe", () => stream.observe(block));
measure("propagatebyte", () => stream.propagatebyte(block, 255, 0));
for (const [name, channels, inner] of [
  ["whole tensor", 1, 1],
  ["axis 0, inner 4096", 4096, 4096],
  ["axis 0, inner 576", 512, 576],
  ["axis 0, inner 27", 64, 27],
  ["axis 3, 1024 channels", 1024, 1],
  ["axis 3, 96 channels", 96, 1],
  ["axis 3, 3 channels", 3, 1],
] as const) {
  const layout = { channels, inner };
  const part = stream.part(block, 0, Math.floor(BYTES / 4 / (channels * inner)) * channels * inner * 4);
  const [low, high, inv, scale] = [
    list(channels, -0.9),
    list(channels, 0.9),
    list(channels, 141),
    list(channels, 1 / 141),
  ];
  measure(`channels, ${name}`, () => stream.channels(part, layout));
  measure(`asym, ${name}`, () => stream.asym(part, layout, low, high, inv));
  measure(`sym, ${name}`, () => stream.sym(part, layout, low, high, inv, 32767));
  measure(`fakeasym, ${name}`, () => stream.fakeasym(part, layout, low, high, inv, scale));
}
