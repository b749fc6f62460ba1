/**
 * Unknown dimensions become those that the tensors' shapes say, for runtimes that take the −1 of a shape signature for a dimension.
 *
 *     x [1,192,192,3], signature [−1,192,192,3]   →   x [1,192,192,3]
 */
import { activeNodes, type Graph } from "../../graph/graph.ts";
import { type Workspace, warn } from "../context.ts";
import { type Edit, isStatic } from "./edit.ts";

export function staticShapes(graph: Graph, { context }: Workspace): Edit[] {
  const edits: Edit[] = [];
  for (const node of new Set([...graph.inputs, ...activeNodes(graph)])) {
    if (!node.tensor?.shapeSignature || node.kind === "output") continue;
    if (!isStatic(node)) {
      edits.push({ op: node.op || node.kind, tensor: node.name });
      if (node.kind === "input")
        warn(context, node, "fixed-shape", `its unknown dimensions are fixed, its shape is [${node.shape}]`);
    }
    node.tensor = { ...node.tensor, shapeSignature: undefined };
  }
  return edits;
}
