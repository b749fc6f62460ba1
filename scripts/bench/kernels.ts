/**
 * Each kernel against a copy of as many bytes, in the same process and the same WASM memory.
 *
 * The copy is `Uint8Array.set`, which is the C library's memmove. As many bytes: of input; of kernels whose result is larger
 * than their input, of the result. A sample is as many calls as take some milliseconds; kernel and copy take turns. Every
 * result lies in WASM memory, which a compiler cannot leave out, and its first element is looked at.
 */
import type { ScaleAndZeroPoint } from "../../src/rules/arithmetic.ts";
import { parametersOfRange, QUANTIZERS, type Quantizer } from "../../src/rules/schemes.ts";
import { type IntegerKind, type KernelLayout, type KernelStream, loadKernels } from "../../src/weights/kernels.ts";
import type { Measured } from "./results.ts";
import type { Sides } from "./statistics.ts";

export const MIB = 2 ** 20;

/** [name, channels, inner] of float32 values [outer, channels, inner]. */
const LAYOUTS: readonly (readonly [string, number, number])[] = [
  ["whole tensor", 1, 1],
  ["axis 0, inner 4096", 64, 4096],
  ["axis 0, inner 576", 64, 576],
  ["axis 0, inner 27", 64, 27],
  ["axis 3, 1024 channels", 1024, 1],
  ["axis 3, 96 channels", 96, 1],
  ["axis 3, 3 channels", 3, 1],
];

type Block = ReturnType<KernelStream["reserve"]>;

/** A kernel on one layout: how to call it on a block that is full of floats within ±0.9. */
export interface KernelCase {
  readonly name: string;
  /** Bytes of a row: inputs are whole rows. */
  readonly row: number;
  /** Bytes of the result for a byte of input. */
  readonly growth: number;
  /** Makes the call, with its parameters ready. */
  prepare(stream: KernelStream, block: Block): () => unknown;
}

const list = (length: number, value: number): Float32Array => new Float32Array(length).fill(value);

function onWhole(name: string, growth: number, call: (stream: KernelStream, block: Block) => unknown): KernelCase {
  return { name, row: 16, growth, prepare: (stream, block) => () => call(stream, block) };
}

type Lists = { low: Float32Array; high: Float32Array; inv: Float32Array; scale: Float32Array };

/** A rule's parameters of the values' range, for every channel. */
type Rule = (channels: number) => Lists;

function lists(channels: number, { nudgedMin, nudgedMax, scale }: ScaleAndZeroPoint): Lists {
  return {
    low: list(channels, nudgedMin),
    high: list(channels, nudgedMax),
    inv: list(channels, 1 / scale),
    scale: list(channels, scale),
  };
}

const ASYMMETRIC: Rule = (channels) => lists(channels, parametersOfRange(QUANTIZERS.uint8, -0.9, 0.9));
const symmetricBy =
  (quantizer: Quantizer): Rule =>
  (channels) =>
    lists(channels, parametersOfRange(quantizer, -0.9, 0.9));

/** Made-up parameters: clipping does something else than the limits of the integers (kernels/elements.ts). */
const MADE_UP: Rule = (channels) => ({
  low: list(channels, -0.9),
  high: list(channels, 0.9),
  inv: list(channels, 141),
  scale: list(channels, 1 / 141),
});

type Call = (stream: KernelStream, block: Block, layout: KernelLayout, lists: Lists) => unknown;

/** The same kernel on every layout. */
function onLayouts(name: string, growth: number, rule: Rule, call: Call, layouts = LAYOUTS): KernelCase[] {
  return layouts.map(([title, channels, inner]) => ({
    name: `${name}, ${title}`,
    row: 4 * channels * inner,
    growth,
    prepare: (stream, block) => {
      const parameters = rule(channels);
      return () => call(stream, block, { channels, inner }, parameters);
    },
  }));
}

/** The same on every layout, and once with parameters that were made up. */
function onAll(name: string, growth: number, rule: Rule, call: Call): KernelCase[] {
  return [
    ...onLayouts(name, growth, rule, call),
    ...onLayouts(`${name}, made up`, growth, MADE_UP, call, LAYOUTS.slice(0, 1)),
  ];
}

/** Enough where another kernel shares the loops. */
const SOME = LAYOUTS.filter(([name]) => ["whole tensor", "axis 0, inner 576", "axis 3, 96 channels"].includes(name));

const BYTES_OF: Readonly<Partial<Record<IntegerKind, number>>> = { UINT8: 1, INT16: 2, INT32: 4 };

