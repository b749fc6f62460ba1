/**
 * Models with damaged bytes through every command that reads one. Whatever is in a file, it ends with a result or an error in our words: not with a defect
 * of ours, a crash, a hang or without bound in memory.
 *
 * Other damage in every run; a failure names its seed: `MINMAXQ_SEED=<seed> bun test test/security/fuzz.test.ts` runs that one again.
 * `MINMAXQ_FUZZ_SECONDS=600` searches longer.
 */
import { beforeAll, expect, test } from "bun:test";
import { copyFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { writeModel } from "../../src/model/index.ts";
import { convolution, RECORDED, withoutRules } from "../cli/models.ts";
import { cleanUpAfterwards, folder, REAL, succeeded } from "../cli/support.ts";
import { everything } from "../model/everything.ts";
import { RECURSIVE, sparse } from "./hostile-models.ts";

cleanUpAfterwards();

const SECONDS = Number(process.env.MINMAXQ_FUZZ_SECONDS ?? 15);
const SEED = process.env.MINMAXQ_SEED;
/** Seconds without a new seed after which a case hangs. LiteRT's trial of a model with a loop may take a minute. */
const SILENCE = 90;
/** Seeds of a process. */
const SHARE = 100_000;

const cwd = folder();
const at = (name: string) => join(cwd, name);

beforeAll(async () => {
  await writeModel(convolution(), at("base-float.tflite"), { dialect: "tflite" });
  await writeModel(convolution(RECORDED), at("base-recorded.circle"), { dialect: "circle" });
  await writeModel(convolution(RECORDED), at("base-recorded.tflite"), { dialect: "tflite" });
  await writeModel(withoutRules(), at("base-custom.circle"), { dialect: "circle" });
  for (const dialect of ["circle", "tflite"] as const)
    await writeModel(everything(dialect), at(`base-everything.${dialect}`), { dialect });
  await writeModel(RECURSIVE.if!(), at("base-if.tflite"), { dialect: "tflite" });
  await writeModel(sparse(16, 8), at("base-sparse.tflite"), { dialect: "tflite" });
  await succeeded(["quantize", "base-recorded.circle", "-o", "base-q8.circle"], { cwd });
  await succeeded(["quantize", "base-float.tflite", "--data", "random:2", "-o", "base-int8.tflite"], { cwd });
  await succeeded(["quantize", "base-float.tflite", "--scheme", "dynamic-int8", "-o", "base-dynamic.tflite"], { cwd });
  await succeeded(["quantize", "base-recorded.circle", "--scheme", "int16", "-o", "base-q16.circle"], { cwd });
  copyFileSync(REAL, at("face.tflite"));
});

test(
  `damaged models, ${SEED === undefined ? `${SECONDS} s` : `seed ${SEED}`}`,
  async () => {
    expect(readdirSync(cwd).filter((name) => name.startsWith("base-")).length).toBeGreaterThanOrEqual(10);
    const first = SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(SEED);
    const child = Bun.spawn(
      [
        process.execPath,
        "run",
        join(import.meta.dir, "fuzz-child.ts"),
        cwd,
        String(first),
        SEED === undefined ? String(SHARE) : "1",
      ],
      { stdout: "pipe", stderr: "pipe", env: { ...process.env, MINMAXQ_THREADS: "1" } },
    );
    let last = "nothing";
    let seen = 0;
    const defects: string[] = [];
    let hung: string | undefined;
    let stopped = false;
    let timer: Timer | undefined;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        hung = last;
        child.kill("SIGKILL");
      }, SILENCE * 1000);
    };
    wait();
    const until = performance.now() + SECONDS * 1000;
    const decoder = new TextDecoder();
    let rest = "";
    for await (const piece of child.stdout) {
      wait();
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (line.startsWith("seed ")) {
          last = line;
          seen++;
        } else if (line.startsWith("defect ")) defects.push(`${last}: ${line}`);
        else if (line === "end") stopped = true;
      }
      if (SEED === undefined && performance.now() > until && !stopped) {
        stopped = true;
        child.kill("SIGKILL");
      }
    }
    await child.exited;
    clearTimeout(timer);
    console.log(`fuzz: ${seen} cases from seed ${first}`);
    expect(hung).toBeUndefined();
    expect(stopped ? undefined : `it crashed in ${last}: ${await new Response(child.stderr).text()}`).toBeUndefined();
    expect(defects).toEqual([]);
    expect(seen).toBeGreaterThan(SEED === undefined ? 20 : 0);
  },
  (SECONDS + SILENCE + 60) * 1000,
);
