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
import relaxedGlue from "@litertjs/core/wasm/litert_wasm_internal.js" with { type: "file" };
import relaxedWasm from "@litertjs/core/wasm/litert_wasm_internal.wasm" with { type: "file" };
import compatWasm from "../../build/litert-first.wasm" with { type: "file" };
import { reasonOf } from "../base/errors.ts";
import { unpacked } from "../base/packed.ts";
import type { Shapes } from "./inputs.ts";
import { instantiate } from "./litert-rest.ts";

type Bindings = LiteRt["liteRtWasm"];
type Factory = (settings: object) => Promise<Bindings>;

export interface Engine {
  /**
   * Runs one record: `inputs` are the model inputs' bytes in order, `see` gets every output once, by its place in the model's list of
   * outputs, as bytes in WASM memory (4-aligned) that are valid during the call only. Throws EngineError with LiteRT's reason.
   */
  run(inputs: readonly Uint8Array[], see: (output: number, bytes: Uint8Array) => void): Promise<void>;
  /** As `run`, but all outputs stay until they are released, so that they can be looked at together with another engine's. */
  hold(inputs: readonly Uint8Array[], shapes?: Shapes): Promise<Held>;
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

/** A LiteRT instance: models that are loaded into it share its memory and can hand tensors to each other. */
export interface Instance {
  /** What tensors lie in. It ends at MEMORY_LIMIT, and never shrinks; what closed models took is used again. */
  readonly memory: WebAssembly.Memory;
  /**
   * Loads and prepares a TFL3 model. `outputNames` are its outputs' names in the model's order (names must differ). Throws EngineError
   * when LiteRT refuses the model.
   */
  load(model: Uint8Array, outputNames: readonly string[]): Promise<Loaded>;
  /** Loads and prepares a model of so many bytes, which `write` puts into LiteRT's memory, with all its signatures. Throws EngineError. */
  loadFile(size: number, write: (into: Uint8Array) => void): Promise<LoadedFile>;
}

/** A model as its file is. A model without signatures has one, of its first subgraph, with the tensors' own names. */
export interface LoadedFile {
  readonly signatures: number;
  /** Runs a signature; `fillInput` gets each input's zeroed bytes and its name. Results are dropped. Throws EngineError. */
  run(signature: number, fillInput: (name: string, bytes: Uint8Array) => void): Promise<void>;
  close(): void;
}

/** A model in an instance. */
export interface Loaded {
  /** A tensor for the model's input `number`, not filled. */
  input(number: number): EngineTensor;
  /**
   * Gives the outputs in the model's order. They are the caller's. A promise only where LiteRT has to wait for something, because
   * waiting for what is there already costs more than a small operator. Throws EngineError, at once or when awaited.
   */
  run(inputs: readonly EngineTensor[]): EngineTensor[] | Promise<EngineTensor[]>;
  close(): void;
}

/** A tensor in an instance's memory; an output of one model can be another model's input. */
export interface EngineTensor {
  /** Shows the tensor where it lies, during the call only. Calls may be nested. */
  look<T>(see: (lent: Lent) => T): T;
  release(): void;
  /** LiteRT's own object. */
  readonly buffer: Buffer;
}

/** A tensor that is being looked at. */
export interface Lent {
  /** Where in the instance's memory, in bytes (4-aligned), and how many bytes. */
  readonly at: number;
  readonly size: number;
  /** A view of it; growing memory makes it invalid. Views cost the engine more than scanning a small tensor, so not for every one. */
  bytes(): Uint8Array<ArrayBuffer>;
}

type Buffer = ReturnType<Bindings["LiteRtTensorBuffer"]["createManaged"]>;

/** Bytes of WASM memory that LiteRT's builds declare as their largest. */
export const MEMORY_LIMIT = 2 ** 31;

/** This thread's instance; there is one per build. */
export async function openInstance(library: WebAssembly.Module, fastMath: boolean): Promise<Instance> {
  const bound = await bindings(library, fastMath);
  return {
    memory: bound.memory,
    load: (model, outputNames) => load(bound, model, outputNames),
    loadFile: (size, write) => loadFile(bound, size, write),
  };
}

/** Does what LiteRT may refuse; `what` is said of a failure, with its reason. */
function attemptIn(log: string[]) {
  return <T>(what: string, action: () => T | Promise<T>): T | Promise<T> => {
    const failed = (error: unknown): never => {
      throw new EngineError(`${what}: ${[...log, textOf(error)].join("; ")}`, { cause: error });
    };
    const checked = (result: T): T => {
      // LiteRT reports some failures in its log only, and gives uninitialised memory as results.
      if (log.length > 0) throw new EngineError(`${what}: ${log.join("; ")}`);
      return result;
    };
    log.length = 0;
    let given: T | Promise<T>;
    try {
      given = action();
    } catch (error) {
      return failed(error);
    }
    return given instanceof Promise ? given.then(checked, failed) : checked(given);
  };
}

async function compile({ wasm, log, environment }: Bound, size: number, write: (into: Uint8Array) => void) {
  const attempt = attemptIn(log);
  const pointer = wasm._malloc(size);
  if (pointer === 0) throw new EngineError(`no memory for a model of ${size} bytes (${MEMORY_TEXT})`);
  write(wasm.HEAPU8.subarray(pointer, pointer + size));
  const loaded = await attempt("the model cannot be loaded", () => wasm.loadModel(environment, pointer, size));
  const compiled = await attempt("the model cannot be prepared", () =>
    wasm.compileModel(environment, loaded, COMPILE_OPTIONS),
  );
  return { attempt, pointer, loaded, compiled };
}

async function loadFile(bound: Bound, size: number, write: (into: Uint8Array) => void): Promise<LoadedFile> {
  const { wasm, environment } = bound;
  const { attempt, pointer, loaded, compiled } = await compile(bound, size, write);
  return {
    signatures: loaded.getNumSignatures(),
    async run(number, fillInput) {
      const inputs = await attempt("the inputs cannot be made", () => {
        const signature = loaded.getSignature(number);
        const names = signature.inputNames();
        const kind = wasm.LiteRtTensorBufferType.HOST_MEMORY;
        return Array.from({ length: names.size() }, (_, i) => {
          const type = loaded.getInputTensorType(number, i);
          const buffer = wasm.LiteRtTensorBuffer.createManaged(environment, kind, type, type.bytes());
          const tensor = new TensorInMemory(wasm, buffer, buffer.packedSize());
          tensor.look((lent) => fillInput(String(names.get(i)), lent.bytes().fill(0)));
          return tensor;
        });
      });
      const outputs = await attempt("the model cannot be run", () =>
        compiled.run(
          number,
          inputs.map(({ buffer }) => buffer),
        ),
      );
      for (const output of outputs) output.delete();
      for (const input of inputs) input.release();
    },
    close() {
      compiled.delete();
      loaded.delete();
      wasm._free(pointer);
    },
  };
}

async function load(bound: Bound, model: Uint8Array, outputNames: readonly string[]): Promise<Loaded> {
  const { wasm, environment } = bound;
  const { attempt, pointer, loaded, compiled } = await compile(bound, model.byteLength, (into) => into.set(model));
  const signature = loaded.getSignature(0);
  const names = signature.outputNames();
  const places = Array.from({ length: names.size() }, (_, i) => outputNames.indexOf(String(names.get(i))));
  names.delete();
  signature.delete();
  if (places.includes(-1)) throw new EngineError("LiteRT lists outputs the model does not have");

  // LiteRT makes an output's buffer by the type that the model declares, so its size is asked for once.
  const sizes: number[] = [];
  const ordered = (outputs: readonly Buffer[]): EngineTensor[] => {
    const tensors: EngineTensor[] = new Array(places.length);
    for (let i = 0; i < places.length; i++) {
      sizes[i] ??= outputs[i]!.packedSize();
      tensors[places[i]!] = new TensorInMemory(wasm, outputs[i]!, sizes[i]!);
    }
    return tensors;
  };
  return {
    input(number) {
      const type = loaded.getInputTensorType(0, number);
      const kind = wasm.LiteRtTensorBufferType.HOST_MEMORY;
      const buffer = wasm.LiteRtTensorBuffer.createManaged(environment, kind, type, type.bytes());
      type.delete();
      return new TensorInMemory(wasm, buffer, buffer.packedSize());
    },
    run(inputs) {
      const buffers = inputs.map(({ buffer }) => buffer);
      const outputs = attempt("the model cannot be run", () => compiled.run(0, buffers));
      return outputs instanceof Promise ? outputs.then(ordered) : ordered(outputs);
    },
    close() {
      compiled.delete();
      loaded.delete();
      wasm._free(pointer);
    },
  };
}

class TensorInMemory implements EngineTensor, Lent {
  at = 0;

