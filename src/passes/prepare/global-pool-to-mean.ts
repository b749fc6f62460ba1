/**
 * A mean over all of the picture becomes a reduction, whose result may have parameters of its own where those of a pool may not.
 *
 *     x [N,7,7,C] ─▶ AVERAGE_POOL_2D (7×7) y [N,1,1,C]   →   x ─▶ MEAN y (axes 1, 2, dimensions kept)
 */
import { activeNodes, type Graph, type Node } from "../../graph/graph.ts";
import { fusedActivation, option } from "../../graph/options.ts";
import { declaredShape, type Edit } from "./edit.ts";
import { addVector, averaged, putInPlaceOf } from "./rewrite.ts";

export function globalPoolToMean(graph: Graph): Edit[] {
  const edits: Edit[] = [];
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || node.row.averages !== "window" || !isGlobal(node)) continue;
    const axes = addVector(graph, `${node.name}_axes`, [1, 2]);
    const { op } = putInPlaceOf(graph, node, averaged(node.inputs[0]!, axes));
    edits.push({ op: node.op, into: op, tensor: node.name });
  }
  return edits;
}

/** The window is the whole picture, so there is no padding that a mean could have left out. */
function isGlobal(node: Node): boolean {
  const x = node.inputs[0];
  if (x?.dtype !== "FLOAT32" || node.dtype !== "FLOAT32" || fusedActivation(node) !== "NONE") return false;
  const [, height, width] = declaredShape(x);
  const [, rows, columns] = declaredShape(node);
  const isWindow = option(node, "filterHeight") === height && option(node, "filterWidth") === width;
  return x.shape.length === 4 && isWindow && rows === 1 && columns === 1;
}
