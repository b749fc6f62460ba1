/** The predicted noise (noise.ts) while one factor after the other moves: only what that factor touches is computed again. */
import type { NoiseFacts } from "./noise.ts";

type Tensor = NoiseFacts["tensors"][number];
type Consumer = NoiseFacts["consumers"][number];
type Producer = NoiseFacts["producers"][number];

/** A part of the sum. `try` says its noise with another factor for one place, `take` makes that so. */
interface Part {
  noise: number;
  try(place: number, factor: number): number;
  take(): void;
}

export class NoiseState {
  private readonly parts: Part[];
  /** Parts that a place touches. */
  private readonly touched: readonly (readonly Part[])[];
  private tried: { place: number; factor: number; noises: number[] } | undefined;

  /** `s` is changed by `take`. */
  constructor(
    facts: NoiseFacts,
    private readonly s: Float64Array,
  ) {
    const touched: Part[][] = Array.from({ length: facts.channels }, () => []);
    const add = (part: Part, places: Int32Array) => {
      for (const place of new Set(places)) if (place >= 0) touched[place]!.push(part);
      return part;
    };
    this.parts = [
      ...facts.tensors.map((each) => add(new TensorPart(each, s), each.places)),
      ...facts.consumers.map((each) => add(new ConsumerPart(each, s), each.places)),
      ...facts.producers.map((each) => add(new ProducerPart(each, s), each.places)),
    ];
    this.touched = touched;
  }

  get noise(): number {
    return this.parts.reduce((sum, { noise }) => sum + noise, 0);
  }

  /** The noise with another factor for one place. */
  try(place: number, factor: number): number {
    const parts = this.touched[place]!;
    const noises = parts.map((part) => part.try(place, factor));
    this.tried = { place, factor, noises };
    let noise = this.noise;
    for (const [i, part] of parts.entries()) noise += noises[i]! - part.noise;
    return noise;
  }

  /** Makes what was tried last so. */
  take(): void {
    const { place, factor, noises } = this.tried!;
    this.s[place] = factor;
    for (const [i, part] of this.touched[place]!.entries()) {
      part.take();
      part.noise = noises[i]!;
    }
  }
}

/** Channels by place, for as many places as there are; those without a place are in none. */
function columnsBy(places: Int32Array, count: number): readonly (readonly number[])[] {
  const by: number[][] = Array.from({ length: count }, () => []);
  for (const [c, place] of places.entries()) if (place >= 0) by[place]!.push(c);
  return by;
}

/** What each channel is multiplied by, or its result divided by: that of its place, 1 without one. */
function factorsOf(places: Int32Array, s: Float64Array): Float64Array {
  return Float64Array.from(places, (place) => (place < 0 ? 1 : s[place]!));
}

class TensorPart implements Part {
  noise: number;
  private readonly columns: readonly (readonly number[])[];
  private readonly factors: Float64Array;
  private low = 0;
  private high = 0;
  /** Σ s² · norm. */
  private passed = 0;
  private tried: { columns: readonly number[]; factor: number } | undefined;

  constructor(
    private readonly of: Tensor,
    s: Float64Array,
  ) {
    this.columns = columnsBy(of.places, s.length);
    this.factors = factorsOf(of.places, s);
    this.noise = this.sum();
  }

  try(place: number, factor: number): number {
    const { min, max, norms } = this.of;
    const columns = this.columns[place]!;
    this.tried = { columns, factor };
    let { low, high, passed } = this;
    let isOutermost = false;
    for (const c of columns) {
      const before = this.factors[c]!;
      if ((min[c]! / before === this.low && low < 0) || (max[c]! / before === this.high && high > 0))
        isOutermost = true;
      passed += norms[c]! * (factor * factor - before * before);
    }
    // Where none of them was outermost, all others lie as far out as before.
    if (isOutermost) [low, high] = this.ends(columns);
    for (const c of columns) {
      low = Math.min(low, min[c]! / factor);
      high = Math.max(high, max[c]! / factor);
    }
    return this.noiseOf(low, high, passed);
  }

  take(): void {
    const { columns, factor } = this.tried!;
    for (const c of columns) this.factors[c] = factor;
    this.sum();
  }

  private sum(): number {
    const { norms } = this.of;
    [this.low, this.high] = this.ends([]);
    this.passed = 0;
    for (let c = 0; c < norms.length; c++) this.passed += this.factors[c]! * this.factors[c]! * norms[c]!;
    return this.noiseOf(this.low, this.high, this.passed);
  }

  /** Least and largest value over channels, without some. */
  private ends(without: readonly number[]): [low: number, high: number] {
    const { min, max } = this.of;
    let [low, high] = [0, 0];
    for (let c = 0; c < min.length; c++) {
      const by = this.factors[c]!;
      if (min[c]! / by >= low && max[c]! / by <= high) continue;
      if (without.includes(c)) continue;
      low = Math.min(low, min[c]! / by);
      high = Math.max(high, max[c]! / by);
    }
    return [low, high];
  }

