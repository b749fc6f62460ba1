/**
 * LiteRT's schemes of weights alone (WEIGHT_SCHEMES): activations and biases stay float, so nothing has to be known of them.
 *
 *     dynamic   FULLY_CONNECTED(x, w: FLOAT32)   →   FULLY_CONNECTED(x, w: INT8)               its kernel rounds x while it runs
 *     weights   CONV_2D(x, w: FLOAT32)           →   CONV_2D(x, DEQUANTIZE(w: INT8))           it computes as before
 *     blocks    FULLY_CONNECTED(x, w, relu)      →   RELU(FULLY_CONNECTED(x, w: INT4 with FLOAT16 scales [rows, columns / 32]))
 *
 * Which constants are weights, and what kernels take, are columns of the operator table (`families.litert`). A constant that several
 * operators want alike, in whatever subgraph, is encoded once; who cannot take it keeps the floats.
 */

import { counted } from "../../base/text.ts";
import { addDequantize, cloneConstant } from "../../graph/edit.ts";
import { activeNodes, addNode, type Graph, type Node, setInput } from "../../graph/graph.ts";
import { setOptions } from "../../graph/options.ts";
import { quantParam } from "../../graph/quantparam.ts";
import type { Constant } from "../../weights/constant.ts";
import { type Context, noteFloat, remark } from "../context.ts";
import { splitActivation } from "./split-activation.ts";
import {
  type Encoded,
  encodedAs,
  type Kept,
  placeOf,
  planOf,
  sameValues,
  type WeightsAlone,
  type WeightsPlan,
} from "./weights-plan.ts";

/** Quantizes the weights of a graph. Gives the operators whose weights were, and how many constants of each dtype there are now. */
export function quantizeWeightsAlone(graph: Graph, context: Context, settings: WeightsAlone): Done {
  const index = context.graphs.indexOf(graph);
  const same = sameValues(context);
  const made = new Map<string, Node>();
  const done: Done = { operators: [], constants: new Map(), halves: new Map() };
  for (const node of activeNodes(graph)) {
    const plan = planOf(node, settings);
    if (!plan) continue;
    if ("float" in plan) {
      noteFloat(context, node, plan.float);
      continue;
    }
    for (const text of plan.remarks) remark(context, node, "weights-other-dtype", text, {});
    const taken = plan.operands.filter(({ operand }) => !settings.tooLarge?.has(placeOf(index, operand)));
    for (const each of plan.operands) {
      if (taken.includes(each)) continue;
      const text = `"${each.operand.name}" has values beyond 65504, the largest of float16, and stays float32`;
      remark(context, node, "too-large-for-float16", text, {});
    }
    if (taken.length === 0) continue;
    const user = plan.blocks?.plain ? splitActivation(graph, node) : node;
    for (const { operand, index: slot, key } of taken) {
      const name = `${operand.id} ${key}`;
      const own = made.get(name) ?? addEncoded(graph, operand, encodedAs(context, same, operand, plan), plan);
      if (!made.has(name)) done.constants.set(own.dtype, (done.constants.get(own.dtype) ?? 0) + 1);
      made.set(name, own);
      if (own.constant?.kind === "halved") done.halves.set(placeOf(index, operand), own.constant);
      setInput(user, slot, plan.direct ? own : dequantized(graph, own));
    }
    if (plan.asymmetric) setOptions(user, { asymmetricQuantizeInputs: true });
    done.operators.push(user);
  }
  return done;
}

/** What a graph's quantization did. */
export interface Done {
  readonly operators: Node[];
  /** By dtype. */
  readonly constants: Map<string, number>;
  /** What became float16, by the place of the constant that it was. */
  readonly halves: Map<string, Constant & { kind: "halved" }>;
}

/** "12 constants int8, 3 constants int4". */
export function doneText(all: readonly Done[]): string {
  const sum = new Map<string, number>();
  for (const { constants } of all)
    for (const [dtype, count] of constants) sum.set(dtype, (sum.get(dtype) ?? 0) + count);
  return [...sum].map(([dtype, count]) => `${counted(count, "constant")} ${dtype.toLowerCase()}`).join(", ");
}

/** The constant in the graph: a copy of the float one, so that other users keep theirs. */
function addEncoded(graph: Graph, source: Node, made: Encoded, plan: WeightsPlan): Node {
  const node = cloneConstant(graph, source);
  node.constant = made.constant;
  node.quant = made.quant;
  if (made.scales) {
    const { size } = plan.blocks!;
    const shape = [...source.shape.slice(0, -1), source.shape.at(-1)! / size];
    const name = `${source.name}_scales`;
    const scales = addNode(graph, { kind: "constant", name, dtype: "FLOAT16", shape, constant: made.scales });
    node.quant = quantParam({ provenance: { from: "own values" }, blocks: { size, scales } });
  }
  node.dtype = made.dtype;
  return node;
}

/** The one Dequantize behind a constant. */
function dequantized(graph: Graph, constant: Node): Node {
  const known = [...constant.users].find(({ op }) => op === "DEQUANTIZE");
  return known ?? addDequantize(graph, constant);
}

/** Filters that the pass will make, for those who want to begin with them: it finds these very descriptions. Blocks are not begun early. */
export function expectedWeights(
  graph: Graph,
  context: Context,
  settings: WeightsAlone,
): { name: string; constant: Encoded["constant"]; scales: number; tables: number }[] {
  const index = context.graphs.indexOf(graph);
  const same = sameValues(context);
  return activeNodes(graph).flatMap((node) => {
    const plan = planOf(node, settings);
    if (!plan || "float" in plan || plan.blocks) return [];
    return plan.operands
      .filter(({ operand }) => !settings.tooLarge?.has(placeOf(index, operand)))
      .map(({ operand }) => {
        const { constant, quant } = encodedAs(context, same, operand, plan);
        return { name: operand.name, constant, scales: quant?.scale.length ?? 0, tables: plan.direct ? 0 : DEQUANTIZE };
      });
  });
}

/** Bytes of the tables of a Dequantize and its tensor beside the name, about. */
const DEQUANTIZE = 256;

/** Constants that became infinite in float16, by subgraph and id: known when the file was filled. */
export function valuesTooLarge(all: readonly Done[]): Kept {
  const found = new Set<string>();
  for (const { halves } of all)
    for (const [place, constant] of halves) if (constant.overflowed[0]! > 0) found.add(place);
  return found;
}
