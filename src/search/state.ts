/**
 * What a search has measured, in a file: the same command goes on from there, and measures nothing twice. Its key is made of all that
 * results depend on (model, ranges, samples, settings), so another search begins anew.
 */

import { existsSync, renameSync, writeFileSync } from "node:fs";
import { FileError, reasonOf } from "../base/errors.ts";
import { readJson } from "../base/read-text.ts";
import { removeTemporary, temporaryDone, temporaryPath } from "../base/temporary.ts";
import type { Noise } from "./bench.ts";

export interface Measured {
  readonly bytes: number;
  /** Noise of each output. */
  readonly noises: readonly Noise[];
  /** What the user's own program said; absent without one, and where it was not asked. */
  readonly score?: number;
  /** The same on the samples that check; absent where they were not asked. */
  readonly checked?: readonly Noise[];
  readonly checkScore?: number;
}

interface Stored {
  readonly minmaxqTune: 1;
  readonly key: string;
  readonly measured: Readonly<Record<string, StoredMeasured>>;
}

/** JSON has no infinity. */
type StoredNoises = readonly (number | null)[];
type StoredMeasured = Omit<Measured, "noises" | "checked"> & {
  readonly noises: StoredNoises;
  readonly checked?: StoredNoises;
};

function stored({ noises, checked, ...rest }: Measured): StoredMeasured {
  const finite = (all: readonly Noise[]) => all.map((noise) => (Number.isFinite(noise) ? noise : null));
  return { ...rest, noises: finite(noises), ...(checked && { checked: finite(checked) }) };
}

function restored({ noises, checked, ...rest }: StoredMeasured): Measured {
  const all = (some: StoredNoises) => some.map((noise) => noise ?? Number.POSITIVE_INFINITY);
  return { ...rest, noises: all(noises), ...(checked && { checked: all(checked) }) };
}

export class State {
  private readonly measured = new Map<string, Measured>();
  /** How many measurements were there already. */
  readonly found: number;

  /** Throws a FileError for a file that is none of ours: it is not to be replaced. */
  constructor(
    readonly path: string,
    private readonly key: string,
  ) {
    const file = existsSync(path) ? read(path) : undefined;
    if (file?.key === key)
      for (const [choice, measured] of Object.entries(file.measured)) this.measured.set(choice, restored(measured));
    this.found = this.measured.size;
  }

  get(choice: string): Measured | undefined {
    return this.measured.get(choice);
  }

  get size(): number {
    return this.measured.size;
  }

  /** Notes a measurement, at once in the file, too. Throws a FileError. */
  set(choice: string, measured: Measured): void {
    this.measured.set(choice, measured);
    const file: Stored = {
      minmaxqTune: 1,
      key: this.key,
      measured: Object.fromEntries([...this.measured].map(([name, each]) => [name, stored(each)])),
    };
    const temporary = temporaryPath(this.path);
    try {
      writeFileSync(temporary, `${JSON.stringify(file)}\n`);
      renameSync(temporary, this.path);
      temporaryDone(temporary);
    } catch (error) {
      removeTemporary(temporary);
      throw new FileError(this.path, `cannot be written (${reasonOf(error)}); give --state another path`, {
        cause: error,
      });
    }
  }
}

function read(path: string): Stored {
  const value = readJson(path, {
    most: 1024,
    what: "is no state of a search",
    remedy: "remove it, or give --state another path",
  });
  if ((value as Partial<Stored> | null)?.minmaxqTune === 1) return value as Stored;
  throw new FileError(path, "is no state of a search; remove it, or give --state another path");
}
