/** `minmaxq inspect`: what is in a model, for people or as JSON. */

import type { Output } from "../base/output.ts";
import { counted, sizeText } from "../base/text.ts";
import { checkInput } from "../driver/paths.ts";
import { subgraphTitle } from "../driver/signatures.ts";
import {
  elementCount,
  type Model,
  nameOf,
  type OpenedModel,
  openModel,
  operatorName,
  readZipDirectory,
  type SignatureDef,
  signatureNames,
  signaturesOf,
  subgraphText,
  type Tensor,
  type TensorMap,
  TensorType,
  tensorText,
} from "../model/index.ts";
import type { OptionValues } from "../options/values.ts";
import { type Colours, coloursFor } from "../terminal/streams.ts";
import type { Command } from "./command.ts";

export const inspect: Command = {
  name: "inspect",
  summary: "show a model's inputs, outputs, operators and quantization",
  positionals: ["model"],
  options: ["json", "text"],
  examples: [
    "minmaxq inspect model.circle",
    "minmaxq inspect model.q8.circle --text > after.txt   # a line for each tensor and operator, for diff",
    "minmaxq inspect model.q8.circle --json | jq '.subgraphs[0].operators[0]'",
  ],
  run,
};

async function run([input]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  checkInput(input!);
  const opened = openModel(input!);
  try {
    if (options.text) return printText(opened.model, output);
    const facts = {
      path: input!,
      format: opened.dialect,
      bytes: opened.source.size,
      description: opened.model.description ?? "",
      subgraphs: (opened.model.subgraphs ?? []).map((_, index) => factsOf(opened.model, index)),
      signatures: signaturesOf(opened.model).map(({ name }) => name),
      signatureDefs: (opened.model.signatureDefs ?? []).map(signatureFacts),
      metadata: (opened.model.metadata ?? []).map((entry) => entry.name ?? ""),
      files: filesOf(opened),
      unknown: opened.unknown,
    };
    if (options.json) output.print(JSON.stringify(facts, null, 2));
    else for (const line of asText(facts, opened.model)) output.print(line);
  } finally {
    opened.close();
  }
}

function printText(model: Model, output: Output): void {
  for (const [index, { name }] of (model.subgraphs ?? []).entries()) {
    output.print(`subgraph ${index} "${name ?? ""}"`);
    for (const line of subgraphText(model, index)) output.print(`  ${line}`);
  }
}

type Facts = {
  path: string;
  format: string;
  bytes: number;
  description: string;
  subgraphs: SubgraphFacts[];
  /** Their names, and with what each calls the tensors of its subgraph. */
  signatures: string[];
  signatureDefs: ReturnType<typeof signatureFacts>[];
  metadata: string[];
  /** Files of the archive behind the model, bytes unpacked. */
  files: { name: string; bytes: number }[];
  unknown: string[];
};
type SubgraphFacts = ReturnType<typeof factsOf>;

function filesOf({ archive }: OpenedModel): Facts["files"] {
  const directory = archive && readZipDirectory(archive.source);
  if (!directory || typeof directory === "string") return [];
  return directory.entries.map(({ name, size }) => ({ name, bytes: size }));
}

/** A signature: its subgraph, and the numbers of its inputs' and outputs' tensors by the names that it gives them. */
function signatureFacts({ signatureKey = "", subgraphIndex = 0, inputs = [], outputs = [] }: SignatureDef) {
  const byName = (maps: readonly TensorMap[]) =>
    Object.fromEntries(maps.map(({ name = "", tensorIndex = 0 }) => [name, tensorIndex]));
  return { name: signatureKey, subgraph: subgraphIndex, inputs: byName(inputs), outputs: byName(outputs) };
}

function factsOf(model: Model, index: number) {
  const subgraph = model.subgraphs![index]!;
  const { inputs, outputs } = signatureNames(model, index);
  const tensors = (subgraph.tensors ?? []).map((tensor) => tensorFacts(model, tensor));
  return {
    name: subgraph.name ?? "",
    inputs: [...(subgraph.inputs ?? [])],
    outputs: [...(subgraph.outputs ?? [])],
    /** Names in signatures, by tensor. */
    signatureNames: { inputs: Object.fromEntries(inputs), outputs: Object.fromEntries(outputs) },
    tensors,
    operators: (subgraph.operators ?? []).map((operator) => ({
      op: operatorName(model, operator),
      inputs: [...(operator.inputs ?? [])],
      outputs: [...(operator.outputs ?? [])],
    })),
  };
}

