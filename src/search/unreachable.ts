/** Why a target cannot be reached though every layer has the most bits: what then limits each output. */
import type { Graph, Node } from "../graph/graph.ts";
import type { Dtype } from "../model/tensor-types.ts";
import { type Noise, type Noises, sqnrOf } from "./bench.ts";
import type { Candidates } from "./candidates.ts";
import type { Level } from "./levels.ts";

const dB = (noise: Noise) => `${sqnrOf(noise).toFixed(1)} dB`;

/** An output that cannot be reached. */
export interface Limit {
  readonly output: string;
  /** What limits it, and what to do. */
  readonly text: string;
}

/**
 * What limits each output that has more noise than is allowed. What its own rounding costs, that of the inputs and that of the layer that
 * yields it is measured by giving them more bits.
 */
export async function limitsOf(
  graph: Graph,
  candidates: Candidates,
  high: Noises,
  allowed: Noises,
): Promise<readonly Limit[]> {
  const { units, levels, bench, session } = candidates.init;
  const { weights } = session.settings;
  const options = session.settings.options!;
  const all = units.map(() => levels.length - 1);
  const last = levels.at(-1)!;
  const { name } = last;
  if (weights)
    return bench.outputs.flatMap((output, i) =>
      high[i]! <= allowed[i]!
        ? []
        : [
            {
              output,
              text: `reaches ${dB(high[i]!)} of ${dB(allowed[i]!)} with all layers ${name}: ${last.weights ? "use --levels with float32" : "weights of operators without names of their own limit it"}`,
            },
          ],
    );
  const finest = last.scheme?.activation.dtype ?? "FLOAT32";
  const asked = (inputs: boolean) => ({
    options: { ...options, outputDtypes: [finest], ...(inputs && { inputDtypes: [finest] }) },
  });
  const outputs = await candidates.noisesWith(all, asked(false));
  const both = await candidates.noisesWith(all, asked(true));
  const float = ["FLOAT32"] as const;
  const borders = { options: { ...options, inputDtypes: float, outputDtypes: float } };
  const limits: Limit[] = [];
  for (const [i, output] of bench.outputs.entries()) {
    if (high[i]! <= allowed[i]!) continue;
    const say = (text: string) => {
      const reached = `reaches ${dB(high[i]!)} of ${dB(allowed[i]!)} with all layers ${name}`;
      limits.push({ output, text: `${reached}: ${text}` });
    };
    const own = graph.outputs[i]?.inputs[0];
    if (outputs[i]! <= allowed[i]!) say(ownLimit(own, candidates, finest));
    else if (both[i]! <= allowed[i]!)
      say(
        `the rounding of inputs and outputs limits it: use --input-dtype ${finest.toLowerCase()} --output-dtype ${finest.toLowerCase()}`,
      );
    else if (own && (await withoutLayer(own, i)) <= allowed[i]!)
      say(`${stepsText(own, last)}; leave that layer float: --layer '${own.name}=float32' --output-dtype float32`);
    else
      say(
        `${dB(both[i]!)} with inputs and outputs of ${finest.toLowerCase()}, so ${name} itself limits it, or values outside the ranges of the samples; give more samples, or --levels with float32; 'minmaxq diagnose' says more`,
      );
  }
  return limits;

  /** Noise of an output whose own layer is float, too. */
  async function withoutLayer(own: Node, output: number): Promise<Noise> {
    if (own.row.mixed === undefined) return Number.POSITIVE_INFINITY;
    return (await candidates.noisesWith(all, borders, [`${own.name}=float32`]))[output]!;
  }
}

function stepsText({ op, row: { out } }: Node, { name, scheme }: Level): string {
  const fixed =
    scheme && out.role === "special" && out.kind !== "integer" ? scheme.activation.fixed[out.kind] : undefined;
  return fixed
    ? `its ${op} has steps of 1/${Math.round(1 / fixed.scale)} in ${name}, and its values are not much larger`
    : `its ${op} limits it in ${name}`;
}

/** That an output's own rounding limits it, by the operator that yields it. */
function ownLimit(node: Node | null | undefined, { init: { session } }: Candidates, finest: Dtype): string {
  const operator = node?.op || "own";
  const { activation } = session.settings.options!.scheme;
  const { out } = node?.row ?? {};
  const fixed = out?.role === "special" && out.kind !== "integer" ? activation.fixed[out.kind] : undefined;
  const why = fixed
    ? `its ${operator} output has steps of 1/${Math.round(1 / fixed.scale)}`
    : `its ${operator} output is rounded to ${activation.dtype.toLowerCase()}`;
  return `${why}: use --output-dtype ${finest.toLowerCase()}`;
}
