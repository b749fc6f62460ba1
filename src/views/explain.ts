/** `--explain`: every scale and zero point of the result and where it comes from, as JSON. */
import { FileError, reasonOf } from "../base/errors.ts";
import type { Report, SubgraphReport, TensorReport } from "../driver/report.ts";

/** Writes the explanation of all quantized tensors, and of what stayed float. Throws a MinmaxqError. */
export async function writeExplanation(path: string, report: Report): Promise<void> {
  const explained = report.subgraphs.filter(({ quantized }) => quantized).map(explain);
  try {
    await Bun.write(path, `${JSON.stringify(explained, null, 2)}\n`);
  } catch (error) {
    throw new FileError(path, `the explanation cannot be written (${reasonOf(error)})`, { cause: error });
  }
}

function explain({ name, tensors }: SubgraphReport) {
  return {
    subgraph: name,
    tensors: tensors
      .filter(({ scale }) => scale)
      .map(({ chain, changes = [], float: _, kind: _kind, ...tensor }) => ({
        ...tensor,
        because: chain.at(-1)?.because,
        chain: [...changes.map(({ because }) => because), ...chain.map(linkText)],
      })),
    float: tensors
      .filter(({ float }) => float && float.code !== "border")
      .map(({ name, operator, float, range }) => ({
        name,
        operator,
        code: float!.code,
        because: float!.text,
        ...(range && { range }),
      })),
  };
}

function linkText({ because, dtype, scale, zeroPoint }: TensorReport["chain"][number]): string {
  return scale === undefined ? `${because}: a range` : `${because}: ${dtype} scale ${scale} zero point ${zeroPoint}`;
}
