/** What went wrong in a Worker that runs records, as plain data. */
import { MinmaxqError, reasonOf } from "../base/errors.ts";

export interface Failure {
  /** The record that was being run. */
  readonly record?: number;
  /** Which of the Worker's models failed: a link of its chain, or a side of a comparison. */
  readonly place?: number;
  /** Which of that model's operators, where it is run operator by operator. */
  readonly step?: number;
  readonly reason: string;
  /** A file or disk failed, not the record. */
  readonly ofMachine?: boolean;
}

/** Code of the error for a model whose declared sizes LiteRT contradicts: it can be run operator by operator. */
export const SIZES_CONTRADICTED = "sizes-contradicted";

/** Whether LiteRT refuses a size that the file declares, or a delegate cannot follow one. */
export function contradictsSizes(reason: string): boolean {
  return /Custom allocation is too small|failed to reshape runtime|custom allocation for output/i.test(reason);
}

/** An error that says which of a Worker's models failed; the main thread knows what they stand for. */
export class PlacedError extends Error {
  constructor(
    readonly place: number,
    cause: unknown,
  ) {
    super(reasonOf(cause), { cause });
  }
}

/** What of an error is sent to the main thread. */
export function failureOf(error: unknown, record: number | undefined): Failure {
  const place = error instanceof PlacedError ? error.place : undefined;
  const step = error instanceof Error && error.cause instanceof PlacedError ? error.cause.place : undefined;
  return { record, place, step, reason: reasonOf(error), ofMachine: error instanceof MinmaxqError };
}
