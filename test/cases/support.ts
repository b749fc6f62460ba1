/** Helpers of the tests on the folders of ../shared/cases. */
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { bytesOf, npy } from "../calibration/support.ts";
import { succeeded } from "../cli/support.ts";

/** Where the folders are, beside the checkout; they need not be there. */
export const CASES = resolve(import.meta.dir, "../../../shared/cases");

export const PRESENT = existsSync(CASES);
if (!PRESENT) console.log("../shared/cases is not there: the tests on its models are skipped");

/** A file of the folder of that number. */
export function caseFile(number: string, name: string): string {
  const found = readdirSync(CASES).find((each) => each.startsWith(`${number}-`));
  return join(CASES, found ?? number, name);
}

/** An `.npy` file of made-up numbers that numpy makes as well: a linear congruential generator (1103515245, 12345, 2^31) from 1. */
export async function samples(cwd: string, shape: readonly number[], low = -1, high = 1): Promise<string> {
  let state = 1;
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    // In two halves: the product is larger than doubles are exact.
    state = ((Math.imul(state, 1103515245) >>> 0) + 12345) % 2 ** 31;
    return low + (high - low) * (state / 2 ** 31);
  });
  const path = join(cwd, "samples.npy");
  await Bun.write(path, npy("<f4", [...shape], bytesOf(values)));
  return path;
}

export interface Compared {
  readonly ran: string;
  /** By output, in dB; Infinity where both are equal. */
  readonly sqnr: readonly number[];
}

/** What `compare` says. */
export async function compared(a: string, b: string, data: string, cwd: string): Promise<Compared> {
  const { out } = await succeeded(["compare", a, b, "--data", data, "--json"], { cwd });
  const { ran, outputs } = JSON.parse(out) as {
    ran: string;
    outputs: { metrics: { sqnr: number | string | null; mse: number } }[];
  };
  return {
    ran,
    sqnr: outputs.map(({ metrics }) => (metrics.mse === 0 ? Number.POSITIVE_INFINITY : Number(metrics.sqnr))),
  };
}
