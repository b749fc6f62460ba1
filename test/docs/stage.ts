/**
 * The folder that a page's commands run in. Names in docs say what they are (`face.int8.tflite`, `samples.npz`, `model.q8.circle`): what a
 * command reads and no earlier one has written is made here, by its name.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { zipSync } from "fflate";
import { encodePng } from "../../src/media/png.ts";
import { openModel } from "../../src/model/index.ts";
import { bytesOf, npy } from "../calibration/support.ts";
import { FLOATS, write } from "../cli/models.ts";
import { type Ended, minmaxq, REAL } from "../cli/support.ts";
import { takenApart } from "../helpers/implants.ts";
import { GraphBuilder, ModelBuilder, model } from "../helpers/models.ts";
import { SMALL } from "../media/pictures.ts";
import { modelWith } from "../model/metadata.ts";
import { type Parameters, pair } from "../passes/onnx/support.ts";
import { signature } from "../signatures/models.ts";

/**
 * What made models are: with one graph, with signatures `encode` and `decode`, or with ONNX's operators. `face…` is the
 * real face detector, but not in batches, whose samples are for all models.
 */
export type World = "plain" | "batch" | "signatures" | "onnx";

const MODEL = /\.(tflite|circle)$/;
const SAMPLES = /\.(np[yz]|h5|hdf5)$/;
const COUNT = 4;
/** In the example with ONE's tools, whose samples are the face detector's. */
const ONES = /^(in|fake|recorded|out|check)\.circle$/;

/** Layers that the tutorial speaks of, in a stand-in for its model. */
const HAND: Record<string, string> = { conv2d_1: "Identity_1", concat: "Identity_3" };

/**
 * `image [1,16,16,3]` ─▶ CONV_2D conv1 ─▶ RELU conv1/Relu ─▶ CONV_2D conv2d_1 ─▶ CONCATENATION concat, of a graph that is called by `prefix`;
 * `called`: other names for some.
 */
function small(builder: ModelBuilder, prefix: string, called: Record<string, string> = {}) {
  const name = (each: string) => (each === "" ? "" : `${prefix}${called[each] ?? each}`);
  const graph = new GraphBuilder(builder);
  const conv = (from: string, to: string, channels: number) =>
    graph
      .constant(name(`${to}/w`), [4, 3, 3, channels], FLOATS(36 * channels))
      .constant(name(`${to}/b`), [4], FLOATS(4))
      .tensor(name(to), [1, 16, 16, 4])
      .operator("CONV_2D", [name(from), name(`${to}/w`), name(`${to}/b`)], [name(to)], {
        type: "Conv2DOptions",
        value: { strideW: 1, strideH: 1 },
      });
  graph.tensor(name("image"), [1, 16, 16, 3]);
  conv("image", "conv1", 3);
  graph.tensor(name("conv1/Relu"), [1, 16, 16, 4]).operator("RELU", [name("conv1")], [name("conv1/Relu")]);
  conv("conv1/Relu", "conv2d_1", 4);
  graph
    .tensor(name("concat"), [1, 16, 16, 8])
    .operator("CONCATENATION", [name("conv1/Relu"), name("conv2d_1")], [name("concat")], {
      type: "ConcatenationOptions",
      value: { axis: 3 },
    });
  return graph.graph([name("image")], [name("concat")]);
}

async function writeWorld(world: World, path: string, called?: Record<string, string>): Promise<void> {
  if (world === "onnx") {
    const parameters: Parameters = { dtype: "UINT8", scale: [0.02], zeroPoint: [128] };
    const made = model(["x"], ["abs.dq"], (graph) => {
      graph.tensor("x", [1, 4]);
      const from = pair(graph, "x", [1, 4], parameters);
      graph.tensor("abs", [1, 4]).operator("ABS", [from], ["abs"]);
      pair(graph, "abs", [1, 4], parameters);
      return graph;
    });
    await write(made, path);
    return;
  }
  const builder = new ModelBuilder();
  // Pictures become 0…1.
  const about = builder.buffers.push(modelWith({ mean: [0], std: [255] }).buffers![1]!) - 1;
  const metadata = [{ name: "TFLITE_METADATA", buffer: about }];
  if (world !== "signatures") await write({ ...builder.model(small(builder, "", called)), metadata }, path);
  else {
    const graphs = [small(builder, ""), small(builder, "d/")];
    const at = (graph: number, name: string) => graphs[graph]!.tensors!.findIndex((each) => each.name === name);
    await write(
      {
        ...builder.model(...graphs),
        metadata,
        signatureDefs: [
          signature("encode", 0, [["image", at(0, "image")]], [["codes", at(0, "concat")]]),
          signature("decode", 1, [["image", at(1, "d/image")]], [["out", at(1, "d/concat")]]),
        ],
      },
      path,
    );
  }
}

