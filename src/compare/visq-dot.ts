/**
 * A model as a graph in Graphviz's language, each operator in the colour of its tensor's error (§8.5's `--dump_dot_graph`):
 *
 *     digraph "model" {
 *       n0 [label="input\nx\n0.0012", fillcolor="#f2f7ee"];
 *       n0 -> n1;
 *     }
 */
import { activeNodes, type Graph, isConstant, type Node } from "../graph/graph.ts";
import type { VisqFile } from "./visq.ts";

/** Constants are left out. A tensor that has no error (it is not rounded) is white. */
export function visqDot(graph: Graph, { meta, error: [errors] }: VisqFile): string {
  const nodes = activeNodes(graph).filter((node) => !isConstant(node));
  const number = new Map(nodes.map((node, i) => [node, i]));
  const lines = nodes.flatMap((node, i) => {
    const error = Object.hasOwn(errors, node.name) && node.kind !== "output" ? errors[node.name]! : undefined;
    const label = [titleOf(node), node.name, ...(error === undefined ? [] : [String(error)])];
    const colour = error === undefined ? "#ffffff" : colourOf(error, meta.colorscheme);
    const edges = new Set(node.inputs.flatMap((operand) => (operand && number.has(operand) ? [operand] : [])));
    return [
      `  n${i} [label=${quoted(label.join("\n"))}, fillcolor="${colour}", fontcolor="${textOn(colour)}"];`,
      ...[...edges].map((operand) => `  n${number.get(operand)} -> n${i};`),
    ];
  });
  const legend = meta.colorscheme.map(
    ({ b, e, c }, i) =>
      `    legend${i} [label=${quoted(`${shortened(b)} – ${shortened(e)}`)}, fillcolor="${c}", fontcolor="${textOn(c)}"];`,
  );
  return `${[
    `digraph ${quoted(meta.model)} {`,
    `  label=${quoted(`${meta.model}: ${meta.metric}`)};`,
    '  node [shape=box, style="rounded,filled"];',
    ...lines,
    "  subgraph cluster_legend {",
    `    label=${quoted(meta.metric)};`,
    ...legend,
    "  }",
    "}",
  ].join("\n")}\n`;
}

function titleOf(node: Node): string {
  if (node.kind === "result") return `${node.inputs[0]!.op} result ${node.resultIndex}`;
  return node.op || node.kind;
}

/** The band that an error is in; what rounding put beyond the last one has its colour. */
function colourOf(error: number, bands: VisqFile["meta"]["colorscheme"]): string {
  return (bands.find(({ e }) => error <= e) ?? bands.at(-1)!).c;
}

/** Black on light colours, white on dark ones, by their weighted brightness. */
function textOn(colour: string): string {
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)) as [
    number,
    number,
    number,
  ];
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#000000" : "#ffffff";
}

const shortened = (value: number) => String(Number(value.toPrecision(4)));

/** A string of Graphviz's: quotes and backslashes escaped, lines as \n. */
function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
