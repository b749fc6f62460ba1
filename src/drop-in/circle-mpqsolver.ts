/**
 * The drop-in front of ONE's `circle-mpqsolver` (§8.2): which layers get int16, found by bisection over depth, or by formulas. It calls
 * the front of circle-quantizer for every candidate, with the configuration that it also leaves for people.
 *
 *     recorded ─▶ quantize with a configuration ─▶ fake-quantize ─▶ mean absolute error against the recorded model
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FileError, MinmaxqError, Problems, reasonOf, UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { counted } from "../base/text.ts";
import { type InputSpec, openDataSet } from "../calibration/index.ts";
import { compareModels } from "../compare/compare.ts";
import { openSide, type Side } from "../compare/side.ts";
import { readVisqErrors } from "../compare/visq.ts";
import { about } from "../driver/about.ts";
import { checkPaths } from "../driver/paths.ts";
import type { Graph, Node } from "../graph/graph.ts";
import { type OpenedModel, openModel } from "../model/index.ts";
import { workspace } from "../passes/workspace.ts";
import { DEFAULT_SCHEME, ONE_SCHEMES } from "../rules/schemes.ts";
import { type BisectionStep, bisect, type Depths, HighIsWorse, type HighPart, worseEnd } from "../search/bisection.ts";
import { findPattern, PATTERNS, type ReadIndexes } from "../search/patterns.ts";
import { sixDigits } from "./circle-eval-diff.ts";
import { runCircleQuantizer } from "./circle-quantizer.ts";
import { Steps } from "./steps.ts";
import {
  COMMON_WORDS,
  choice,
  dtypeList,
  type FrontText,
  GRANULARITIES,
  missingWords,
  type Parsed,
  parseWords,
  usage,
  type WordOption,
} from "./words.ts";

/** Values of `--bisection`: which end gets int16. */
const ENDS = { auto: "auto", true: "front", false: "back" } as const;

/** Options that ask for a formula. */
const PATTERN_OPTIONS = {
  "--u8_layernorm_with_s16_variance": PATTERNS.layerNorm,
  "--u8_softmax_with_s16_sub_exp": PATTERNS.softmax,
} as const;

export const OPTIONS: Readonly<Record<string, WordOption>> = {
  "--input_model": { words: 1, help: "float model with recorded ranges (required)" },
  "--output_model": { words: 1, help: "where to write the quantized model (required)" },
  "--data": { words: 1, help: "samples to measure candidates on; without it 3 records of random data" },
  "--data_format": { words: 1, help: "h5 (default), hdf5, list, filelist, directory, dir; ours: npy, npz" },
  "--bisection": {
    words: 1,
    help: "auto, true or false: cut the model by depth; int16 for its worse half as --visq_file says, its front, or its back",
  },
  "--qerror_ratio": {
    words: 1,
    help: "0.5 by default: how far the error may be from that of int16 (0) towards that of uint8 (1)",
  },
  "--visq_file": { words: 1, help: "errors of tensors as visq writes them; for --bisection auto" },
  "--patterns": { words: 0, help: "int16 for parts of formulas, which the two options below name" },
  "--u8_layernorm_with_s16_variance": { words: 0, help: "with --patterns: the variance of a layer normalization" },
  "--u8_softmax_with_s16_sub_exp": { words: 0, help: "with --patterns: SUB and EXP of a softmax of single operators" },
  "--input_dtype": { words: 1, help: "dtypes of the inputs, separated by commas; uint8 by default" },
  "--output_dtype": { words: 1, help: "dtypes of the outputs, separated by commas; uint8 by default" },
  "--quantized_dtype": { words: 1, help: "with --patterns: uint8 (default) or int16, for all other layers" },
  "--granularity": { words: 1, help: "layer or channel (default), of uint8" },
  "--TF-style_maxpool": { words: 0, help: "MAX_POOL_2D takes its input's parameters" },
  "--save_min_max": { words: 0, help: "keep recorded ranges in the result" },
  "--save_intermediate": {
    words: 1,
    help: "folder for configurations and models of all candidates, and their errors (errors.mpq.txt)",
  },
  ...COMMON_WORDS,
};

const TEXT: FrontText = {
  name: "circle-mpqsolver",
  positionals: "",
  options: OPTIONS,
  short: { "-V": "--verbose" },
  example:
    "--bisection true --data samples.h5 --qerror_ratio 0.3 --input_model face.recorded.circle --output_model mixed.circle",
};

