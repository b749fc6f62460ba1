/** `--explain`: every scale and zero point of the result and where it comes from, as JSON. */
import { MinmaxqError, reasonOf } from "../base/errors.ts";
import { activeNodes, type Graph } from "../graph/graph.ts";
import { provenanceText } from "../graph/quantparam.ts";

/** Writes the explanation of all quantized tensors, and of operators that stayed float. Throws a MinmaxqError. */
export async function writeExplanation(path: string, graphs: readonly Graph[]): Promise<void> {
  const text = `${JSON.stringify(graphs.map(explain), null, 2)}\n`;
  try {
    await Bun.write(path, text);
  } catch (error) {
    throw new MinmaxqError(`${path}: the explanation cannot be written (${reasonOf(error)})`, { cause: error });
  }
}

function explain(graph: Graph) {
  const nodes = activeNodes(graph).filter((node) => node.kind !== "output");
  return {
    subgraph: graph.name,
    tensors: nodes
      .filter((node) => node.quant?.scale.length)
      .map(({ name, op, dtype, shape, quant }) => ({
        name,
        operator: op || undefined,
        dtype,
        shape,
        scale: [...quant!.scale],
        zeroPoint: [...quant!.zeroPoint].map(Number),
        ...(quant!.scale.length > 1 ? { axis: quant!.axis } : {}),
        because: provenanceText(quant!.provenance),
      })),
    float: nodes
      .filter((node) => node.float && node.kind === "operator")
      .map(({ name, op, float }) => ({ name, operator: op, because: float })),
  };
}
