/**
 * The kernels' host side: an instance of build/kernels.wasm, and two ways to call it.
 *
 * - `kernels.minmax(array)`, `kernels.asym(array, …)` …: typed arrays in, fresh typed arrays out; the functions of
 *   kernels.wit with the types that the build makes from it. For constants that are in memory anyway.
 * - `kernels.stream`: the same kernels on bytes that already lie in WASM memory, results as views of WASM memory. For
 *   weights: the file is read into a `Block` and written from the result, so no byte is copied in between.
 *
 * An instance belongs to one thread; each Worker loads its own. Values are [outer, channels, inner] in storage order:
 * element i belongs to channel (i / inner) % channels. One scale for all: channels 1, inner 1.
 */
import { readFileSync } from "node:fs";
import type { Root as KernelFunctions, Observation, Range } from "../../build/kernels.d.ts";
import wasmPath from "../../build/kernels.wasm" with { type: "file" };
import { MinmaxqError } from "../base/errors.ts";
import type { Quantizer } from "../rules/schemes.ts";
import {
  type Block,
  INTEGER_KINDS,
  type IntegerKind,
  type KernelLayout,
  KernelStream,
  type Parameters,
} from "./kernel-stream.ts";
import { LayerKernels } from "./layer-kernels.ts";

export type { Block, IntegerKind, KernelFunctions, KernelLayout, KernelStream, Observation, Parameters, Range };

/** Mins and maxs of channels, one value per channel; how many elements were NaN. */
export type ChannelRanges = { mins: Float32Array; maxs: Float32Array; nans: number };

/** The functions of kernels.wit on typed arrays, and the stream. */
export interface Kernels extends KernelFunctions {
  /** The same kernels without copies. */
  readonly stream: KernelStream;
}

let compiled: WebAssembly.Module | undefined;

/** The compiled module. Workers are given it, so that what one thread has made fast is fast in all. */
export function compiledKernels(): WebAssembly.Module {
  if (compiled === undefined && !hasSimd()) throw new MinmaxqError(NO_SIMD, { code: "no-simd" });
  compiled ??= new WebAssembly.Module(readFileSync(wasmPath));
  return compiled;
}

const NO_SIMD =
  "this CPU has no AVX, which minmaxq computes with (the runtime's WebAssembly SIMD needs it; CPUs have it since 2011): use another machine, or have the emulator show a newer CPU";

/** A module with one SIMD instruction (i8x16.splat): the engine takes none on x86-64 without AVX. */
function hasSimd(): boolean {
  const head = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0];
  return WebAssembly.validate(Uint8Array.from([...head, 10, 8, 1, 6, 0, 65, 1, 253, 15, 11]));
}

/** Takes the module of another thread. */
export function useCompiled(module: WebAssembly.Module): void {
  compiled = module;
}

/** A new instance with its own memory (starts at 64 KiB and grows). */
export function loadKernels(): Kernels {
  const instance = new WebAssembly.Instance(compiledKernels());
  return copying(new KernelStream(instance), new LayerKernels(instance));
}

/** Instances of this thread that nothing uses. */
const spare: Kernels[] = [];
/** Bytes of memory, which never shrinks, up to which an instance is kept. */
const SPARE_BYTES = 16 << 20;

/**
 * Lends an instance for a short time: making one takes longer than a small model's slice or sample, and each asks for collection of garbage. Work
 * may wait for something; nothing else uses the instance meanwhile. What it gives must not lie in the instance's memory. After an error the
 * instance is not used again.
 */
export function withKernels<R>(work: (kernels: Kernels) => R): R {
  const kernels = spare.pop() ?? loadKernels();
  const back = <T>(result: T): T => {
    kernels.stream.reset();
    if (kernels.stream.size <= SPARE_BYTES && spare.length < 2) spare.push(kernels);
    return result;
  };
  const result = work(kernels);
  return result instanceof Promise ? (result.then(back) as R) : back(result);
}

/**
 * Continues ranges with those of a later part of the same channels, in place.
 *
 * Exact when the first part was scanned with `channels(values, …)` and every later one with `laterStart` as its start
 * lists (or, for whole tensors, both with `minmax`): strict comparison keeps the earlier part's zero, and NaN at
 * the start of a channel stays, as in one scan in storage order (reference §3.1).
 */
