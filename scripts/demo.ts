/**
 * `bun run demo`: a real face detector from float to uint8, from a fresh clone, with nothing but Bun.
 *
 * Installs and builds minmaxq, makes sample images, quantizes the model of the npm package @mediapipe/face_detection
 * with them and inspects the result. Packages may not be there when this starts, so only Node's own modules are imported.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const MODEL = "node_modules/@mediapipe/face_detection/face_detection_short_range.tflite";
const FOLDER = "dist/demo";
const MINMAXQ = process.platform === "win32" ? "dist/minmaxq.exe" : "dist/minmaxq";
const SAMPLES = 32;
/** The detector's input: 128 × 128 RGB images with values in [-1, 1]. */
const [SIDE, CHANNELS] = [128, 3];

/** Runs a program to its end and ends with it when it fails. `shown` is the command as people would type it. */
function run(command: string, args: readonly string[], shown = [command, ...args].join(" ")): void {
  console.log(`\n$ ${shown}`);
  const { status, error } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) fail(shown, error?.message ?? `exit code ${status}`);
}

/** A seeded generator of numbers in [0, 1), so that everybody's demo says the same (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One smooth picture: a few waves and a bright blob per channel, within [-1, 1]. */
function paint(image: Float32Array, random: () => number): void {
  for (let channel = 0; channel < CHANNELS; channel++) {
    const waves = Array.from({ length: 4 }, () => [random() * 5, random() * 5, random() * 7, random()] as const);
    const [x0, y0, radius, light] = [random(), random(), 0.1 + random() * 0.3, random() * 2 - 1];
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const [u, v] = [x / SIDE, y / SIDE];
        let value = light * Math.exp(-((u - x0) ** 2 + (v - y0) ** 2) / radius ** 2);
        for (const [fx, fy, phase, amount] of waves)
          value += (amount / 2) * Math.sin(6.283 * (fx * u + fy * v) + phase);
        image[(y * SIDE + x) * CHANNELS + channel] = Math.max(-1, Math.min(1, value));
      }
    }
  }
}

/** Writes a float32 .npy file: magic, version 1.0, header padded to 64 bytes, data. */
function writeNpy(path: string, shape: readonly number[], data: Float32Array): void {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
  const header = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const length = Buffer.alloc(2);
  length.writeUInt16LE(header.length);
  const magic = Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0]);
  writeFileSync(path, Buffer.concat([magic, length, Buffer.from(header), Buffer.from(data.buffer)]));
}

/** Runs a program like `run`, but shows only the beginning of what it prints. */
function runHead(command: string, args: readonly string[], lines: number): void {
  const shown = [command, ...args].join(" ");
  console.log(`\n$ ${shown}`);
  const { status, error, stdout } = spawnSync(command, args, {
    stdio: ["inherit", "pipe", "inherit"],
    encoding: "utf8",
  });
  const all = (stdout ?? "").trimEnd().split("\n");
  console.log(all.slice(0, lines).join("\n"));
  if (all.length > lines) console.log(`… and ${all.length - lines} more lines`);
  if (status !== 0) fail(shown, error?.message ?? `exit code ${status}`);
}

function fail(command: string, reason: string): never {
  console.error(`demo: "${command}" failed (${reason})`);
  process.exit(1);
}

function kilobytes(path: string): string {
  return `${(statSync(path).size / 1000).toFixed(0)} kB`;
}

process.chdir(join(import.meta.dir, ".."));
run(process.execPath, ["install", "--frozen-lockfile"], "bun install --frozen-lockfile");
run(process.execPath, ["run", "build.ts"], "bun run build");
if (!existsSync(MODEL)) {
  console.error(`demo: ${MODEL} is not there; the package @mediapipe/face_detection has changed`);
  process.exit(1);
}

rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
const [model, samples, result] = ["face.tflite", "samples.npy", "face.q8.circle"].map((name) => join(FOLDER, name)) as [
  string,
  string,
  string,
];
copyFileSync(MODEL, model);
const data = new Float32Array(SAMPLES * SIDE * SIDE * CHANNELS);
const random = randomNumbers(7);
for (let i = 0; i < SAMPLES; i++) paint(data.subarray((i * data.length) / SAMPLES), random);
writeNpy(samples, [SAMPLES, SIDE, SIDE, CHANNELS], data);
console.log(`\n${model}: MediaPipe's face detector, ${kilobytes(model)}, float (its weights are stored as float16)`);
console.log(`${samples}: ${SAMPLES} smooth random pictures, ${SIDE} × ${SIDE} × ${CHANNELS}`);

run(MINMAXQ, ["quantize", model, "--data", samples, "-o", result]);
runHead(MINMAXQ, ["inspect", result], 20);

console.log(`
${model} ${kilobytes(model)} → ${result} ${kilobytes(result)}

What to try next:
  ${MINMAXQ} quantize YOUR.tflite --data YOUR_SAMPLES.npz -o YOUR.q8.circle
  ${MINMAXQ} quantize ${model} --data ${samples} --dtype int16 -o ${join(FOLDER, "face.q16.circle")}
  ${MINMAXQ} --help`);