function tensorFacts(model: Model, tensor: Tensor) {
  const { min, max, scale, zeroPoint, quantizedDimension } = tensor.quantization ?? {};
  const data = model.buffers?.[tensor.buffer ?? 0]?.data;
  return {
    name: tensor.name ?? "",
    dtype: nameOf(TensorType, tensor.type ?? 0),
    shape: [...(tensor.shape ?? [])],
    constant: (data?.length ?? 0) > 0,
    bytes: data?.length ?? 0,
    ...(min?.length && max?.length ? { min: [...min], max: [...max] } : {}),
    ...(scale?.length ? { scale: [...scale], zeroPoint: [...(zeroPoint ?? [])].map(Number) } : {}),
    ...((scale?.length ?? 0) > 1 ? { axis: quantizedDimension ?? 0 } : {}),
  };
}

function asText(facts: Facts, model: Model): string[] {
  const colours = coloursFor(1);
  const lines = [`${colours.bold(facts.path)}: ${facts.format}, ${sizeText(facts.bytes)}`];
  if (facts.description) lines.push(`  made by: ${facts.description}`);
  if (facts.signatures.length > 0) lines.push(`  signatures: ${signaturesText(facts)}`);
  if (facts.metadata.length > 0) lines.push(`  metadata: ${facts.metadata.join(", ")}`);
  const files = facts.files.map(({ name, bytes }) => `${name} (${sizeText(bytes)})`);
  if (files.length > 0) lines.push(`  associated files: ${files.join(", ")}`);
  for (const line of facts.unknown) lines.push(`  ${colours.yellow("not understood")}: ${line}`);
  for (const [index, graph] of facts.subgraphs.entries()) {
    if (facts.subgraphs.length > 1) lines.push(colours.bold(subgraphTitle(model, index)));
    lines.push(...graphText(graph, model.subgraphs![index]!.tensors ?? [], colours));
  }
  return lines;
}

/** `serving_default`, or of several subgraphs `encode (subgraph 0), decode (subgraph 1)`. */
function signaturesText({ signatureDefs, subgraphs }: Facts): string {
  const of = ({ name, subgraph }: Facts["signatureDefs"][number]) =>
    subgraphs.length > 1 ? `${name} (subgraph ${subgraph})` : name;
  return signatureDefs.map(of).join(", ");
}

function graphText(graph: SubgraphFacts, tensors: readonly Tensor[], colours: Colours): string[] {
  const at = (index: number) => graph.tensors[index]!;
  const tensorAt = (index: number) => tensors[index]!;
  const lines = [
    `  ${counted(graph.operators.length, "operator")}, ${counted(graph.tensors.length, "tensor")} (${counts(graph.tensors.map((t) => t.dtype))})`,
  ];
  const { signatureNames: named } = graph;
  for (const index of graph.inputs)
    lines.push(`  ${colours.cyan("input ")} ${endText(tensorAt(index), named.inputs[index])}`);
  for (const index of graph.outputs)
    lines.push(`  ${colours.cyan("output")} ${endText(tensorAt(index), named.outputs[index])}`);
  const width = Math.max(...graph.operators.map(({ op }) => op.length), 0);
  for (const { op, inputs, outputs } of graph.operators) {
    lines.push(
      `  ${colours.green(op.padEnd(width))} ${outputs.map((o) => (o < 0 ? "–" : tensorText(tensorAt(o)))).join("; ")}`,
    );
    for (const input of inputs) {
      if (input >= 0 && at(input).constant && elementCount(at(input).shape) > 1)
        lines.push(`  ${" ".repeat(width)}   ${colours.dim(tensorText(tensorAt(input)))}`);
    }
  }
  return lines;
}

/** An input or output, with its name in a signature where that is another one: `serving_default_x:0 FLOAT32[1,8] ("x" in the signature)`. */
function endText(tensor: Tensor, signatureName: string | undefined): string {
  const more =
    signatureName === undefined || signatureName === tensor.name ? "" : ` ("${signatureName}" in the signature)`;
  return `${tensorText(tensor)}${more}`;
}

function counts(values: readonly string[]): string {
  const found = new Map<string, number>();
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1);
  return [...found].map(([value, count]) => `${count} ${value}`).join(", ");
}