export const HELP = () => usage(TEXT);

/** What the command line says, checked. */
interface Asked {
  readonly model: string;
  readonly output: string;
  /** Words of circle-quantizer that all candidates have. */
  readonly shared: readonly string[];
  readonly granularity: string;
  readonly dumps: string | undefined;
}

/** Layers with a dtype of their own. */
type Layers = readonly { readonly name: string; readonly dtype: "uint8" | "int16" }[];

/** Throws UsageError for all that is wrong with the words themselves; looks at no file. */
export function checkWords(words: readonly string[]): void {
  askedBy(words);
}

type Solve = (solver: Solver) => Promise<void>;

function askedBy(words: readonly string[]): { asked: Asked; solve: Solve; data: string | undefined } {
  const parsed = parseWords(words, TEXT);
  const text = (name: string) => parsed.options.get(name)?.[0];
  const missing = ["--input_model", "--output_model"].filter((name) => !text(name));
  if (missing.length > 0) throw missingWords(missing, TEXT);
  if (parsed.options.has("--bisection") === parsed.options.has("--patterns"))
    throw new UsageError("choose exactly one of --bisection auto|true|false and --patterns; see --help");
  for (const option of ["--input_dtype", "--output_dtype"]) dtypeList(option, text(option) ?? "uint8");
  const granularity = text("--granularity") ?? "channel";
  choice("--granularity", granularity, GRANULARITIES);
  const asked: Asked = {
    model: text("--input_model")!,
    output: text("--output_model")!,
    shared: [
      ...["--input_type", text("--input_dtype") ?? "uint8", "--output_type", text("--output_dtype") ?? "uint8"],
      ...["--TF-style_maxpool", "--save_min_max"].filter((name) => parsed.options.has(name)),
    ],
    granularity: granularity.toLowerCase(),
    dumps: text("--save_intermediate"),
  };
  const solve = parsed.options.has("--patterns") ? byPatterns(parsed, asked) : byBisection(parsed, asked);
  return { asked, solve, data: text("--data") };
}

export async function runCircleMpqsolver(words: readonly string[], output: Output): Promise<void> {
  const { asked, solve, data } = askedBy(words);
  checkPaths([asked.model, data], asked.output, true);
  if (asked.dumps !== undefined) makeFolder(asked.dumps);
  const opened = openModel(asked.model);
  const solver = new Solver(asked, opened, output);
  try {
    await solve(solver);
  } finally {
    solver.close();
    opened.close();
  }
}

/** Throws UsageError for what is wrong on the command line, before anything is opened; gives the work. */
function byBisection(parsed: Parsed, { granularity }: Asked): Solve {
  const text = (name: string) => parsed.options.get(name)?.[0];
  const end = choice("--bisection", text("--bisection")!, ENDS);
  const ratio = Number(text("--qerror_ratio") ?? 0.5);
  if (text("--qerror_ratio")?.trim() === "" || !(ratio >= 0 && ratio <= 1))
    throw new UsageError(`--qerror_ratio: "${text("--qerror_ratio")}" is no number from 0 to 1`);
  const visq = text("--visq_file");
  if (end === "auto" && visq === undefined)
    throw new UsageError("--bisection auto: needs --visq_file, which 'minmaxq visq --tae_output FILE' writes");
  return async (solver) => {
    const errors = end === "auto" ? readVisqErrors(visq!) : new Map<string, number>();
    const highEnd = end === "auto" ? (depths: Depths) => worseEnd(depths, errors) : () => end;
    const source = { location: text("--data"), format: text("--data_format") };
    await solver.bisect(ratio, highEnd, source, granularity);
  };
}

