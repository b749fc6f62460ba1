/**
 * Finds out which functions of LiteRT models run, and writes them to scripts/wasm/litert-first.json: what build.ts puts first.
 *
 *     bun run scripts/profile-litert.ts MODEL.tflite …
 *
 * Run it where LiteRT's version changes, with a few real models and one of each operator: those of ../shared (models, goldens/recipes). Every model is quantized with random samples
 * in several schemes, in this thread, on a LiteRT that notes what is called.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MinmaxqError } from "../src/base/errors.ts";
import { jobOf } from "../src/batch/job.ts";
import { compileLibrary, openInstance } from "../src/calibration/litert.ts";
import { SILENT } from "../src/driver/io.ts";
import { quantizeBy } from "../src/options/quantize.ts";
import { type FirstFunctions, hashOf, LIST, WHOLE } from "./wasm/litert.ts";
import { calledName, observed } from "./wasm/split.ts";

/** LiteRT's schemes run their results, in its integer kernels; the last one runs the float model alone. */
const SCHEMES = ["int8", "int16x8", "dynamic-int8", "weights-int8", "weights-float16", "uint8"];

const whole = new Uint8Array(readFileSync(WHOLE));
const called = new Set<number>();
const instances: WebAssembly.Instance[] = [];

/** What is compiled is LiteRT that notes, and every instance of it is kept. */
function interceptLiteRT(): void {
  const compile = WebAssembly.compile;
  const noting = compile(observed(whole));
  WebAssembly.compile = () => noting;
  const Instance = WebAssembly.Instance;
  WebAssembly.Instance = class extends Instance {
    constructor(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
      super(module, imports);
      if (calledName(0) in this.exports) instances.push(this);
    }
  };
}

type Handler = ((event: { data: unknown }) => void) | null;

/** A Worker that has LiteRT is code of this thread; all others stay as they are. */
function interceptWorkers(): void {
  const Real = globalThis.Worker;
  let current: Here | undefined;
  class Here extends EventTarget {
    onmessage: Handler = null;
    onerror: Handler = null;
    postMessage(data: unknown): void {
      void engine().then((handle) => {
        current = this;
        handle?.({ data });
      });
    }
    terminate(): void {}
    ref(): void {}
    unref(): void {}
  }
  const scope = globalThis as unknown as { postMessage(data: unknown): void; onmessage: Handler };
  scope.postMessage = (data) => queueMicrotask(() => current?.onmessage?.({ data }));
  const engine = async (): Promise<Handler> => {
    await import("../src/engine/worker.ts");
    return scope.onmessage;
  };
  globalThis.Worker = class {
    constructor(url: string) {
      // biome-ignore lint/correctness/noConstructorReturn: it stands for either.
      return url.includes("/engine/") ? new Here() : new Real(url);
    }
  } as unknown as typeof Worker;
}

async function runAll(models: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "minmaxq-profile-"));
  try {
    for (const model of models) {
      if (model.endsWith(".tflite")) await attempt(model, "as it is", () => runAsItIs(model));
      for (const scheme of SCHEMES) {
        const output = join(folder, scheme === "uint8" ? "out.circle" : "out.tflite");
        const samples = /weights|dynamic/.test(scheme) ? {} : { data: "random:2", "num-threads": 1 };
        const { options } = jobOf({ model, output, scheme, ...samples });
        await attempt(model, scheme, () => quantizeBy(model, { ...options, output }, SILENT));
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** With its own dtypes, as `compare` runs it; what quantizes folds float16 before. */
async function runAsItIs(path: string): Promise<void> {
  const instance = await openInstance(await compileLibrary(false), false);
  const bytes = new Uint8Array(readFileSync(path));
  const model = await instance.loadFile(bytes.length, (into) => into.set(bytes));
  await model.run(0, () => {});
  model.close();
}

async function attempt(model: string, what: string, run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    // Schemes that a model is not for; anything else is a fault of this script.
    if (!(error instanceof MinmaxqError)) throw error;
    console.error(`${model}, ${what}: ${error.message.split("\n")[0]}`);
  }
  const before = called.size;
  for (const { exports } of instances)
    for (let place = 0; calledName(place) in exports; place++)
      if ((exports[calledName(place)] as WebAssembly.Global).value === 1) called.add(place);
  console.log(`${model}, ${what}: ${called.size - before} more functions`);
}

/** First and last of each row of neighbours. */
function rows(places: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  for (const place of places) {
    const last = found.at(-1);
    if (last?.[1] === place - 1) last[1] = place;
    else found.push([place, place]);
  }
  return found;
}

interceptLiteRT();
interceptWorkers();
await runAll(process.argv.slice(2));
const functions = rows([...called].sort((a, b) => a - b));
const list: FirstFunctions = { sha256: hashOf(whole), functions };
await Bun.write(LIST, `${JSON.stringify(list)}\n`);
console.log(`${called.size} functions`);
process.exit();
