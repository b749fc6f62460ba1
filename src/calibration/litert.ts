/**
 * LiteRT (with XNNPACK) as WASM, in this thread: a float model in, float32 results out.
 *
 * `@litertjs/core` is made for browsers: its own wrapper fetches scripts by URL and knows three element types. So we evaluate its
 * glue script ourselves and talk to the bindings below the wrapper, which take any type as bytes. Nothing global is left behind.
 *
 * Two builds: "compat" uses plain SIMD and gives the same bits on every machine; the other uses relaxed SIMD (fused multiply-add where
 * the CPU has it): about 1.3 times faster, its last bits depend on the machine.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import * as url from "node:url";
import type { LiteRt } from "@litertjs/core";
import compatGlue from "@litertjs/core/wasm/litert_wasm_compat_internal.js" with { type: "file" };
import compatWasm from "@litertjs/core/wasm/litert_wasm_compat_internal.wasm" with { type: "file" };
import relaxedGlue from "@litertjs/core/wasm/litert_wasm_internal.js" with { type: "file" };
import relaxedWasm from "@litertjs/core/wasm/litert_wasm_internal.wasm" with { type: "file" };
import { reasonOf } from "../errors.ts";

type Bindings = LiteRt["liteRtWasm"];
type Factory = (settings: object) => Promise<Bindings>;

export interface Engine {
  /**
   * Runs one record: `inputs` are the model inputs' bytes in order, `see` gets every output once, by its place in the model's list of
   * outputs, as bytes in WASM memory (4-aligned) that are valid during the call only. Throws EngineError with LiteRT's reason.
   */
  run(inputs: readonly Uint8Array[], see: (output: number, bytes: Uint8Array) => void): Promise<void>;
  /** As `run`, but all outputs stay until they are released, so that they can be looked at together with another engine's. */
  hold(inputs: readonly Uint8Array[]): Promise<Held>;
  close(): void;
}

/** The outputs of one record. */
export interface Held {
  /** Shows an output's bytes (WASM memory, 4-aligned, valid during the call only). Calls may be nested. */
  look<T>(output: number, see: (bytes: () => Uint8Array) => T): T;
  release(): void;
}

/** LiteRT's refusal: the reason in its words. */
export class EngineError extends Error {}

/**
 * Loads and prepares a TFL3 model. `outputNames` are its outputs' names in the model's order (names must differ). Throws EngineError
 * when LiteRT refuses the model.
 */
export async function loadEngine(
  model: Uint8Array,
  outputNames: readonly string[],
  library: WebAssembly.Module,
  fastMath: boolean,
): Promise<Engine> {
  const { wasm, log } = await bindings(library, fastMath);
  const attempt = async <T>(what: string, action: () => T | Promise<T>): Promise<T> => {
    log.length = 0;
    let result: T;
    try {
      result = await action();
    } catch (error) {
      throw new EngineError(`${what}: ${[...log, textOf(error)].join("; ")}`, { cause: error });
    }
    // LiteRT reports some failures in its log only, and gives uninitialised memory as results.
    if (log.length > 0) throw new EngineError(`${what}: ${log.join("; ")}`);
    return result;
  };

  const environment = wasm.LiteRtEnvironment.create(null);
  const pointer = wasm._malloc(model.byteLength);
  if (pointer === 0)
    throw new EngineError(`no memory for a model of ${model.byteLength} bytes (WASM memory ends at 4 GiB)`);
  wasm.HEAPU8.set(model, pointer);
  const loaded = await attempt("the model cannot be loaded", () =>
    wasm.loadModel(environment, pointer, model.byteLength),
  );
  const compiled = await attempt("the model cannot be prepared", () =>
    wasm.compileModel(environment, loaded, COMPILE_OPTIONS),
  );

  const signature = loaded.getSignature(0);
  const names = signature.outputNames();
  const places = Array.from({ length: names.size() }, (_, i) => outputNames.indexOf(String(names.get(i))));
  names.delete();
  signature.delete();
  if (places.includes(-1)) throw new EngineError("LiteRT lists outputs the model does not have");

  const inputs: ReturnType<typeof makeInput>[] = [];
  const makeInput = (number: number) => {
    const type = loaded.getInputTensorType(0, number);
    const size = type.bytes();
    const buffer = wasm.LiteRtTensorBuffer.createManaged(
      environment,
      wasm.LiteRtTensorBufferType.HOST_MEMORY,
      type,
      size,
    );
    type.delete();
    return { buffer, size };
  };

  const hold = async (values: readonly Uint8Array[]): Promise<Held> => {
    while (inputs.length < values.length) inputs.push(makeInput(inputs.length));
    values.forEach((bytes, i) => {
      const { buffer, size } = inputs[i]!;
      if (bytes.byteLength !== size)
        throw new EngineError(`input ${i} has ${bytes.byteLength} bytes, LiteRT wants ${size}`);
      const at = buffer.lock(wasm.LiteRtTensorBufferLockMode.WRITE);
      wasm.HEAPU8.set(bytes, at);
      buffer.unlock();
    });
    const outputs = await attempt("the model cannot be run", () =>
      compiled.run(
        0,
        inputs.map(({ buffer }) => buffer),
      ),
    );
    return {
      look(place, see) {
        const output = outputs[places.indexOf(place)]!;
        const at = output.lock(wasm.LiteRtTensorBufferLockMode.READ);
        try {
          // HEAPU8 is asked for anew each time: growing memory replaces it.
          return see(() => wasm.HEAPU8.subarray(at, at + output.packedSize()));
        } finally {
          output.unlock();
        }
      },
      release() {
        for (const output of outputs) output.delete();
      },
    };
  };

  return {
    hold,
    async run(values, see) {
      const held = await hold(values);
      try {
        for (const place of places) held.look(place, (bytes) => see(place, bytes()));
      } finally {
        held.release();
      }
    },
    close() {
      for (const { buffer } of inputs) buffer.delete();
      compiled.delete();
      loaded.delete();
      wasm._free(pointer);
      environment.delete();
    },
  };
}

