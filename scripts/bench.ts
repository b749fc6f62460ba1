/**
 * `bun run bench [SIZE…]`: quantizing a model against copying its file.
 *
 *     bun run bench              models of 100 MB and 1 GB
 *     bun run bench 300MB        or of any other size
 *
 * The same machine, the same disk, the same run: after one round to warm the page cache, `cp` and minmaxq take turns, and
 * medians are compared. Outputs are removed between runs, so that both always write a new file. Models have recorded
 * ranges; the job is the drop-in's `--quantize_with_minmax float32 uint8 channel`, in the compiled executable.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { compileExecutable, generate } from "../build.ts";
import { generateModel, parseSize } from "./generate-model.ts";

const ROUNDS = 9;
const JOB = ["circle-quantizer", "--quantize_with_minmax", "float32", "uint8", "channel"];
const TIME = "/usr/bin/time";

interface Figures {
  cp: number;
  minmaxq: number;
  /** Bytes. */
  peak: number;
  input: number;
  output: number;
}

/** Runs a command to its end and gives the seconds. Throws when it fails. */
function seconds(command: string[]): number {
  const start = performance.now();
  const { exitCode, stderr } = Bun.spawnSync(command, { stdout: "ignore", stderr: "pipe" });
  const elapsed = (performance.now() - start) / 1000;
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit code ${exitCode}\n${stderr}`);
  return elapsed;
}

/**
 * Peak resident memory of a command, in bytes. By GNU time where it is installed: Linux counts the memory of whoever
 * starts a process as the process's own peak, and Bun has more than time has.
 */
function peakMemory(command: string[], folder: string): number {
  if (process.platform === "linux" && existsSync(TIME)) {
    const file = join(folder, "peak");
    seconds([TIME, "-f", "%M", "-o", file, ...command]);
    return Number(readFileSync(file, "utf8")) * 1024;
  }
  return Bun.spawnSync(command, { stdout: "ignore", stderr: "ignore" }).resourceUsage.maxRSS;
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

async function measure(size: number, folder: string): Promise<Figures> {
  const input = join(folder, "model.circle");
  const output = join(folder, "output");
  await generateModel(size, input);
  // What is still on its way to the disk would slow down whoever comes first.
  if (process.platform !== "win32") seconds(["sync"]);
  const commands = {
    cp: ["cp", input, output],
    minmaxq: [join("dist", "minmaxq"), ...JOB, input, output],
  };
  const times: Record<keyof typeof commands, number[]> = { cp: [], minmaxq: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    for (const name of ["cp", "minmaxq"] as const) {
      const elapsed = seconds(commands[name]);
      if (round > 0) times[name].push(elapsed);
      if (round < ROUNDS || name === "cp") rmSync(output);
    }
  }
  const outputSize = statSync(output).size;
  rmSync(output);
  const peak = peakMemory(commands.minmaxq, folder);
  rmSync(output);
  const figures = { cp: median(times.cp), minmaxq: median(times.minmaxq), peak, input: statSync(input).size };
  rmSync(input);
  return { ...figures, output: outputSize };
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
const row = (cells: string[]) => cells.map((cell, i) => (i ? cell.padStart(11) : cell.padEnd(9))).join("");

if (import.meta.main) {
  const words = process.argv.slice(2);
  const sizes = (words.length > 0 ? words : ["100MB", "1GB"]).map(parseSize);
  process.chdir(join(import.meta.dir, ".."));
  if (!existsSync("dist/minmaxq")) {
    await generate();
    await compileExecutable();
  }
  const folder = mkdtempSync(join("dist", "bench-"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      rmSync(folder, { recursive: true, force: true });
      process.exit(1);
    });
  }
  try {
    console.log(`median of ${ROUNDS} runs, page cache warm; uint8, channel-wise, recorded ranges\n`);
    console.log(row(["model", "result", "cp", "minmaxq", "minmaxq/cp", "GB/s", "peak RSS"]));
    for (const size of sizes) {
      const { cp, minmaxq, peak, input, output } = await measure(size, folder);
      const times = [cp, minmaxq].map((time) => `${time.toFixed(3)} s`);
      const speed = (input / 1e9 / minmaxq).toFixed(2);
      console.log(
        row([megabytes(input), megabytes(output), ...times, (minmaxq / cp).toFixed(2), speed, megabytes(peak)]),
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
