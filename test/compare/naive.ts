/** The formulas of src/compare/metrics.ts over whole tensors of all records, without any cleverness. */

export function naive(records: readonly (readonly [Float32Array, Float32Array])[]) {
  const pairs = records.flatMap(([a, b]) => [...a].map((x, i) => [x, b[i]!] as const));
  const sum = (term: (a: number, b: number) => number) => pairs.reduce((total, [a, b]) => total + term(a, b), 0);
  const mean = (term: (a: Float32Array, b: Float32Array) => number) =>
    records.reduce((total, [a, b]) => total + term(a, b), 0) / records.length;
  const top = (of: Float32Array, k: number) => [...of.keys()].sort((i, j) => of[j]! - of[i]! || i - j).slice(0, k);
  const match = (k: number) =>
    records[0]![0].length < k ? null : mean((a, b) => top(a, k).filter((i) => top(b, k).includes(i)).length / k);
  const peak = (a: Float32Array, b: Float32Array) => Math.max(...[...a].map((x, i) => Math.abs(x - b[i]!)));
  const interval = (a: Float32Array) => Math.max(...a) - Math.min(...a);
  const ends = (of: (record: readonly [Float32Array, Float32Array]) => number) => {
    const all = records.map(of);
    return [Math.min(...all), Math.max(...all)] as const;
  };
  const different = pairs.filter(([a]) => a !== 0);
  const relative = different.reduce((total, [a, b]) => total + Math.abs((a - b) / a), 0);
  const noise = sum((a, b) => (a - b) ** 2);
  const [aa, bb, ab] = [sum((a) => a * a), sum((_, b) => b * b), sum((a, b) => a * b)];
  return {
    mae: sum((a, b) => Math.abs(a - b)) / pairs.length,
    mse: noise / pairs.length,
    mape: different.length === 0 ? null : (100 * relative) / different.length,
    mpeir: mean((a, b) => peak(a, b) / (interval(a) === 0 ? 1 : interval(a))),
    top1: match(1),
    top5: match(5),
    sqnr: noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(aa / noise),
    cosine: aa === 0 && bb === 0 ? 1 : aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb),
    zeros: pairs.length - different.length,
    notFinite: 0,
    visqMpeir: mean((a, b) => peak(a, b) / (interval(a) + 1e-6)),
    tae: sum((a, b) => Math.abs(a - b)) / records.length,
    ofRecords: {
      mse: ends(([a, b]) => a.reduce((total, x, i) => total + (x - b[i]!) ** 2, 0) / a.length),
      tae: ends(([a, b]) => a.reduce((total, x, i) => total + Math.abs(x - b[i]!), 0)),
    },
  };
}
