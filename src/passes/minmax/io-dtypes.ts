/**
 * Phases 10–12: dtypes of the graph's inputs and outputs (§4.4–§4.6).
 *
 *     input x: UINT8, float32 asked for   →   input x: FLOAT32 ─▶ Quantize x_Quantize: UINT8 ─▶ …
 *     … ─▶ y: UINT8, float32 asked for   →   … ─▶ y: UINT8 ─▶ Dequantize y_Dequantize: FLOAT32 (output)
 */
import { MinmaxqError, Problems } from "../../base/errors.ts";
import { addDequantize, insertAfter } from "../../graph/edit.ts";
import { type Dtype, describe, type Graph, type Node, setInput } from "../../graph/graph.ts";
import { hasRange, quantParam } from "../../graph/quantparam.ts";
import {
  type ActivationQuantizer,
  activationDtypes,
  NEEDS_KERNEL,
  parametersOfRange,
  type Quantizer,
  type Scheme,
} from "../../rules/schemes.ts";
import { type Context, quantizerOf } from "../context.ts";
import { quantizeOf } from "./insert-quantize.ts";

/** Requested dtypes, one for each input or output, from none, one or a whole list (§4.4). Runs before any phase. */
export function canonicalDtypes(
  what: "input" | "output",
  nodes: readonly Node[],
  asked: readonly Dtype[] | undefined,
  { family, activation }: Scheme,
): Dtype[] {
  const list = asked?.length ? asked : [activation.dtype];
  const choices = [...new Set<Dtype>([activation.dtype, ...activationDtypes(family), "FLOAT32"])];
  if (list.length !== 1 && list.length !== nodes.length)
    throw new MinmaxqError(
      `${what} dtypes: ${list.length} are given for ${nodes.length} ${what}${nodes.length === 1 ? "" : "s"}; give one for all or one for each, in their order`,
    );
  const expanded = nodes.map((node, i): Dtype => {
    if (list.length > 1) return list[i]!;
    if (node.dtype !== "FLOAT32") return node.dtype;
    return !asked?.length && NEEDS_KERNEL[family] && touchesFloatOnly(node) ? "FLOAT32" : list[0]!;
  });
  const problems = new Problems();
  nodes.forEach((node, i) => {
    const dtype = expanded[i]!;
    if (node.dtype !== "FLOAT32" && dtype !== node.dtype)
      problems.add(`${what} "${node.name}": is ${node.dtype} and must stay it, but ${dtype} is asked for`);
    if (node.dtype === "FLOAT32" && !choices.includes(dtype))
      problems.add(`${what} "${node.name}": cannot become ${dtype}; choose ${listed(choices)}`);
  });
  problems.throwIfAny(`wrong ${what} dtypes`);
  return expanded;
}

/** An input that float operators alone read, an output that one yields: integers there would be turned into floats at once, or lose. */
export function touchesFloatOnly(node: Node): boolean {
  if (node.kind === "output") return node.inputs[0]?.float != null;
  const readers = [...node.users].filter(({ kind }) => kind === "operator");
  return readers.length > 0 && readers.every(({ float }) => float !== null);
}

/** "uint8, int16 or float32". */
function listed(dtypes: readonly Dtype[]): string {
  const names = dtypes.map((dtype) => dtype.toLowerCase());
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

/** Phase 10: outputs whose producer has the model's dtype are declared so. */
export function updateOutputDtypes(graph: Graph, context: Context): void {
  graph.outputs.forEach((output, i) => {
    const { dtype } = context.options.scheme.activation;
    if (output.inputs[0]?.dtype !== dtype) return;
    output.dtype = dtype;
    graph.outputDtypes[i] = output.dtype;
  });
}

/** Phase 11. */
export function setInputDtypes(graph: Graph, context: Context, wanted: readonly Dtype[]): void {
  graph.inputs.forEach((input, i) => {
    const dtype = wanted[i]!;
    const quantizer = quantizerOf(context, input);
    // What was no float from the start stays as it is.
    if (input.dtype === dtype || (!quantizer && input.dtype !== "FLOAT32")) return;
    if (!hasRange(input.quant))
      throw new MinmaxqError(
        `input "${input.name}": has no recorded range and cannot become ${dtype}; run 'minmaxq record' first`,
      );
    // An input without users only changes its own dtype (§10.7).
    if (input.users.size > 0 && quantizer) insertBehind(graph, input, dtype, quantizer);
    // A FLOAT32 input keeps the parameters of the quantized dtype, as in the reference.
    const asked = quantizerOf(context, { dtype });
    if (asked) input.quant = withFirstParameters(input, asked);
    input.dtype = dtype;
    graph.inputDtypes[i] = dtype;
  });
}

/** A Quantize for all that read an input; of a FLOAT32 input operators that stay float are none of them. */
function insertBehind(graph: Graph, input: Node, dtype: Dtype, quantizer: ActivationQuantizer): void {
  const float = dtype === "FLOAT32" ? [...input.users].filter((user) => user.float) : [];
  if (float.length === input.users.size) return;
  const quantize = quantizeOf(graph, input, quantizer);
  insertAfter(input, quantize);
  for (const user of float)
    user.inputs.forEach((operand, index) => {
      if (operand === quantize) setInput(user, index, input);
    });
}

/** Replaces the first scale and zero point by those of the recorded range for a quantizer (§10.7). */
function withFirstParameters(input: Node, quantizer: Quantizer) {
  const old = input.quant!;
  const next = parametersOfRange(quantizer, old.min[0]!, old.max[0]!);
  const scale = old.scale.slice();
  const zeroPoint = old.zeroPoint.slice();
  scale[0] = next.scale;
  zeroPoint[0] = BigInt(next.zeroPoint);
  return quantParam({ ...old, scale, zeroPoint });
}

/** Phase 12. Only this output is re-pointed; other users keep the producer. */
export function setOutputDtypes(graph: Graph, context: Context, wanted: readonly Dtype[]): void {
  graph.outputs.forEach((output, i) => {
    const dtype = wanted[i]!;
    const producer = output.inputs[0]!;
    if (output.dtype === dtype || output.dtype === "BOOL" || !producer.quant) return;
    const quantizer = quantizerOf(context, { dtype });
    if (quantizer && !hasRange(producer.quant))
      throw new MinmaxqError(`${describe(producer)}: has no recorded range, so its output cannot become ${dtype}`);
    setInput(output, 0, quantizer ? quantizeOf(graph, producer, quantizer) : addDequantize(graph, producer));
    output.dtype = dtype;
    graph.outputDtypes[i] = dtype;
  });
}
