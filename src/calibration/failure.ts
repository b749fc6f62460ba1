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
