/** Names of dtypes on the command line. Apart from the option table, which loads more than the drop-in fronts need. */
import type { Dtype } from "../graph/graph.ts";

export const IO_DTYPES: Readonly<Record<string, Dtype>> = {
  uint8: "UINT8",
  int16: "INT16",
  int32: "INT32",
  int64: "INT64",
  float32: "FLOAT32",
  bool: "BOOL",
};
