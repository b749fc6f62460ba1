/** How far work is, how fast it goes and how long it will take, in words. Knows nothing of screens. */
import type { Unit } from "../base/output.ts";
import { sizeText } from "../base/text.ts";

/** Seconds of work that a rate is worth telling from. */
const SETTLED = 1;

/** One work with a known total. */
export class Pace {
  private first: { readonly at: number; readonly done: number } | undefined;

  constructor(
    private readonly unit: Unit | undefined,
    private readonly now: () => number = () => performance.now() / 1000,
  ) {}

  /**
   * `12/100 samples, part 2 of 3, 3.1/s, 28 s left`; `1.2 of 6.0 GB, 600 MB/s, 8 s left`; of work whose end is all that is known of it
   * (total 1) `12 s so far`. Rate and time left follow from all since the first call.
   */
  text(done: number, total: number, part?: string): string {
    this.first ??= { at: this.now(), done };
    const seconds = this.now() - this.first.at;
    if (total <= 1) return seconds < SETTLED ? "" : `${durationText(seconds)} so far`;
    const rate = seconds < SETTLED ? 0 : (done - this.first.done) / seconds;
    return [
      this.amount(done, total),
      ...(part === undefined ? [] : [part]),
      ...(rate > 0 ? [this.rateText(rate), `${durationText((total - done) / rate)} left`] : []),
    ].join(", ");
  }

  private amount(done: number, total: number): string {
    if (this.unit === "bytes") return `${sizeText(done)} of ${sizeText(total)}`;
    return `${done}/${total}${this.unit === undefined ? "" : ` ${this.unit}`}`;
  }

  private rateText(rate: number): string {
    if (this.unit === "bytes") return `${sizeText(Math.round(rate))}/s`;
    return rate >= 0.1 ? `${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s` : `${durationText(1 / rate)} each`;
  }
}

/** "8 s", "2 min 5 s", "3 h 20 min". */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.ceil(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
