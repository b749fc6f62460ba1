/**
 * Weights alone: a float model with weights of one of LiteRT's schemes that need no samples (WEIGHT_SCHEMES).
 *
 *     quantizeWeightsAlone(settings, io) → Report
 *
 * float16 is tried: whether a number is too large is known when it is encoded. Then all is done once more, and that constant stays float32.
 */
import { FileError, UsageError } from "../base/errors.ts";
import { counted, indented } from "../base/text.ts";
import { activeNodes } from "../graph/graph.ts";
import { ASKED_FOR, isAskedFor } from "../passes/float/keep-float.ts";
import {
  type Done,
  doneText,
  expectedWeights,
  quantizeWeightsAlone as quantizeWeightsOf,
  valuesTooLarge,
} from "../passes/transform/quantize-weights-alone.ts";
import type { Kept, WeightsAlone } from "../passes/transform/weights-plan.ts";
import { improvesWeights } from "./accuracy-phases.ts";
import { begin } from "./early-output.ts";
import { type Io, SILENT } from "./io.ts";
import { prepareRun } from "./own-phases.ts";
import { checkFiles, refuseProblems, setLayersOf, writeResult } from "./phases.ts";
import type { Report } from "./report.ts";
import { type Phase, Run, runFlow } from "./run.ts";
import { OPERATOR_VERSIONS, RUN_IN_LITERT } from "./run-result.ts";
import type { QuantizeSettings } from "./settings.ts";
import { CHECK_FILES, IMPORT, OPEN, SET_LAYERS, SHAPE_OPERANDS, START_THREADS, ZERO_BIAS } from "./shared-phases.ts";

/** Settings of a model whose weights alone are quantized; samples are of use for accuracy only. */
export interface WeightsAloneSettings extends QuantizeSettings {
  readonly weights: Omit<WeightsAlone, "tooLarge">;
}

/** A run that knows what does not fit, and finds out. */
interface Attempt {
  readonly tooLarge: Kept;
  readonly done: Done[];
}

/** Thrown when a file is whole but for its name, and has numbers that became infinite. */
class TooLarge extends Error {
  constructor(readonly constants: Kept) {
    super("values beyond float16");
  }
}

/** The phases; `attempt` is what the run knows already and finds. */
export function flowOf(model: WeightsAlone, { done }: Attempt): readonly Phase<WeightsAloneSettings>[] {
  const weightsOf = ({ space }: Run): WeightsAlone => ({ ...model, layers: space.context.layers });
  const refuseTooLarge: Phase = {
    name: "refuse infinite",
    why: "float16 ends at 65504, and only now all values were seen",
    run() {
      const found = valuesTooLarge(done);
      if (found.size > 0) throw new TooLarge(found);
    },
  };
  return [
    { ...CHECK_FILES, run: checkWeightsFiles },
    START_THREADS,
    OPEN,
    IMPORT,
    { ...SET_LAYERS, run: (run) => setLayersOf(run, model.scheme) },
    {
      name: "begin output",
      files: true,
      span: "prepare",
      when: (run) => !improvesWeights(run),
      why: "a thread streams weights that are known already, while the rest is prepared",
      run(run) {
        const expected: Parameters<typeof begin>[4] = (graph, context) =>
          expectedWeights(graph, context, weightsOf(run));
        run.atEnd(begin(run.space, run.graphs, run.settings.output, run.stream, expected));
      },
    },
    {
      name: "prepare",
      span: "prepare",
      why: "what becomes part of weights must be there before they are rounded",
      run: prepareRun,
    },
    ZERO_BIAS,
    {
      name: "keep float",
      why: "layers that a person wants so",
      run: ({ space, graphs }) => {
        for (const node of graphs.flatMap(activeNodes))
          if (node.kind === "operator" && isAskedFor(node, space.context)) node.float = ASKED_FOR;
      },
    },
    {
      name: "improve weights",
      span: "record",
      when: improvesWeights,
      why: "what layers read decides how their weights are rounded, and what their biases take back",
      async run(run) {
        const { improveWeights, quantizerOfPlan } = await import("./accuracy-weights.ts");
        await improveWeights(run, quantizerOfPlan(weightsOf(run)));
      },
    },
    {
      name: "quantize weights",
      span: "passes",
      why: "what the scheme is for",
      run: (run) => quantizeRun(run, weightsOf(run), done),
    },
    { name: "refuse problems", why: "constants that decisions looked at: all at once", run: refuseProblems },
    OPERATOR_VERSIONS,
    SHAPE_OPERANDS,
    {
      name: "write",
      files: true,
      why: "weights are encoded on their way into the file",
      run: (run) => writeResult(run, [refuseTooLarge], [RUN_IN_LITERT]),
    },
  ];
}

/** Also refuses a format whose runtimes have no such kernels. */
function checkWeightsFiles(run: Run<WeightsAloneSettings>): void {
  const { scheme } = run.settings.weights;
  if (run.dialect !== "tflite")
    throw new UsageError(
      `${run.settings.output}: ${scheme.name} is a scheme of LiteRT; give an output that ends in .tflite (for circle: 'minmaxq quantize-weights')`,
    );
  checkFiles(run);
}

function quantizeRun(run: Run<WeightsAloneSettings>, weights: WeightsAlone, done: Done[]): void {
  const { space, graphs, settings } = run;
  done.push(...graphs.map((graph) => quantizeWeightsOf(graph, space.context, weights)));
  run.facts.scheme = weights.scheme.name;
  const operators = done.reduce((sum, each) => sum + each.operators.length, 0);
  const floats = [...space.context.layers.values()].some(({ float }) => float);
  if (operators === 0 && !floats)
    throw new FileError(
      settings.model,
      `has no float weights that ${weights.scheme.name} is for; give the float model`,
    );
  run.facts.done =
    operators === 0 ? "all layers stay float" : `${counted(operators, "operator")} with ${doneText(done)}`;
  const float = space.context.notes.filter(({ kind }) => kind === "float");
  if (settings.strict && float.length > 0)
    throw new FileError(
      settings.model,
      `weights of ${counted(float.length, "operator")} cannot be quantized; without --strict they stay float:\n${indented(float.map(({ text }) => text))}`,
    );
}

/** Quantizes weights and writes the model. Throws a MinmaxqError; then nothing is left behind. */
export async function quantizeWeightsAlone(settings: WeightsAloneSettings, io: Io = SILENT): Promise<Report> {
  let tooLarge: Kept = new Set();
  for (;;) {
    const attempt: Attempt = { tooLarge, done: [] };
    const run = new Run(settings, io);
    try {
      return await runFlow(flowOf({ ...settings.weights, tooLarge }, attempt), run);
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error;
      tooLarge = new Set([...tooLarge, ...error.constants]);
    }
  }
}