/** One thread: parallelism is one engine a worker, which keeps results independent of the machine. */
const COMPILE_OPTIONS = {
  accelerator: "wasm",
  cpuOptions: { numThreads: 1 },
  gpuOptions: {},
  webNNOptions: {},
} as const;

/** LiteRT's bindings, and the errors it has logged since somebody emptied the list. */
interface Loaded {
  readonly wasm: Bindings;
  readonly log: string[];
}

const libraries = new Map<boolean, Promise<WebAssembly.Module>>();

/** LiteRT compiled to machine code (0.15 s), once a process: workers are given the result. */
export function compileLibrary(fastMath: boolean): Promise<WebAssembly.Module> {
  const library =
    libraries.get(fastMath) ??
    Bun.file(fastMath ? relaxedWasm : compatWasm)
      .arrayBuffer()
      .then((bytes) => WebAssembly.compile(bytes));
  libraries.set(fastMath, library);
  return library;
}

const loadedBindings = new Map<boolean, Promise<Loaded>>();

/** One WASM instance a thread and build. */
function bindings(library: WebAssembly.Module, fastMath: boolean): Promise<Loaded> {
  const loaded = loadedBindings.get(fastMath) ?? loadBindings(library, fastMath);
  loadedBindings.set(fastMath, loaded);
  return loaded;
}

async function loadBindings(library: WebAssembly.Module, fastMath: boolean): Promise<Loaded> {
  const log: string[] = [];
  const print = (line: string): void => {
    const error = /^ERROR: (?:\[[^\]]*\] )?(.*)/.exec(line)?.[1];
    if (error && log.length < 20) log.push(error);
  };
  const glue = fs.readFileSync(fastMath ? relaxedGlue : compatGlue, "utf8");
  // The glue asks for Node's modules by name; a compiled executable has no `require` to give it.
  const modules: Readonly<Record<string, unknown>> = {
    "node:fs": fs,
    "node:path": path,
    "node:url": url,
    fs,
    path,
    url,
  };
  const require = (name: string): unknown => {
    if (Object.hasOwn(modules, name)) return modules[name];
    throw new Error(`LiteRT's script asks for the module ${name}`);
  };
  const evaluate = new Function("require", "__filename", "__dirname", "process", `${glue};return ModuleFactory`);
  const factory = evaluate(require, "/litert.js", "/", process) as Factory;
  const instantiateWasm = (imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) => {
    done(new WebAssembly.Instance(library, imports));
  };
  const wasm = await factory({ instantiateWasm, print, printErr: print });
  wasm.setupLogging();
  return { wasm, log };
}

/** C++ exceptions may arrive as bare numbers (pointers), which say nothing to anybody. */
function textOf(error: unknown): string {
  return typeof error === "number" ? "LiteRT failed" : reasonOf(error);
}
