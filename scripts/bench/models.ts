/** Generated models, in a folder below dist/ that is gone when the benchmark ends, however it ends. */
import { existsSync, mkdtempSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { sizeText } from "../../src/base/text.ts";
import { openModel } from "../../src/model/index.ts";
import { generateModel } from "../generate-model.ts";

/** A figure that cannot be measured here; that is no failure. */
export class Skipped extends Error {}

/** Of the model's size: itself, a copy of it, and something for everybody else on that disk. */
const ROOM = 2.2;
const FLATBUFFER_LIMIT = 2 ** 31 - 1;

export class Models {
  readonly folder: string;
  private readonly paths = new Map<number, string>();

  constructor(parent: string) {
    this.folder = mkdtempSync(join(parent, "bench-"));
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => {
        this.remove();
        process.exit(1);
      });
    }
  }

  /** Where outputs go. */
  get output(): string {
    return join(this.folder, "output.circle");
  }

  /** The model of about `size` bytes, generated when it is asked for first. */
  async model(size: number): Promise<string> {
    const known = this.paths.get(size);
    if (known !== undefined) return known;
    const { bavail, bsize } = statfsSync(this.folder);
    const free = Number(bavail) * Number(bsize);
    if (free < size * ROOM) throw new Skipped(`${sizeText(size * ROOM)} of disk needed, ${sizeText(free)} free`);
    const path = join(this.folder, `recorded-${size}.circle`);
    await generateModel(size, path);
    if (statSync(path).size > FLATBUFFER_LIMIT) requireExternal(path);
    this.paths.set(size, path);
    return path;
  }

  /** A small .tflite model of about `size` bytes. */
  async tflite(size: number): Promise<string> {
    const path = join(this.folder, `generated-${size}.tflite`);
    if (!existsSync(path)) await generateModel(size, path);
    return path;
  }

  /** Gives the disk back before the end. */
  forget(size: number): void {
    rmSync(this.paths.get(size) ?? "", { force: true });
    this.paths.delete(size);
  }

  removeOutput(): void {
    rmSync(this.output, { force: true });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Past 2 GiB weights must lie behind the FlatBuffer, else something else would be measured than is claimed. */
function requireExternal(path: string): void {
  const opened = openModel(path);
  try {
    if (!opened.external) throw new Error(`${path}: its weights do not lie behind the FlatBuffer`);
  } finally {
    opened.close();
  }
}
