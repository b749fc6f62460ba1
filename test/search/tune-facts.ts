/** What `tune --json` says, as far as tests read it. */

export interface Point {
  what: string;
  share: number;
  cost: number;
  bytes: number;
  sqnr: (number | null)[];
  unseen?: (number | null)[];
  score?: number;
}
export interface Facts {
  points: Point[];
  unreachable: { output: string; text: string }[];
  /** Schemes by name. */
  layers: Record<string, string>;
  checkDecides: boolean;
  holdsOnUnseen: boolean | null;
  output: { path: string; bytes: number };
}

/** The worst output, in dB; without error it is infinite. */
export const worst = ({ sqnr }: Point) => Math.min(...sqnr.map((each) => each ?? Number.POSITIVE_INFINITY));
export const pointOf = ({ points }: Facts, what: string) => points.find((each) => each.what === what);
