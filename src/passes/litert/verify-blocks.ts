/** Weights with a scale for each block of a row (details of the quantization): what LiteRT makes of them. Rule 13 of the traps. */
import { isConstant, type Node } from "../../graph/graph.ts";
import { fusedActivation } from "../../graph/options.ts";
import { readRange } from "../../model/bytes.ts";
import { TensorType } from "../../model/index.ts";
import type { BlockwiseQuantization } from "../../model/schema.gen.ts";
import type { Case } from "./verify-case.ts";

/** LiteRT's delegate takes blocks of whole vectors. */
const VECTOR = 32;

/** The first thing that is wrong with an operand whose scales are block-wise. */
export function blockTraps({ node, kernel, rule, context, tables }: Case): string | null {
  for (const tensor of node.inputs) {
    const details = tensor && detailsOf(tensor);
    if (!details) continue;
    const { name, dtype, shape } = tensor;
    if (!kernel.blocks?.includes(dtype))
      return `its operand "${name}" is ${dtype} with a scale for each block, which LiteRT's ${node.op} does not take; quantize it per channel`;
    const [rows = 0, columns = 0] = shape;
    const size = details.blockSize ?? 0;
    if (size <= 0 || size % VECTOR !== 0 || columns % size !== 0)
      return `its weights "${name}" have blocks of ${size} in rows of ${columns}; LiteRT needs multiples of ${VECTOR} that divide a row: choose another --block`;
    const { rows: least = 1, plain } = rule.dynamic?.blocks ?? {};
    if (rows < least)
      return `its weights "${name}" have ${rows} rows, and with fewer than ${least} LiteRT gives zeros for block-wise ones; quantize them per channel`;
    if (plain && fusedActivation(node) !== "NONE")
      return `carries ${fusedActivation(node)}, which LiteRT leaves out beside block-wise weights ("${name}"); make it an operator of its own`;
    const table = tables[details.scales ?? 0];
    if (!table) continue;
    if (table.type !== TensorType.FLOAT16)
      return `the scales of the blocks of "${name}" ("${table.name}") are no FLOAT16, and LiteRT takes no others; quantize the float model again`;
    const scales = context.graphs.flatMap(({ nodes }) => nodes).find((each) => each.tensor === table);
    const made = isConstant(scales) ? scales.constant : null;
    const constant = made?.kind === "half" ? made.of : made;
    const bytes = constant?.kind === "stored" ? readRange(constant.content) : null;
    if (bytes && !allAboveZero(new Uint16Array(bytes.slice().buffer)))
      return `a block of "${name}" has a scale ("${table.name}") that is no number above 0, with which LiteRT does not load the model; quantize the float model again`;
  }
  return null;
}

function detailsOf({ tensor, quant, quantAsRead }: Node): BlockwiseQuantization | null {
  const details = quant === quantAsRead ? tensor?.quantization?.details : undefined;
  return details?.type === "BlockwiseQuantization" ? (details.value ?? {}) : null;
}

/** Halves: 1 is the least number above 0, 0x7c00 infinity. */
function allAboveZero(halves: Uint16Array): boolean {
  return halves.every((half) => half > 0 && half < 0x7c00);
}
