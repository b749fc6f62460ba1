/**
 * Speed of the kernels on values that already lie in WASM memory, and that as a share of a memory copy's.
 *
 *     bun run scripts/bench-kernels.ts [NAME…]      only those whose names contain one of the words
 *
 * scripts/bench/kernels.ts says what is compared. `bun run bench kernels` measures the same and compares it with what was kept.
 */
import { KERNELS, KernelBench, MIB } from "./bench/kernels.ts";
import { median, ratios } from "./bench/statistics.ts";

const SIZES = [1, 64];
const ROUNDS = 9;

const words = process.argv.slice(2);
const wanted = KERNELS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
const benches = SIZES.map((size) => new KernelBench(size * MIB));

console.log(`${"GB/s, share of a copy".padEnd(36)}${SIZES.map((size) => `${size} MiB`.padStart(18)).join("")}`);
for (const kernel of wanted) {
  const cells = benches.map((bench) => {
    const { sides, bytes } = bench.measure(kernel, ROUNDS);
    const speed = (bytes! / Math.min(...sides!.bottom) / 1e6).toFixed(2);
    const share = (100 * median(ratios(sides!).ofPairs)).toFixed(0);
    return `${speed} ${share.padStart(4)} %`.padStart(18);
  });
  console.log(kernel.name.padEnd(36) + cells.join(""));
}
