/**
 * A model as a graph in Graphviz's language, each operator in the colour of its result's error (§8.5's `--dump_dot_graph`). Nodes are
 * called by tensors, operators by their first result, as visq calls them:
 *
 *     digraph "model.circle" {
 *       color_table [shape=none, label=< <table>…</table> >];
 *       "x" [label="input\nx"];
 *       "y" [label="RELU\ny", style=filled, fillcolor="#ffffcc", xlabel="TAE: 0.4000"];
 *       "x" -> "y";
 *     }
 */
import { activeNodes, type Graph, type Node } from "../graph/graph.ts";
import { fourDigits, type VisqErrors } from "./visq.ts";

/** Constants are left out. An operator whose result has no error (it is not rounded) is gray. */
export function visqDot(graph: Graph, { model, metric, bands, of }: VisqErrors): string {
  const nodes = activeNodes(graph);
  const shown = (node: Node) => node.kind === "input" || node.kind === "operator";
  const lines = nodes.filter(shown).flatMap((node) => {
    const label = `label=${quoted(`${node.op || node.kind}\n${node.name}`)}`;
    if (node.kind === "input") return [`  ${quoted(node.name)} [${label}];`];
    const error = of.get(node.name);
    const colour = error === undefined ? undefined : colourOf(error, bands);
    const look =
      error === undefined || colour === undefined
        ? "fillcolor=gray"
        : `fillcolor="${colour}", fontcolor="${textOn(colour)}", xlabel="${metric}: ${fixed(error)}"`;
    // A result is its operator's.
    const sources = node.inputs.flatMap((operand) => (operand?.kind === "result" ? operand.inputs : [operand]));
    return [
      `  ${quoted(node.name)} [${label}, style=filled, ${look}];`,
      ...[...new Set(sources)].flatMap((source) =>
        source && shown(source) ? [`  ${quoted(source.name)} -> ${quoted(node.name)};`] : [],
      ),
    ];
  });
  const rows = bands.map(({ b, e, c }) => `<tr> <td bgcolor="${c}">${metric}: ${fixed(b)} ~ ${fixed(e)}</td> </tr>`);
  return `${[
    `digraph ${quoted(model)} {`,
    `  color_table [shape=none, label=< <table>${rows.join("")}</table> >];`,
    ...lines,
    "}",
  ].join("\n")}\n`;
}

const fixed = (value: number) => fourDigits(value).toFixed(4);

/** The first band that holds an error; a last digit does not put it into the next one. */
function colourOf(error: number, bands: VisqErrors["bands"]): string {
  return (bands.find(({ e }) => error <= e * (1 + 1e-9)) ?? bands.at(-1)!).c;
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

/** A string of Graphviz's: quotes and backslashes escaped, lines as \n. */
function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