/** All kernels but `bias` and `biaslong`: a bias has one value per channel, which is nothing beside its weights. */
export const KERNELS: readonly KernelCase[] = [
  onWhole("minmax", 0, (stream, block) => stream.minmax(block)),
  onWhole("observe", 0, (stream, block) => stream.observe(block)),
  ...onLayouts("channels", 0, MADE_UP, (stream, block, layout) => stream.channels(block, layout)),
  ...onAll("asym", 1 / 4, ASYMMETRIC, (stream, block, layout, { low, high, inv }) =>
    stream.asym(block, layout, low, high, inv),
  ),
  ...onAll("sym", 1 / 2, symmetricBy(QUANTIZERS.int16), (stream, block, layout, { low, high, inv }) =>
    stream.sym(block, layout, low, high, inv, 32767),
  ),
  ...onAll("fakeasym", 1, ASYMMETRIC, (stream, block, layout, { low, high, inv, scale }) =>
    stream.fakeasym(block, layout, low, high, inv, scale),
  ),
  ...onAll("fakesym", 1, symmetricBy(QUANTIZERS.int16), (stream, block, layout, { low, high, inv, scale }) =>
    stream.fakesym(block, layout, low, high, inv, scale, 32767),
  ),
  ...onLayouts(
    "asym0",
    1 / 4,
    ASYMMETRIC,
    (stream, block, layout, { low, inv }) => stream.asym0(block, layout, low, inv),
    SOME,
  ),
  ...onLayouts(
    "sym0",
    1 / 2,
    symmetricBy(QUANTIZERS.int16),
    (stream, block, layout, { inv }) => stream.sym0(block, layout, inv),
    SOME,
  ),
  ...onLayouts(
    "symbyte",
    1 / 4,
    symmetricBy(QUANTIZERS.int8),
    (stream, block, layout, { low, high, inv }) => stream.symbyte(block, layout, low, high, inv, 127),
    SOME,
  ),
  onWhole("propagatebyte", 1 / 4, (stream, block) => stream.propagatebyte(block, 255, 0)),
  onWhole("propagateshort", 1 / 2, (stream, block) => stream.propagateshort(block, 255, 0)),
  onWhole("half", 2, (stream, block) => stream.half(block)),
  onWhole("nibbles", 1 / 2, (stream, block) => stream.nibbles(block)),
  onWhole("unpack", 2, (stream, block) => stream.unpack(block, block.byteLength * 2, true)),
  ...Object.entries(BYTES_OF).map(([kind, bytes]) =>
    onWhole(`dequantize ${kind}`, 4 / bytes, (stream, block) =>
      stream.dequantize(block, kind as IntegerKind, { channels: 1, inner: 1 }, list(1, 0.1), BigInt64Array.of(3n)),
    ),
  ),
  histogram(),
];

/** Counts are added in place: the call is prepared with pages for every octave and its sums. */
function histogram(): KernelCase {
  return {
    name: "histogram",
    row: 16,
    growth: 0,
    prepare: (stream, block) => {
      const pages = stream.copyIn(Int32Array.from({ length: 512 }, (_, octave) => 1024 * (octave % 64)));
      const counts = stream.copyIn(new Uint32Array(64 * 1024));
      return () => {
        if (stream.histogram(block, pages, counts) * 4 !== block.byteLength) throw new Error("histogram stopped early");
      };
    },
  };
}

/** In milliseconds. */
export interface Patience {
  /** How long a kernel runs before it is measured: by then the engine has compiled it as well as it can. */
  readonly warmUp: number;
  /** The least that a sample takes: of shorter ones the clock itself would show. */
  readonly least: number;
}

/** An instance of the kernels with `bytes` of input, and room for its copy. */
export class KernelBench {
  private readonly stream = loadKernels().stream;
  private readonly input: Block;
  private readonly copy: Block;
  /** What results began with: read, so that a compiler cannot leave them out. */
  seen: unknown;

  constructor(
    private readonly bytes: number,
    private readonly patience: Patience = { warmUp: 150, least: 2 },
  ) {
    this.input = this.stream.reserve(bytes);
    this.copy = this.stream.reserve(bytes);
    const floats = new Float32Array(this.input.bytes().buffer, this.input.pointer, bytes / 4);
    for (let i = 0; i < floats.length; i++) floats[i] = Math.sin(i * 0.37) * 0.9;
  }

  /** Both sides, in milliseconds a call; the copy is the top: the ratio is that of the bandwidths. */
  measure(kernel: KernelCase, rounds: number): Measured {
    return this.stream.scoped(() => {
      const most = this.bytes / Math.max(1, kernel.growth);
      const used = Math.floor(most / kernel.row) * kernel.row;
      const block = this.stream.part(this.input, 0, used);
      const run = kernel.prepare(this.stream, block);
      const bytes = used * Math.max(1, kernel.growth);
      const compute = () => {
        this.stream.scoped(() => {
          const result = run();
          this.seen = ArrayBuffer.isView(result) ? (result as Uint8Array)[0] : result;
        });
      };
      const copy = () => this.copy.bytes().set(this.input.bytes().subarray(0, bytes));
      for (const work of [compute, copy])
        for (const end = performance.now() + this.patience.warmUp; performance.now() < end; ) work();
      const calls = [copy, compute].map((work) => Math.max(1, Math.ceil(this.patience.least / timeOf(work, 1)))) as [
        number,
        number,
      ];
      const sides: Sides & { top: number[]; bottom: number[] } = {
        names: ["copy", "kernel"],
        unit: "ms",
        top: [],
        bottom: [],
      };
      for (let round = 0; round < rounds; round++) {
        sides.top.push(timeOf(copy, calls[0]));
        sides.bottom.push(timeOf(compute, calls[1]));
      }
      return { part: kernel.name, sides, bytes };
    });
  }
}

/** Milliseconds a call. */
function timeOf(work: () => void, calls: number): number {
  const start = performance.now();
  for (let call = 0; call < calls; call++) work();
  return (performance.now() - start) / calls;
}
