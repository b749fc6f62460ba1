/** Small graphs in the ONNX fake-quantized style, and what the flow makes of them. */
import { encode } from "flatbuffers/js/flexbuffers.js";
import { TensorType } from "../../../src/model/index.ts";
import { quantizeOnnx } from "../../../src/passes/onnx/index.ts";
import { SCHEMES } from "../../../src/rules/schemes.ts";
import { type GraphBuilder, model } from "../../helpers/models.ts";
import { hex } from "../../operators/oracle.ts";
import { inferAll, spaceOf, type Written, written } from "../support.ts";

export type Stored = "UINT8" | "INT16" | "INT8";

const ARRAYS = { UINT8: Uint8Array, INT16: Int16Array, INT8: Int8Array } as const;

/** A constant of integers. */
export function integers(graph: GraphBuilder, name: string, shape: number[], dtype: Stored, values: number[]): void {
  const list = new ARRAYS[dtype](values);
  graph.constant(name, shape, list as never, { type: TensorType[dtype] });
}

export interface Parameters {
  dtype: Stored;
  scale: number[];
  zeroPoint: number[];
  axis?: number;
}

export const u8 = (scale: number, zeroPoint: number): Parameters => ({
  dtype: "UINT8",
  scale: [scale],
  zeroPoint: [zeroPoint],
});
export const s16 = (scale: number): Parameters => ({ dtype: "INT16", scale: [scale], zeroPoint: [0] });

function linear(graph: GraphBuilder, code: string, inputs: string[], output: string, axis?: number): void {
  graph.operator("CUSTOM", inputs, [output], undefined, code);
  if (axis !== undefined) graph.operators.at(-1)!.customOptions = encode({ axis }, 64);
}

/** `x` ─▶ QuantizeLinear ─▶ DequantizeLinear ─▶ `${x}.dq`; the second may have other parameters. */
export function pair(graph: GraphBuilder, x: string, shape: number[], first: Parameters, second = first): string {
  const { dtype } = first;
  graph.constant(`${x}.s`, [first.scale.length], Float32Array.from(first.scale));
  integers(graph, `${x}.z`, [first.zeroPoint.length], dtype, first.zeroPoint);
  graph.constant(`${x}.s2`, [second.scale.length], Float32Array.from(second.scale));
  integers(graph, `${x}.z2`, [second.zeroPoint.length], second.dtype, second.zeroPoint);
  graph.tensor(`${x}.q`, shape, dtype).tensor(`${x}.dq`, shape);
  linear(graph, "ONNXQuantizeLinear", [x, `${x}.s`, `${x}.z`], `${x}.q`, 1);
  linear(graph, "ONNXDequantizeLinear", [`${x}.q`, `${x}.s2`, `${x}.z2`], `${x}.dq`, 1);
  return `${x}.dq`;
}

/** A constant of integers ─▶ DequantizeLinear ─▶ `${name}.dq`. */
export function weights(graph: GraphBuilder, name: string, shape: number[], values: number[], p: Parameters): string {
  integers(graph, name, shape, p.dtype, values);
  graph.constant(`${name}.s`, [p.scale.length], Float32Array.from(p.scale));
  integers(graph, `${name}.z`, [p.zeroPoint.length], p.dtype, p.zeroPoint);
  graph.tensor(`${name}.dq`, shape);
  linear(graph, "ONNXDequantizeLinear", [name, `${name}.s`, `${name}.z`], `${name}.dq`, p.axis);
  return `${name}.dq`;
}

export interface Result extends Written {
  notes: string[];
}

/** The model after the flow, written and read again. */
export async function onnx(
  inputs: string[],
  outputs: string[],
  fill: (graph: GraphBuilder) => void,
  likeReference = true,
): Promise<Result> {
  const space = await spaceOf(model(inputs, outputs, fill), { likeReference, scheme: SCHEMES.int16 });
  for (const graph of space.graphs) quantizeOnnx(graph, space.context);
  space.context.scanner.throwProblems();
  inferAll(space);
  return { ...(await written(space)), notes: space.context.notes.map(({ text }) => text) };
}

/** dtype, scale bits and zero points of a tensor. */
export function brief({ tensors }: Written, name: string) {
  const { dtype, scale, zeroPoint } = tensors.get(name)!;
  return { dtype, scale, zeroPoint };
}

/** The same, as expected. */
export const is = (dtype: string, scale: number, zeroPoint: number) => ({
  dtype,
  scale: [hex(scale)],
  zeroPoint: [zeroPoint],
});