export function mergeRanges(into: ChannelRanges, later: ChannelRanges): void {
  for (let channel = 0; channel < into.mins.length; channel++) {
    if (later.mins[channel]! < into.mins[channel]!) into.mins[channel] = later.mins[channel]!;
    if (later.maxs[channel]! > into.maxs[channel]!) into.maxs[channel] = later.maxs[channel]!;
  }
  into.nans += later.nans;
}

/** Start of a later part that is scanned apart from the first one: loses against every element. */
export function laterStart(channels: number): { mins: Float32Array; maxs: Float32Array } {
  return {
    mins: new Float32Array(channels).fill(Number.POSITIVE_INFINITY),
    maxs: new Float32Array(channels).fill(Number.NEGATIVE_INFINITY),
  };
}

function parameterLists(
  stream: KernelStream,
  mins: Float32Array,
  maxs: Float32Array,
  quantizer: Pick<Quantizer, "symmetric" | "low" | "high" | "smallestScale">,
): ReturnType<KernelFunctions["asymparameters"]> {
  return stream.scoped(() => {
    const { scale, zeroPoint, nudgedMin, nudgedMax, inv, near } = stream.parameters(mins, maxs, quantizer);
    return [scale, zeroPoint, nudgedMin, nudgedMax, inv, near ? 1 : 0];
  });
}

function fusedLists<T>(
  stream: KernelStream,
  Integers: { new (buffer: ArrayBuffer): T; readonly BYTES_PER_ELEMENT: number },
  values: Float32Array,
  channels: number,
  inner: number,
  high: number,
  smallestScale = 0,
): [T, ...Lists, number, number, number] {
  return stream.scoped(() => {
    const size = Integers.BYTES_PER_ELEMENT;
    const to = stream.reserve(values.length * size);
    const quantizer = { symmetric: high !== 255, bits: size * 8, high, smallestScale };
    const found = stream.fused(stream.copyIn(values), { channels, inner }, quantizer, to);
    const { scale, zeroPoint, nudgedMin, nudgedMax, inv } = found;
    const flags = [found.nans, Number(found.infinite), Number(found.near)] as const;
    const lists: Lists = [scale.slice(), zeroPoint.slice(), nudgedMin.slice(), nudgedMax.slice(), inv.slice()];
    return [new Integers(to.bytes().slice().buffer), ...lists, ...flags];
  });
}

type Lists = [Float32Array, BigInt64Array, Float32Array, Float32Array, Float32Array];