  constructor(
    private readonly wasm: Bindings,
    readonly buffer: Buffer,
    readonly size: number,
  ) {}

  look<T>(see: (lent: Lent) => T): T {
    this.at = this.buffer.lock(this.wasm.LiteRtTensorBufferLockMode.READ_WRITE);
    try {
      return see(this);
    } finally {
      this.buffer.unlock();
    }
  }

  bytes(): Uint8Array<ArrayBuffer> {
    // HEAPU8 is asked for anew each time: growing memory replaces it.
    return this.wasm.HEAPU8.subarray(this.at, this.at + this.size) as Uint8Array<ArrayBuffer>;
  }

  release(): void {
    this.buffer.delete();
  }
}

/** Copies bytes into a tensor; `name` is what the message calls it. Throws EngineError when the sizes differ. */
export function fill(tensor: EngineTensor, bytes: Uint8Array, name: string): void {
  tensor.look((target) => {
    if (bytes.byteLength !== target.size)
      throw new EngineError(`${name} has ${bytes.byteLength} bytes, LiteRT wants ${target.size}`);
    target.bytes().set(bytes);
  });
}

/** One model by itself, fed with bytes; otherwise as Instance.load. */
export async function loadEngine(
  model: Uint8Array,
  outputNames: readonly string[],
  library: WebAssembly.Module,
  fastMath: boolean,
): Promise<Engine> {
  const loaded = await (await openInstance(library, fastMath)).load(model, outputNames);
  const inputs: EngineTensor[] = [];
  const hold = async (values: readonly Uint8Array[]): Promise<Held> => {
    while (inputs.length < values.length) inputs.push(loaded.input(inputs.length));
    values.forEach((bytes, i) => {
      fill(inputs[i]!, bytes, `input ${i}`);
    });
    const outputs = await loaded.run(inputs);
    return {
      look: (output, see) => outputs[output]!.look((lent) => see(() => lent.bytes())),
      release() {
        for (const output of outputs) output.release();
      },
    };
  };
  return {
    hold,
    async run(values, see) {
      const held = await hold(values);
      try {
        for (const output of outputNames.keys()) held.look(output, (bytes) => see(output, bytes()));
      } finally {
        held.release();
      }
    },
    close() {
      for (const input of inputs) input.release();
      loaded.close();
    },
  };
}

/** For messages. */
export const MEMORY_TEXT = "LiteRT's WASM memory ends at 2 GiB";

/** One thread: parallelism is one engine per worker, which keeps results independent of the machine. */
const COMPILE_OPTIONS = {
  accelerator: "wasm",
  cpuOptions: { numThreads: 1 },
  gpuOptions: {},
  webNNOptions: {},
} as const;

/** LiteRT's bindings, and the errors it has logged since the list was emptied. */
interface Bound {
  readonly wasm: Bindings;
  readonly log: string[];
  readonly memory: WebAssembly.Memory;
  readonly environment: ReturnType<Bindings["LiteRtEnvironment"]["create"]>;
}

const libraries = new Map<boolean, Promise<WebAssembly.Module>>();

/** LiteRT compiled to machine code, once a process: workers are given the result. */
export function compileLibrary(fastMath: boolean): Promise<WebAssembly.Module> {
  const library =
    libraries.get(fastMath) ??
    Bun.file(fastMath ? relaxedWasm : compatWasm)
      .bytes()
      .then((bytes) => WebAssembly.compile(unpacked(bytes)));
  libraries.set(fastMath, library);
  return library;
}

const loadedBindings = new Map<boolean, Promise<Bound>>();

/** One WASM instance a thread and build. */
function bindings(library: WebAssembly.Module, fastMath: boolean): Promise<Bound> {
  const loaded = loadedBindings.get(fastMath) ?? loadBindings(library, fastMath);
  loadedBindings.set(fastMath, loaded);
  return loaded;
}

async function loadBindings(library: WebAssembly.Module, fastMath: boolean): Promise<Bound> {
  const log: string[] = [];
  const print = (line: string): void => {
    const error = /^ERROR: (?:\[[^\]]*\] )?(.*)/.exec(line)?.[1];
    if (error && log.length < 20) log.push(error);
  };
  const glue = fs.readFileSync(fastMath ? relaxedGlue : compatGlue, "utf8");
  // The glue asks for Node's modules by name; a compiled executable has no `require` to give it.
  const modules: Readonly<Record<string, unknown>> = {
    "node:crypto": RANDOM,
    crypto: RANDOM,
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
  let memory: WebAssembly.Memory | undefined;
  const instantiateWasm = (imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) => {
    const instance = instantiate(library, imports);
    // The only memory that is exported, under a name that the minifier chose.
    memory = Object.values(instance.exports).find((each) => each instanceof WebAssembly.Memory);
    done(instance);
  };
  const wasm = await factory({ instantiateWasm, print, printErr: print });
  wasm.setupLogging();
  if (memory === undefined) throw new Error("LiteRT exports no memory");
  return { wasm, log, memory, environment: wasm.LiteRtEnvironment.create(null) };
}

/**
 * What LiteRT takes for random bytes: the same ones every time, so that operators that draw by chance (RANDOM_UNIFORM without a seed)
 * give the same ranges in every run.
 */
const RANDOM = {
  randomFillSync<T extends ArrayBufferView>(view: T): T {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (Math.imul(i + 1, 0x9e3779b1) >>> 24) ^ (i & 255);
    return view;
  },
  randomBytes: (count: number): Uint8Array => RANDOM.randomFillSync(new Uint8Array(count)),
};

/** C++ exceptions may arrive as bare numbers (pointers), which say nothing to people. */
function textOf(error: unknown): string {
  return typeof error === "number" ? "LiteRT failed" : reasonOf(error);
}
