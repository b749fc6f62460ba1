/** Reading and changing an operator's option table. */
import { ActivationFunctionType, nameOf, TensorType } from "../model/index.ts";
import type { Dtype } from "../model/tensor-types.ts";
import type { Node } from "./graph.ts";

/** An option's value as stored in the table; undefined when the table or the member is absent. */
export function option(node: Node, name: string): unknown {
  const value = node.options?.value as Record<string, unknown> | null | undefined;
  return value?.[name];
}

/** An option that names an element type; absent means the schema's default, FLOAT32. */
export function dtypeOption(node: Node, name: string): Dtype {
  return nameOf(TensorType, (option(node, name) as number | undefined) ?? 0) as Dtype;
}

/** Sets options of a node on a copy of the table, so that the file's own table is not touched. */
export function setOptions(node: Node, changes: Record<string, unknown>): void {
  if (!node.options) return;
  node.options = { ...node.options, value: { ...node.options.value, ...changes } } as Node["options"];
}

/** Name of the fused activation function; "NONE" where the options have none. */
export function fusedActivation(node: Node): string {
  const code = option(node, "fusedActivationFunction") as number | undefined;
  return nameOf(ActivationFunctionType, code ?? 0) ?? "NONE";
}
