/** Minimum and maximum of tensors where they lie: the kernel of kernels/observe.ts over LiteRT's memory. */
import { readFileSync } from "node:fs";
import wasmPath from "../../build/observe.wasm" with { type: "file" };

export interface InPlaceRange {
  readonly min: number;
  readonly max: number;
  /** Whether any value was not passed over; if not, min and max say nothing. */
  readonly seen: boolean;
}

/** Looks at `count` floats at `pointer` (bytes) of the memory; with `finite` ±inf counts as ±FLT_MAX. Reference §7.3. */
export type InPlaceObserver = (pointer: number, count: number, finite: boolean) => InPlaceRange;

interface Exports {
  observe(pointer: number, count: number): number;
  observefinite(pointer: number, count: number): number;
  smallest(): number;
  largest(): number;
}

/** An observer over a memory. Memory may grow meanwhile. */
export function observerOver(memory: WebAssembly.Memory): InPlaceObserver {
  const module = new WebAssembly.Module(readFileSync(wasmPath));
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const kernel = instance.exports as unknown as Exports;
  return (pointer, count, finite) => {
    let seen = kernel.observe(pointer, count) !== 0;
    let [min, max] = [kernel.smallest(), kernel.largest()];
    const infinite = min === Number.NEGATIVE_INFINITY || max === Number.POSITIVE_INFINITY;
    if (finite && infinite) {
      seen = kernel.observefinite(pointer, count) !== 0;
      [min, max] = [kernel.smallest(), kernel.largest()];
    }
    return { min, max, seen };
  };
}