export class Stage {
  readonly cwd = mkdtempSync(join(tmpdir(), "minmaxq-docs-"));
  readonly home = join(this.cwd, ".home");
  /** Samples that were made, by name: for a command with another model they are made anew. */
  private readonly fitting = new Set<string>();

  constructor(
    readonly world: World,
    /** Files of the page itself. */
    texts: Readonly<Record<string, string>>,
  ) {
    for (const each of [".zfunc", ".config/fish/completions", ".local/share/bash-completion/completions"])
      mkdirSync(join(this.home, each), { recursive: true });
    mkdirSync(join(this.cwd, "usr/local/share/man/man1"), { recursive: true });
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(this.cwd, name), text);
  }

  path(name: string): string {
    return join(this.cwd, name);
  }

  private async run(...args: string[]): Promise<void> {
    const { code, err }: Ended = await minmaxq(args, { cwd: this.cwd, env: { MINMAXQ_THREADS: "1" } });
    if (code !== 0) throw new Error(`the test cannot make a file: minmaxq ${args.join(" ")}: ${err}`);
  }

  /** Makes what a command's words name and what is not there; `written`: those that it writes. */
  async provide(words: readonly string[], written: ReadonlySet<string>): Promise<void> {
    const named = words
      .flatMap((word) => word.split("=").slice(-1))
      .filter((word) => !written.has(word) && !/^[-/~]/.test(word));
    for (const name of named) if (MODEL.test(name) && !/[*?[{]/.test(name)) await this.model(name);
    const fits = named.find((name) => MODEL.test(name) && existsSync(this.path(name)));
    for (const name of named) {
      if (SAMPLES.test(name) || name === "samples/") await this.samples(name, fits);
      else if (/^(photos|pictures|images)\//.test(name)) this.photos(dirname(`${name}.`));
      else if (name === "qparam.json" && !existsSync(this.path(name)) && fits) await this.parts(name, fits);
      else if (name === "why.json" && !existsSync(this.path(name)) && fits) await this.why(fits);
    }
  }

  /** A model by its name: dtypes in it say what it is. */
  async model(name: string): Promise<void> {
    const path = this.path(name);
    if (existsSync(path)) return;
    mkdirSync(dirname(path), { recursive: true });
    const isTflite = name.endsWith(".tflite");
    const base = basename(name);
    const float = this.floatOf(base);
    if (!existsSync(this.path(float))) {
      if (this.isFace(base)) copyFileSync(REAL, this.path(float));
      else await writeWorld(this.world, this.path(float), float === ".hand.tflite" ? HAND : undefined);
    }
    const data = ["--data", `random:${COUNT}`];
    if (/recorded/.test(base)) return this.run("record", float, ...data, "-o", name);
    if (/dynamic/.test(base)) return this.run("quantize", float, "--scheme", "dynamic-int8", "-o", name);
    if (/uint8/.test(base) && isTflite) {
      await this.run("quantize", float, ...data, "-o", ".int8.tflite", "--force");
      return this.run("requantize", ".int8.tflite", "-o", name);
    }
    const scheme = /int16x8/.test(base)
      ? "int16x8"
      : /q16|int16/.test(base)
        ? isTflite
          ? "int16x8"
          : "int16"
        : /uint8|q8|after/.test(base)
          ? isTflite
            ? "int8"
            : "uint8"
          : /int8|mixed|^b\.tflite/.test(base)
            ? "int8"
            : undefined;
    const layer = /mixed/.test(base) ? ["--layer", "conv2d_1=int16x8"] : [];
    if (scheme) return this.run("quantize", float, ...data, "--scheme", scheme, ...layer, "-o", name);
    if (isTflite) return copyFileSync(this.path(float), path);
    return this.run("convert", float, "-o", name);
  }

  /** The float model that a name's model is made of. */
  private floatOf(base: string): string {
    if (this.isFace(base)) return ".face.tflite";
    return this.world === "plain" && base.startsWith("hand") ? ".hand.tflite" : ".small.tflite";
  }

  private isFace(name: string): boolean {
    return this.world === "plain" && (name.startsWith("face") || ONES.test(name));
  }

  /** Samples in the shapes of a model's inputs, or in those of the made one. */
  private async samples(name: string, of: string | undefined): Promise<void> {
    const path = this.path(name);
    if (existsSync(path) && !this.fitting.has(name)) return;
    if (of === undefined) await this.model("model.tflite");
    const inputs = inputsOf(this.path(of ?? "model.tflite"));
    const values = (size: number, sample: number) =>
      FLOATS(size, (i) => ((i * 7919 + sample * 104729) % 2001) / 1000 - 1);
    const stacks = inputs.map(({ name, shape }) => {
      const size = shape.reduce((product, each) => product * each, 1);
      return { name, shape, size, each: Array.from({ length: COUNT }, (_, r) => values(size, r)) };
    });
    const stacked = ({ shape, each }: (typeof stacks)[number]) =>
      npy("<f4", [COUNT, ...shape.slice(1)], Buffer.concat(each.map(bytesOf)));
    this.fitting.add(name);
    mkdirSync(dirname(path), { recursive: true });
    if (name.endsWith("/")) {
      mkdirSync(path, { recursive: true });
      for (const [r, each] of stacks[0]!.each.entries())
        writeFileSync(join(path, `00${r}.npy`), npy("<f4", stacks[0]!.shape, bytesOf(each)));
    } else if (name.endsWith(".npz"))
      writeFileSync(
        path,
        zipSync(Object.fromEntries(stacks.map((each, i) => [`arr_${i}.npy`, stacked(each)])), { level: 0 }),
      );
    else if (name.endsWith(".npy")) writeFileSync(path, stacked(stacks[0]!));
    else {
      const h5 = await import("h5wasm/node");
      await h5.ready;
      const made = new h5.File(path, "w");
      const value = made.create_group("value");
      for (let r = 0; r < COUNT; r++) {
        const group = value.create_group(String(r));
        for (const [i, { shape, each }] of stacks.entries())
          group.create_dataset({ name: String(i), data: each[r]!, shape });
      }
      made.close();
    }
  }

  photos(folder: string): void {
    const path = this.path(folder);
    if (existsSync(path)) return;
    mkdirSync(path, { recursive: true });
    for (let i = 0; i < 3; i++)
      writeFileSync(
        join(path, `${i}.png`),
        encodePng(
          8,
          8,
          Uint8Array.from({ length: 192 }, (_, k) => (k * 37 * (i + 1)) % 256),
        ),
      );
    for (const [i, { base64 }] of SMALL.filter(({ name }) => /^(progressive )?JPEG$/.test(name)).entries())
      writeFileSync(join(path, `photo${i}.jpg`), Buffer.from(base64, "base64"));
  }

  /** What q-implant takes for a float model: parameters and integers that quantizing found. */
  private async parts(name: string, of: string): Promise<void> {
    await this.run("one-quantize", "-i", of, "-o", ".parts.circle");
    writeFileSync(this.path(name), JSON.stringify(takenApart(this.path(".parts.circle"), this.cwd)));
  }

  private async why(of: string): Promise<void> {
    const float = this.floatOf(basename(of));
    await this.run("quantize", float, "--data", `random:${COUNT}`, "--explain", "why.json", "-o", of, "--force");
  }

  /** Folders of models and lists of jobs; `isBroken`: with a file that is no model. */
  async batches(isBroken: boolean): Promise<void> {
    for (const name of [
      "models/face.tflite",
      "models/hand_lm.tflite",
      "models/hand_landmark_lite.tflite",
      "models/large/big.tflite",
      "more/sub/iris_lm.tflite",
      "recorded.circle",
      "face.tflite",
      "iris.tflite",
    ])
      await this.model(name);
    await this.samples("samples.npz", "models/face.tflite");
    if (!existsSync(this.path("special.json"))) writeFileSync(this.path("special.json"), SPECIAL);
    if (!existsSync(this.path("jobs.json"))) writeFileSync(this.path("jobs.json"), JOBS);
    mkdirSync(this.path("models/old"), { recursive: true });
    const broken = this.path("models/old/broken.tflite");
    if (isBroken) writeFileSync(broken, "hello\n");
    else if (existsSync(broken)) rmSync(broken);
  }
}

const SPECIAL = JSON.stringify([
  { match: "*", data: "samples.npz" },
  { match: "hand*", scheme: "int16x8" },
]);
const JOBS = JSON.stringify({
  defaults: { data: "samples.npz", scheme: "int8" },
  jobs: ["face.tflite", { model: "iris.tflite", output: "iris.int8.tflite" }],
});

function inputsOf(path: string): { name: string; shape: number[] }[] {
  const opened = openModel(path);
  try {
    const { tensors, inputs } = opened.model.subgraphs![0]!;
    return [...inputs!].map((i) => ({ name: tensors![i]!.name!, shape: [...tensors![i]!.shape!] }));
  } finally {
    opened.close();
  }
}