function byPatterns(parsed: Parsed, { model, granularity }: Asked): Solve {
  const dtype = parsed.options.get("--quantized_dtype")?.[0] ?? "uint8";
  const base = choice("--quantized_dtype", dtype, { uint8: "uint8", int16: "int16" } as const);
  choice("--quantized_dtype", dtype, ONE_SCHEMES);
  const patterns = Object.entries(PATTERN_OPTIONS).filter(([option]) => parsed.options.has(option));
  return async (solver) => {
    if (patterns.length === 0)
      solver.output.tell(
        `warning: --patterns: without ${Object.keys(PATTERN_OPTIONS).join(" or ")} all layers are ${base}`,
      );
    const dtypes = new Map<string, "uint8" | "int16">();
    const problems = new Problems();
    const set = (nodes: readonly Node[], to: "uint8" | "int16") => {
      for (const node of nodes) {
        // A model's input, or what has no rule for borders: it has the model's dtype whatever is asked for.
        if (node.row.mixed === undefined) continue;
        if ((dtypes.get(node.name) ?? to) !== to)
          problems.add(`"${node.name}": two formulas want different dtypes for it; leave one of the options out`);
        dtypes.set(node.name, to);
      }
    };
    const { graph, indexes } = solver;
    for (const [option, pattern] of patterns) {
      const found = findPattern(graph, pattern, indexes);
      if (found.length === 0) solver.output.tell(`warning: ${model}: ${option} finds no ${pattern.name}`);
      for (const { high, low } of found) {
        set(high, "int16");
        set(low, "uint8");
      }
    }
    await about(model, async () => problems.throwIfAny("layers that two formulas want different dtypes for"));
    const layers = [...dtypes].map(([name, own]) => ({ name, dtype: own }));
    solver.dump("FinalConfiguration", layers, base);
    await solver.result(base, base === "int16" ? "channel" : granularity, layers);
  };
}

/** The model, its candidates, and what is left of them. */
class Solver {
  readonly graph: Graph;
  readonly indexes: ReadIndexes;
  private readonly errors: string[] = [];

  constructor(
    private readonly asked: Asked,
    private readonly opened: OpenedModel,
    readonly output: Output,
  ) {
    const { graphs, context } = workspace(opened, DEFAULT_SCHEME, true);
    if (graphs.length > 1)
      throw new FileError(asked.model, `has ${graphs.length} subgraphs; mixed precision is searched in models of one`);
    this.graph = graphs[0]!;
    this.indexes = ({ dtype, constant }) =>
      dtype === "INT32" ? [...new Int32Array(context.scanner.bytes(constant).buffer)] : undefined;
  }

  close(): void {
    if (this.asked.dumps === undefined || this.errors.length === 0) return;
    write(join(this.asked.dumps, "errors.mpq.txt"), this.errors.map((line) => `${line}\n`).join(""));
  }

  async bisect(
    ratio: number,
    highEnd: (depths: Depths) => "front" | "back",
    { location, format }: { readonly location?: string; readonly format?: string },
    granularity: string,
  ): Promise<void> {
    const { asked, output, graph } = this;
    const first = await about(asked.model, () => openSide(this.opened));
    const openData = (inputs: readonly InputSpec[]) =>
      openDataSet(location ?? "random", inputs, { format: location === undefined ? undefined : (format ?? "h5") });
    // Told before the first candidate is made.
    (await openData(first.inputs)).close();
    let number = 0;
    const candidate = async (high: HighPart) => {
      const isCut = typeof high !== "string";
      if (isCut) number++;
      return this.measure(first, high, isCut ? number : undefined, openData, granularity);
    };
    const onStep = ({ high, error, cut }: BisectionStep) => {
      const said = sixDigits(error);
      // Uint8 first in the file, though it is measured last of the two.
      if (high === "none") this.errors.unshift(`Q8 ${said}`);
      else this.errors.push(`${high === "all" ? "Q16" : number} ${said}`);
      if (high === "all") output.print(`int16 error: ${said}`);
      else if (high === "none") output.print(`uint8 error: ${said}`);
      else output.print(`depth ${cut}: ${counted(high.length, "tensor")} int16, error ${said}`);
    };
    try {
      const found = await bisect({ graph, error: candidate, target: { ratio }, highEnd, onStep });
      output.print(`target error: ${sixDigits(found.target)}`);
      this.errors.push(`FINAL ${sixDigits(found.error)}`);
      const layers = layersOf(found.high);
      const all = found.high === "all";
      this.dump("FinalConfiguration", layers, all ? "int16" : "uint8");
      await this.result(all ? "int16" : "uint8", all ? "channel" : granularity, layers);
      const what =
        typeof found.high === "string"
          ? `all ${all ? "int16" : "uint8"}`
          : `int16 at the ${found.end}, cut at depth ${found.cut}`;
      output.print(`${asked.output}: ${what}, error ${sixDigits(found.error)}`);
    } catch (error) {
      if (!(error instanceof HighIsWorse)) throw error;
      throw new FileError(
        asked.model,
        `its int16 form has a larger error (${sixDigits(error.high)}) than its uint8 form (${sixDigits(error.low)}), so there is nothing to search; record wider ranges (--mode minmax), or other samples`,
        { code: "high-is-worse" },
      );
    }
  }