  private noiseOf(low: number, high: number, passed: number): number {
    const { rounding } = this.of;
    const range = rounding.symmetric ? 2 * Math.max(-low, high) : high - low;
    return ((range / rounding.levels) ** 2 / 12) * passed;
  }
}

class ConsumerPart implements Part {
  noise: number;
  private peaks: Float64Array;
  private next: Float64Array;
  private readonly columns: readonly (readonly number[])[];
  private readonly factors: Float64Array;
  /** Σ square / s². */
  private read = 0;
  private tried: { columns: readonly number[]; factor: number } | undefined;

  constructor(
    private readonly of: Consumer,
    s: Float64Array,
  ) {
    const { places, peaks } = of;
    this.columns = columnsBy(places, s.length);
    this.factors = factorsOf(places, s);
    this.peaks = Float64Array.from({ length: peaks.length / places.length }, (_, row) => this.peakOf(row, [], 1));
    this.next = this.peaks.slice();
    this.read = this.sumOfRead();
    this.noise = this.noiseOf(this.peaks, this.read);
  }

  try(place: number, factor: number): number {
    const { places, peaks, squares } = this.of;
    const columns = this.columns[place]!;
    this.tried = { columns, factor };
    const before = this.factors[columns[0]!]!;
    const width = places.length;
    const [alone] = columns.length === 1 ? columns : [];
    for (let row = 0, from = 0; row < this.peaks.length; row++, from += width) {
      const peak = this.peaks[row]!;
      let largest = 0;
      if (alone !== undefined) largest = peaks[from + alone]!;
      else for (const c of columns) largest = Math.max(largest, peaks[from + c]!);
      // Where the channel is not the row's largest, and does not become it, nothing changes.
      if (largest * factor >= peak) this.next[row] = largest * factor;
      else if (largest * before < peak) this.next[row] = peak;
      else this.next[row] = this.peakOf(row, columns, factor);
    }
    let { read } = this;
    for (const c of columns) read += squares[c]! * (1 / (factor * factor) - 1 / (before * before));
    return this.noiseOf(this.next, read);
  }

  take(): void {
    const { columns, factor } = this.tried!;
    [this.peaks, this.next] = [this.next, this.peaks];
    for (const c of columns) this.factors[c] = factor;
    this.read = this.sumOfRead();
  }

  private sumOfRead(): number {
    const { squares } = this.of;
    let read = 0;
    for (let c = 0; c < squares.length; c++) read += squares[c]! / (this.factors[c]! * this.factors[c]!);
    return read;
  }

  /** The largest of a row, where some channels have another factor. */
  private peakOf(row: number, columns: readonly number[], factor: number): number {
    const { places, peaks } = this.of;
    const from = row * places.length;
    let peak = 0;
    for (const c of columns) peak = Math.max(peak, peaks[from + c]! * factor);
    for (let c = 0; c < places.length; c++) {
      const value = peaks[from + c]! * this.factors[c]!;
      if (value > peak && !columns.includes(c)) peak = value;
    }
    return peak;
  }

  private noiseOf(peaks: Float64Array, read: number): number {
    const { readers, rounding } = this.of;
    let [rows, largest] = [0, 0];
    for (let row = 0; row < peaks.length; row++) {
      const peak = peaks[row]!;
      rows += peak * peak;
      if (peak > largest) largest = peak;
    }
    if (!rounding.perChannel) rows = readers * largest * largest;
    return (rows / rounding.levels ** 2 / 12) * read;
  }
}

class ProducerPart implements Part {
  noise: number;
  private readonly columns: readonly (readonly number[])[];
  private readonly factors: Float64Array;
  private tried: { columns: readonly number[]; factor: number } | undefined;

  constructor(
    private readonly of: Producer,
    s: Float64Array,
  ) {
    this.columns = columnsBy(of.places, s.length);
    this.factors = factorsOf(of.places, s);
    this.noise = this.noiseOf([], 1);
  }

  try(place: number, factor: number): number {
    const columns = this.columns[place]!;
    this.tried = { columns, factor };
    return this.noiseOf(columns, factor);
  }

  take(): void {
    const { columns, factor } = this.tried!;
    for (const c of columns) this.factors[c] = factor;
  }

  private noiseOf(columns: readonly number[], factor: number): number {
    const { peaks, norms, square, levels } = this.of;
    const before = columns.map((c) => this.factors[c]!);
    for (const c of columns) this.factors[c] = factor;
    let [largest, passed] = [0, 0];
    for (let o = 0; o < norms.length; o++) {
      const by = this.factors[o]!;
      largest = Math.max(largest, peaks[o]! / by);
      passed += by * by * norms[o]!;
    }
    for (const [i, c] of columns.entries()) this.factors[c] = before[i]!;
    return ((largest / levels) ** 2 / 12) * passed * square;
  }
}
