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

/** The factor of a channel's place when that of `changed` is `factor`; −1 is no place, and stays. */
function factorAt(s: Float64Array, place: number, changed: number, factor: number): number {
  if (place < 0) return 1;
  return place === changed ? factor : s[place]!;
}

/** Channels by place. */
function columnsBy(places: Int32Array): Map<number, number[]> {
  const by = new Map<number, number[]>();
  for (const [c, place] of places.entries()) by.set(place, [...(by.get(place) ?? []), c]);
  return by;
}

class TensorPart implements Part {
  noise: number;

  constructor(
    private readonly of: Tensor,
    private readonly s: Float64Array,
  ) {
    this.noise = this.try(-1, 1);
  }

  try(changed: number, factor: number): number {
    const { places, min, max, norms, rounding } = this.of;
    let [low, high, passed] = [0, 0, 0];
    for (let c = 0; c < places.length; c++) {
      const place = places[c]!;
      const by = factorAt(this.s, place, changed, factor);
      const [least, largest] = [min[c]! / by, max[c]! / by];
      if (least < low) low = least;
      if (largest > high) high = largest;
      passed += by * by * norms[c]!;
    }
    const range = rounding.symmetric ? 2 * Math.max(-low, high) : high - low;
    return ((range / rounding.levels) ** 2 / 12) * passed;
  }

  take(): void {}
}

class ConsumerPart implements Part {
  noise: number;
  private peaks: Float64Array;
  private next: Float64Array;
  private readonly columns: ReadonlyMap<number, readonly number[]>;

  constructor(
    private readonly of: Consumer,
    private readonly s: Float64Array,
  ) {
    const { places, peaks } = of;
    const rows = peaks.length / places.length;
    this.columns = columnsBy(places);
    this.peaks = Float64Array.from({ length: rows }, (_, row) => this.peakOf(row, -1, 1));
    this.next = this.peaks.slice();
    this.noise = this.noiseOf(this.peaks, -1, 1);
  }

  try(place: number, factor: number): number {
    const { places, peaks } = this.of;
    const columns = this.columns.get(place)!;
    for (let row = 0; row < this.peaks.length; row++) {
      const before = this.peaks[row]!;
      let largest = 0;
      for (const c of columns) largest = Math.max(largest, peaks[row * places.length + c]!);
      // Where the channel is not the row's largest, and does not become it, nothing changes.
      if (largest * factor >= before) this.next[row] = largest * factor;
      else if (largest * this.s[place]! < before) this.next[row] = before;
      else this.next[row] = this.peakOf(row, place, factor);
    }
    return this.noiseOf(this.next, place, factor);
  }

  take(): void {
    [this.peaks, this.next] = [this.next, this.peaks];
  }

  private peakOf(row: number, changed: number, factor: number): number {
    const { places, peaks } = this.of;
    let peak = 0;
    for (let c = 0, at = row * places.length; c < places.length; c++, at++) {
      const value = peaks[at]! * factorAt(this.s, places[c]!, changed, factor);
      if (value > peak) peak = value;
    }
    return peak;
  }

  private noiseOf(peaks: Float64Array, changed: number, factor: number): number {
    const { places, squares, readers, rounding } = this.of;
    let [rows, largest, read] = [0, 0, 0];
    for (const peak of peaks) {
      rows += peak * peak;
      if (peak > largest) largest = peak;
    }
    if (!rounding.perChannel) rows = readers * largest * largest;
    for (let c = 0; c < places.length; c++) read += squares[c]! / factorAt(this.s, places[c]!, changed, factor) ** 2;
    return (rows / rounding.levels ** 2 / 12) * read;
  }
}

class ProducerPart implements Part {
  noise: number;

  constructor(
    private readonly of: Producer,
    private readonly s: Float64Array,
  ) {
    this.noise = this.try(-1, 1);
  }

  try(changed: number, factor: number): number {
    const { places, peaks, norms, square, levels } = this.of;
    let [largest, passed] = [0, 0];
    for (let o = 0; o < places.length; o++) {
      const place = places[o]!;
      const by = factorAt(this.s, place, changed, factor);
      largest = Math.max(largest, peaks[o]! / by);
      passed += by * by * norms[o]!;
    }
    return ((largest / levels) ** 2 / 12) * passed * square;
  }

  take(): void {}
}