/** Wraps every kernel of a stream: arguments are copied in, results out, and the memory is given back. */
function copying(stream: KernelStream, layers: LayerKernels): Kernels {
  type Values = Float32Array | Uint16Array | Int8Array | Uint8Array;
  const on = <R>(values: Values, call: (block: Block) => R, copy: (result: R) => R): R =>
    stream.scoped(() => copy(call(stream.copyIn(values))));
  const list = <T extends { slice(): T }>(result: T): T => result.slice();
  const same = <T>(result: T): T => result;
  return {
    stream,
    columnsums: (...lists) => layers.columnsums(...lists),
    windowsums: (...lists) => layers.windowsums(...lists),
    covariance: (...lists) => layers.covariance(...lists),
    factor: (...lists) => layers.factor(...lists),
    successive: (...lists) => layers.successive(...lists),
    losses: (...lists) => layers.losses(...lists),
    descend: (...lists) => layers.descend(...lists),
    everyway: (...lists) => layers.everyway(...lists),
    shrunk: (...lists) => layers.shrunk(...lists),
    minmax: (values) => on(values, (block) => stream.minmax(block), same),
    observe: (values) => on(values, (block) => stream.observe(block), same),
    channels: (values, channels, inner, mins, maxs) => {
      const start = mins.length > 0 || maxs.length > 0 ? { mins, maxs } : undefined;
      const ranges = on(values, (block) => stream.channels(block, { channels, inner }, start), same);
      return [ranges.mins, ranges.maxs, ranges.nans];
    },
    asym: (values, channels, inner, nmin, nmax, inv) =>
      on(values, (block) => stream.asym(block, { channels, inner }, nmin, nmax, inv), list),
    asymparameters: (mins, maxs) =>
      parameterLists(stream, mins, maxs, { symmetric: false, low: 0, high: 255, smallestScale: 1e-5 }),
    symparameters: (mins, maxs, high, smallestScale) =>
      parameterLists(stream, mins, maxs, { symmetric: true, low: -high, high, smallestScale }),
    asymnear: (values, channels, inner, nmin, inv) =>
      on(values, (block) => stream.asymnear(block, { channels, inner }, nmin, inv), list),
    symnear: (values, channels, inner, inv) =>
      on(values, (block) => stream.symnear(block, { channels, inner }, inv), list),
    fusedasym: (values, channels, inner) => fusedLists(stream, Uint8Array, values, channels, inner, 255),
    fusedsym: (values, channels, inner, smallest) =>
      fusedLists(stream, Int16Array, values, channels, inner, 32767, smallest),
    fusedbyte: (values, channels, inner, limit, smallest) =>
      fusedLists(stream, Int8Array, values, channels, inner, limit, smallest),
    blocks: (values, block, limit) =>
      stream.scoped(() => {
        const { integers, scales, nans, infinite } = stream.blocks(stream.copyIn(values), block, limit);
        return [integers.slice(), scales.slice(), nans, Number(infinite)];
      }),
    asym0: (values, channels, inner, min, inv) =>
      on(values, (block) => stream.asym0(block, { channels, inner }, min, inv), list),
    sym: (values, channels, inner, nmin, nmax, inv, limit) =>
      on(values, (block) => stream.sym(block, { channels, inner }, nmin, nmax, inv, limit), list),
    sym0: (values, channels, inner, inv) => on(values, (block) => stream.sym0(block, { channels, inner }, inv), list),
    symbyte: (values, channels, inner, nmin, nmax, inv, limit) =>
      on(values, (block) => stream.symbyte(block, { channels, inner }, nmin, nmax, inv, limit), list),
    propagatebyte: (values, inv, zeroPoint) => on(values, (block) => stream.propagatebyte(block, inv, zeroPoint), list),
    propagateshort: (values, inv, zeroPoint) =>
      on(values, (block) => stream.propagateshort(block, inv, zeroPoint), list),
    fakeasym: (values, channels, inner, nmin, nmax, inv, scale) =>
      on(values, (block) => stream.fakeasym(block, { channels, inner }, nmin, nmax, inv, scale), list),
    fakesym: (values, channels, inner, nmin, nmax, inv, scale, limit) =>
      on(values, (block) => stream.fakesym(block, { channels, inner }, nmin, nmax, inv, scale, limit), list),
    bias: (values, sin, sw) => on(values, (block) => stream.bias(block, sin, sw), same),
    biaslong: (values, sin, sw) => on(values, (block) => stream.biaslong(block, sin, sw), same),
    half: (values) => on(values, (block) => stream.half(block), list),
    unpack: (values, count, signed) => on(values, (block) => stream.unpack(block, count, signed !== 0), list),
    dequantize: (values, kind, channels, inner, scale, zeroPoint) =>
      on(
        values,
        (block) => stream.dequantize(block, INTEGER_KINDS[kind]!, { channels, inner }, scale, zeroPoint),
        list,
      ),
    tohalf: (values) =>
      stream.scoped(() => {
        const { halves, overflowed } = stream.tohalf(stream.copyIn(values));
        return [halves.slice(), overflowed];
      }),
    crumbs: (values) => on(values, (block) => stream.crumbs(block), list),
    nibbles: (values) => on(values, (block) => stream.nibbles(block), list),
    histogram: (values, pages, counts) =>
      stream.scoped(() => {
        const added = stream.copyIn(counts);
        const done = stream.histogram(stream.copyIn(values), stream.copyIn(pages), added);
        const bytes = added.bytes().slice();
        return [new Uint32Array(bytes.buffer), done];
      }),
  };
}