  /** The result, with its warnings. */
  result(dtype: "uint8" | "int16", granularity: string, layers: Layers): Promise<void> {
    return this.quantized(dtype, granularity, layers, this.asked.output, new Steps(this.output));
  }

  /** Leaves a configuration where that was asked for. */
  dump(name: string, layers: Layers, dtype: "uint8" | "int16"): void {
    const { dumps, granularity } = this.asked;
    if (dumps !== undefined) write(join(dumps, `${name}.mpq.json`), this.configuration(layers, dtype, granularity));
  }

  private configuration(layers: Layers, dtype: string, granularity: string): string {
    const config = {
      default_granularity: dtype === "int16" ? "channel" : granularity,
      default_quantization_dtype: dtype,
      layers: layers.map(({ name, dtype: own }) => ({ name, dtype: own, granularity: "channel" })),
      model_path: this.asked.model,
    };
    return `${JSON.stringify(config, null, 2)}\n`;
  }

  private async quantized(
    dtype: "uint8" | "int16",
    granularity: string,
    layers: Layers,
    to: string,
    steps: Steps,
  ): Promise<void> {
    const { model, output, shared } = this.asked;
    const config = steps.place(`${output}.mpq.json`, false, "the configuration");
    try {
      if (layers.length > 0) write(config, this.configuration(layers, dtype, granularity));
      await steps.call(
        "circle-quantizer",
        [
          ...["--quantize_with_minmax", "float32", dtype, granularity, ...shared],
          ...(layers.length > 0 ? ["--config", config] : []),
          ...[model, to],
        ],
        runCircleQuantizer,
      );
    } finally {
      steps.close();
    }
  }

  /** Mean over outputs and records of a candidate's mean absolute error: sums in f64, the result in f32. */
  private async measure(
    first: Side,
    high: HighPart,
    number: number | undefined,
    openData: Parameters<typeof compareModels>[1],
    granularity: string,
  ): Promise<number> {
    const { asked, output } = this;
    const { model, dumps } = asked;
    // Warnings are those of the result.
    const steps = new Steps({ ...output, tell: () => {}, print: () => {} });
    const kept = dumps !== undefined && number !== undefined;
    const place = kept ? join(dumps, `quantized_${number}.mpq.circle`) : `${asked.output}.candidate.circle`;
    const quantized = steps.place(place, kept, model);
    const fake = steps.place(`${asked.output}.fake.circle`, false, model);
    const layers = layersOf(high);
    const dtype = high === "all" ? "int16" : "uint8";
    if (kept) this.dump(`Configuration_${number}`, layers, dtype);
    try {
      const own = new Steps({ ...output, tell: () => {}, print: () => {} });
      await this.quantized(dtype, high === "all" ? "channel" : granularity, layers, quantized, own);
      await steps.call("circle-quantizer", ["--fake_quantize", quantized, fake], runCircleQuantizer);
      const opened = openModel(fake);
      try {
        const second = await about(model, () => openSide(opened));
        const onProgress = output.progress("comparing", "samples");
        const { outputs } = await compareModels([first, second], openData, { onProgress });
        const sum = outputs.reduce((all, { metrics }) => all + metrics.mae, 0);
        return Math.fround(sum / outputs.length);
      } finally {
        opened.close();
      }
    } finally {
      steps.close();
    }
  }
}

function layersOf(high: HighPart): Layers {
  return typeof high === "string" ? [] : high.map((name) => ({ name, dtype: "int16" }));
}

function makeFolder(path: string): void {
  try {
    if (!existsSync(path)) mkdirSync(path);
  } catch (error) {
    throw new FileError(path, `the folder cannot be made (${reasonOf(error)}); give another one`, { cause: error });
  }
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new MinmaxqError(`${path}: cannot be written (${reasonOf(error)})`, { cause: error });
  }
}

export const FRONT = { text: TEXT, run: runCircleMpqsolver, help: HELP };
