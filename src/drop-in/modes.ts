/** The modes of circle-quantizer (§5): one row each; exactly one is chosen on the command line. */
import { MinmaxqError, UsageError } from "../base/errors.ts";
import type { Dtype, Graph } from "../graph/graph.ts";
import type { Context, QuantizeOptions, Workspace } from "../passes/context.ts";
import { inferDtypes } from "../passes/infer-dtypes.ts";
import { quantizeGraph } from "../passes/minmax/index.ts";
import { ONNX_OPTIONS, quantizeOnnx } from "../passes/onnx/index.ts";
import { fakeQuantizeModel } from "../passes/transform/fake-quantize-model.ts";
import { fakeQuantizeWeights } from "../passes/transform/fake-quantize-weights.ts";
import { quantizeWeightsOnly } from "../passes/transform/quantize-weights-only.ts";
import { requantize } from "../passes/transform/requantize.ts";
import { copyParameters, forceParameters, parametersFromText } from "../passes/transform/set-parameters.ts";
import { DEFAULT_SCHEME, ONE_SCHEMES, type Quantizer, SCHEMES, WEIGHT_QUANTIZERS } from "../rules/schemes.ts";
import { choice, dtypeList, GRANULARITIES, type Parsed, type WordOption } from "./words.ts";

export interface Mode extends WordOption {
  readonly mode: true;
  /** Checks the words and gives the options that passes see. Throws UsageError. */
  options?(name: string, parsed: Parsed): QuantizeOptions;
  /** Changes the graphs, in file order. */
  run(space: Workspace, parsed: Parsed): void;
  /** The result is held to the verifier. */
  readonly verified?: true;
}

/** One graph after the other: quantized, dtypes inferred, checked, as the reference does it (§10.4). */
const eachGraph = (run: (graph: Graph, context: Context) => void) => (space: Workspace) => {
  for (const graph of space.graphs) {
    run(graph, space.context);
    inferDtypes(graph, space.graphs);
    checkDeclaredOutputs(graph);
  }
};

/** What yields an output must have the dtype that the graph declares for it (§2.1 step 3). */
function checkDeclaredOutputs(graph: Graph): void {
  graph.outputs.forEach((output, i) => {
    const dtype = output.inputs[0]!.dtype;
    const declared = graph.outputDtypes[i];
    if (dtype !== declared)
      throw new MinmaxqError(
        `output "${output.name}": is ${dtype} after quantization, but the graph declares ${declared}; try --output_type ${dtype.toLowerCase()}, or 'minmaxq quantize'`,
      );
  });
}

export const MODES: Readonly<Record<string, Mode>> = {
  "--quantize_dequantize_weights": {
    words: 3,
    mode: true,
    help: "IN_DTYPE OUT_DTYPE GRANULARITY: fake-quantize weights (float32; uint8, int16; layer, channel)",
    options: minmaxOptions,
    run: eachGraph(fakeQuantizeWeights),
  },
  "--quantize_with_minmax": {
    words: 3,
    mode: true,
    help: "IN_DTYPE OUT_DTYPE GRANULARITY: quantize with recorded ranges (as above)",
    options: minmaxOptions,
    run: eachGraph(quantizeGraph),
    verified: true,
  },
  "--quantize_weights": {
    words: 3,
    mode: true,
    help: "IN_DTYPE OUT_DTYPE GRANULARITY: quantize weights only (float32; int4, int8, int16; channel)",
    options: (name, parsed) => {
      weightScheme(name, parsed);
      return DEFAULTS;
    },
    run: (space, parsed) => {
      const scheme = weightScheme("--quantize_weights", parsed);
      eachGraph((graph, context) => quantizeWeightsOnly(graph, context, scheme))(space);
    },
  },
  "--quantize_onnx_fq_model": {
    words: 0,
    mode: true,
    help: "quantize a model that was fake-quantized in ONNX (QuantizeLinear, DequantizeLinear)",
    options: () => ONNX_OPTIONS,
    run: eachGraph(quantizeOnnx),
  },
  "--requantize": {
    words: 2,
    mode: true,
    help: "IN_DTYPE OUT_DTYPE: int8 model to uint8 (int8; uint8)",
    options: (name, parsed) => {
      const [from, to] = parsed.options.get(name)!;
      choice(name, from!, { int8: true });
      choice(name, to!, { uint8: true });
      return DEFAULTS;
    },
    run: eachGraph((graph) => void requantize(graph, "uint8")),
  },
  "--force_quantparam": {
    words: 3,
    mode: true,
    help: "TENSOR SCALE ZERO_POINT: set a tensor's parameters (repeatable)",
    run: ({ graphs }, parsed) =>
      forceParameters(
        graphs,
        parsed.repeated
          .get("--force_quantparam")!
          .map(([name, scale, zeroPoint]) => parametersFromText(name!, scale!, zeroPoint!)),
        true,
      ),
  },
  "--copy_quantparam": {
    words: 2,
    mode: true,
    help: "FROM TO: copy a tensor's parameters to another one (repeatable)",
    run: ({ graphs }, parsed) =>
      copyParameters(
        graphs,
        parsed.repeated.get("--copy_quantparam")!.map(([from, to]) => [from!, to!] as const),
      ),
  },
  "--fake_quantize": {
    words: 0,
    mode: true,
    help: "turn a quantized model into a float one with the same rounding",
    run: eachGraph((graph) => fakeQuantizeModel(graph)),
  },
};

/** For modes that have no settings of their own. */
const DEFAULTS: QuantizeOptions = DEFAULT_SCHEME;

/** Options of the chosen mode. */
export function optionsOf(name: string, parsed: Parsed): QuantizeOptions {
  return MODES[name]!.options?.(name, parsed) ?? DEFAULTS;
}

function minmaxOptions(name: string, parsed: Parsed): QuantizeOptions {
  const [inputDtype, outputDtype, granularity] = parsed.options.get(name)!;
  choice(name, inputDtype!, { float32: "FLOAT32" });
  const scheme = SCHEMES[choice(name, outputDtype!, ONE_SCHEMES)];
  const chosen = choice(name, granularity!, GRANULARITIES);
  const list = (option: string): Dtype[] | undefined => {
    const value = parsed.options.get(option)?.[0];
    return value === undefined ? undefined : dtypeList(option, value);
  };
  if (!scheme.granularities.some((each) => each === chosen))
    throw new UsageError(
      `${name}: layer-wise quantization supports uint8 only; use granularity channel for ${outputDtype}`,
    );
  return {
    scheme,
    granularity: chosen,
    inputDtypes: list("--input_type"),
    outputDtypes: list("--output_type"),
    tfStyleMaxpool: parsed.options.has("--TF-style_maxpool"),
    saveMinMax: parsed.options.has("--save_min_max"),
  };
}

function weightScheme(name: string, parsed: Parsed) {
  const [inputDtype, outputDtype, granularity] = parsed.options.get(name)!;
  choice(name, inputDtype!, { float32: true });
  choice(name, granularity!, { channel: true });
  return choice<Quantizer>(name, outputDtype!, WEIGHT_QUANTIZERS);
}
