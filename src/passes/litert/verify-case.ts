/** An operator as the rules of verify-traps.ts and verify-blocks.ts look at it. */
import type { Node } from "../../graph/graph.ts";
import type { Tensor } from "../../model/index.ts";
import type { Dtype } from "../../model/tensor-types.ts";
import type { LitertKernel } from "../../rules/litert-kernels.ts";
import type { FamilyRule, OperatorRow } from "../../rules/operator-row.ts";
import type { Context } from "../context.ts";

/** What to do about what another quantizer did, and about what LiteRT cannot compute. */
export const AGAIN = "quantize the float model again";
export const KEEP_FLOAT = "keep it float (--layer NAME=float32)";

/** An operator under examination, and what all rules ask of it. */
export interface Case {
  readonly node: Node;
  readonly row: OperatorRow;
  readonly rule: FamilyRule;
  readonly kernel: LitertKernel;
  readonly results: readonly Node[];
  /** dtype of its quantized activations; FLOAT32 where it computes in float. */
  readonly dtype: Dtype;
  readonly weights: Node | null;
  readonly bias: Node | null;
  readonly context: Context;
  /** Tensors of its subgraph as read, where a file is looked at: quantization details name some by number. */
  readonly tables: readonly Tensor[];
}

/** Integers of a constant that the file has; null for one that is made only now. */
export function storedIntegers({ constant, dtype }: Node, { scanner }: Context): number[] | null {
  if (constant?.kind !== "stored") return null;
  const { buffer, length } = scanner.bytes(constant);
  switch (dtype) {
    case "INT8":
      return [...new Int8Array(buffer, 0, length)];
    case "UINT8":
      return [...new Uint8Array(buffer, 0, length)];
    case "INT16":
      return [...new Int16Array(buffer, 0, length / 2)];
    case "INT32":
      return [...new Int32Array(buffer, 0, length / 4)];
    default:
      return null;
  }
}
