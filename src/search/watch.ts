/** What is seen of a tensor on samples that did not set its range: how much of it lies outside, and how even its channels are. */

/** A tensor and its range. */
export interface Band {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Between two integers. */
  readonly step: number;
}

export interface Looked {
  readonly name: string;
  /** Share of the elements outside the range, 0 to 1. */
  readonly clipped: number;
  /**
   * Share of the squared error that clipping has, 0 to 1; the rest is rounding, taken as step² / 12 for each element: what evenly spread
   * values have.
   */
  readonly clipping: number;
  /** The median channel's largest size as a share of the largest channel's, along the last axis; 1 where there is one channel. */
  readonly evenness: number;
}

export class Watch {
  private elements = 0;
  private outside = 0;
  private lost = 0;
  private peaks = new Float64Array(0);

  constructor(private readonly band: Band) {}

  see(values: ArrayLike<number>, shape: readonly number[]): void {
    const { min, max } = this.band;
    const channels = shape.length > 1 ? shape.at(-1)! : 1;
    if (this.peaks.length === 0) this.peaks = new Float64Array(channels);
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value < min || value > max) {
        this.outside++;
        this.lost += (value < min ? min - value : value - max) ** 2;
      }
      const size = Math.abs(value);
      const channel = i % channels;
      if (size > this.peaks[channel]!) this.peaks[channel] = size;
    }
    this.elements += values.length;
  }

  result(): Looked {
    const { name, step } = this.band;
    const rounding = (this.elements * step ** 2) / 12;
    const sorted = this.peaks.toSorted();
    const top = sorted.at(-1) ?? 0;
    return {
      name,
      clipped: this.elements === 0 ? 0 : this.outside / this.elements,
      clipping: this.lost > 0 ? this.lost / (this.lost + rounding) : 0,
      evenness: top > 0 ? sorted[Math.floor((sorted.length - 1) / 2)]! / top : 1,
    };
  }
}
