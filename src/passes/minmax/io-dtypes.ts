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
import { parametersOfRange, type QuantizedDtype, SCHEMES } from "../../rules/schemes.ts";
import type { Context } from "../context.ts";
import { quantizeOf } from "./insert-quantize.ts";

const CHOICES: readonly Dtype[] = ["UINT8", "INT16", "FLOAT32"];

/** Requested dtypes, one for each input or output, from none, one or a whole list (§4.4). Runs before any phase. */
export function canonicalDtypes(
  what: "input" | "output",
  nodes: readonly Node[],
  asked: readonly Dtype[] | undefined,
  fallback: Dtype,
): Dtype[] {
  const list = asked?.length ? asked : [fallback];
  if (list.length !== 1 && list.length !== nodes.length)
    throw new MinmaxqError(
      `${what} dtypes: ${list.length} are given for ${nodes.length} ${what}${nodes.length === 1 ? "" : "s"}; give one for all or one for each, in their order`,
    );
  const expanded = nodes.map((node, i) =>
    list.length > 1 ? list[i]! : node.dtype === "FLOAT32" ? list[0]! : node.dtype,
  );
  const problems = new Problems();
  nodes.forEach((node, i) => {
    const dtype = expanded[i]!;
    if (node.dtype !== "FLOAT32" && dtype !== node.dtype)
      problems.add(`${what} "${node.name}": is ${node.dtype} and must stay it, but ${dtype} is asked for`);
    if (node.dtype === "FLOAT32" && !CHOICES.includes(dtype))
      problems.add(`${what} "${node.name}": cannot become ${dtype}; choose uint8, int16 or float32`);
  });
  problems.throwIfAny(`wrong ${what} dtypes`);
  return expanded;
}

/** Phase 10: outputs whose producer has the model's dtype are declared so. */
export function updateOutputDtypes(graph: Graph, context: Context): void {
  graph.outputs.forEach((output, i) => {
    if (output.inputs[0]?.dtype !== context.options.dtype) return;
    output.dtype = context.options.dtype;
    graph.outputDtypes[i] = output.dtype;
  });
}

/** Phase 11. */
export function setInputDtypes(graph: Graph, wanted: readonly Dtype[]): void {
  graph.inputs.forEach((input, i) => {
    const dtype = wanted[i]!;
    if (input.dtype === dtype || input.dtype === "BOOL" || input.dtype === "INT32" || input.dtype === "INT64") return;
    if (!hasRange(input.quant))
      throw new MinmaxqError(
        `input "${input.name}": has no recorded range and cannot become ${dtype}; run 'minmaxq record' first`,
      );
    // An input that nobody uses only changes its own dtype (§10.7).
    if (input.users.size > 0) insertAfter(input, quantizeOf(graph, input, input.dtype));
    // A FLOAT32 input keeps the parameters of the quantized dtype, as in the reference.
    if (dtype !== "FLOAT32") input.quant = withFirstParameters(input, dtype as QuantizedDtype);
    input.dtype = dtype;
    graph.inputDtypes[i] = dtype;
  });
}

/** Replaces the first scale and zero point by those of the recorded range in `dtype` (§10.7). */
function withFirstParameters(input: Node, dtype: QuantizedDtype) {
  const old = input.quant!;
  const next = parametersOfRange(SCHEMES[dtype], old.min[0]!, old.max[0]!);
  const scale = old.scale.slice();
  const zeroPoint = old.zeroPoint.slice();
  scale[0] = next.scale;
  zeroPoint[0] = BigInt(next.zeroPoint);
  return quantParam({ ...old, scale, zeroPoint });
}

/** Phase 12. Only this output is re-pointed; other users keep the producer. */
export function setOutputDtypes(graph: Graph, wanted: readonly Dtype[]): void {
  graph.outputs.forEach((output, i) => {
    const dtype = wanted[i]!;
    const producer = output.inputs[0]!;
    if (output.dtype === dtype || output.dtype === "BOOL" || !producer.quant) return;
    if (dtype !== "FLOAT32" && !hasRange(producer.quant))
      throw new MinmaxqError(`${describe(producer)}: has no recorded range, so its output cannot become ${dtype}`);
    setInput(output, 0, dtype === "FLOAT32" ? addDequantize(graph, producer) : quantizeOf(graph, producer, dtype));
    output.dtype = dtype;
    graph.outputDtypes[i] = dtype;
  });
}
