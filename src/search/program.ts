/**
 * A user's own score: a program that gets two folders, with what the float model and a quantized one make of the samples, and prints a
 * number; the larger the better. Files are `SAMPLE.OUTPUT.npy`, numbers from 0: `0003.1.npy` is the second output of the fourth sample.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MinmaxqError } from "../base/errors.ts";
import { removeTemporary, temporaryPath } from "../base/temporary.ts";
import type { Bench } from "./bench.ts";
import type { ModelAt, OutputValues } from "./worker.ts";

export class Program {
  private floats: string | undefined;

  /** `beside`: where folders for the time being go. */
  constructor(
    private readonly command: string,
    private readonly bench: Bench,
    private readonly beside: string,
  ) {}

  /** The program's score of a model. Throws a MinmaxqError where it fails or prints no number. */
  async score(model: ModelAt): Promise<number> {
    this.floats ??= this.write(await this.bench.values());
    const folder = this.write(await this.bench.values(model));
    try {
      const child = Bun.spawn(["/bin/sh", "-c", `${this.command} "$1" "$2"`, "sh", this.floats, folder], {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [out, err, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      if (code !== 0)
        throw this.failed(`ended with code ${code}${err.trim() ? ` (${err.trim().split("\n").at(-1)})` : ""}`);
      const last = out.trim().split(/\s+/).at(-1) ?? "";
      const score = Number(last);
      if (last === "" || Number.isNaN(score))
        throw this.failed(`printed "${last}" as its last word, which is no number`);
      return score;
    } finally {
      removeTemporary(folder);
    }
  }

  close(): void {
    if (this.floats !== undefined) removeTemporary(this.floats);
  }

  private failed(what: string): MinmaxqError {
    return new MinmaxqError(
      `--metric ${this.command}: ${what}; it is called with two folders of .npy files and has to print a number`,
      { code: "metric-failed" },
    );
  }

  private write(values: OutputValues): string {
    const folder = temporaryPath(this.beside);
    mkdirSync(folder);
    for (const [sample, outputs] of values.entries())
      for (const [output, numbers] of outputs.entries())
        writeFileSync(
          join(folder, `${String(sample).padStart(4, "0")}.${output}.npy`),
          npy(numbers, this.bench.shapes[output]!),
        );
    return folder;
  }
}

/** A .npy file (NumPy's format 1.0): magic, length of the header, header padded to 64 bytes, values. */
function npy(numbers: Float32Array | Float64Array, shape: readonly number[]): Uint8Array {
  const count = shape.reduce((all, each) => all * each, 1);
  const dims = count === numbers.length ? shape : [numbers.length];
  const type = numbers instanceof Float32Array ? "<f4" : "<f8";
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${dims.join(", ")}${dims.length === 1 ? "," : ""}), }`;
  const length = Math.ceil((text.length + 11) / 64) * 64 - 10;
  const head = new Uint8Array(10 + length).fill(0x20);
  head.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]);
  head.set(new TextEncoder().encode(text), 10);
  head[head.length - 1] = 0x0a;
  const values = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  const file = new Uint8Array(head.length + values.length);
  file.set(head);
  file.set(values, head.length);
  return file;
}
