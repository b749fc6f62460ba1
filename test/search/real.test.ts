/** Real models with their data: noises add up, and tuning is no worse than ONE's bisection. Needs ../shared. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { shared } from "../calibration/support.ts";
import { cleanUpAfterwards, folder, succeeded } from "../cli/support.ts";

cleanUpAfterwards();
setDefaultTimeout(600_000);

const MODELS = {
  face_detection_short_range: "face_128.npz",
  iris_landmark: "iris_64.npz",
  hand_landmark_lite: "hand_224.npz",
};

for (const [name, samples] of Object.entries(MODELS)) {
  const model = shared(`models/${name}.tflite`);
  const data = shared(`calibration/${samples}`);
  test.skipIf(!model || !data)(`${name}: single noises add up to that of all`, async () => {
    // The conditions of the figures below: activations alone, 8 bits, minimum and maximum.
    const args = ["diagnose", model!, "--data", data!, "--scheme", "int8", "--mode", "minmax", "--json", "--quiet"];
    const { out } = await succeeded(args, { cwd: folder() });
    const { outputs, unmatchedConstants } = JSON.parse(out);
    expect(unmatchedConstants).toEqual([]);
    for (const { sqnr, roundings } of outputs) {
      const inner = roundings.filter(
        (each: { place: string; sqnr: number | null }) => each.place === "inner" && each.sqnr !== null,
      );
      const noise = inner.reduce((sum: number, each: { sqnr: number }) => sum + 10 ** (-each.sqnr / 10), 0);
      // accuracy-methods.md, 0.3: in the worst case, an output of iris_landmark, 29.3 dB are predicted and 34.8 measured.
      expect(Math.abs(-10 * Math.log10(noise) - sqnr.activations)).toBeLessThanOrEqual(34.8 - 29.3);
      expect(roundings.at(-1).cumulated).toBeCloseTo(1, 6);
    }
  });
}

const model = shared("models/face_detection_short_range.tflite");
const data = shared("calibration/face_128.npz");
test.skipIf(!model || !data)("face_detection_short_range: a share is used better than by a cut", async () => {
  for (const percent of [10, 20, 30]) {
    const args = ["tune", model!, "--data", data!, "--at-most", `${percent}%`, "-o", "q.circle", "--json", "--quiet"];
    const { points } = JSON.parse((await succeeded(args, { cwd: folder() })).out);
    const of = (what: string) => points.find((point: { what: string }) => point.what === what);
    const mean = ({ sqnr }: { sqnr: number[] }) => sqnr.reduce((sum, each) => sum + each, 0) / sqnr.length;
    for (const what of ["result", "front split", "back split"])
      expect(of(what).share).toBeLessThanOrEqual(percent / 100 + 1e-9);
    for (const what of ["front split", "back split", "all low"])
      expect(mean(of("result"))).toBeGreaterThanOrEqual(mean(of(what)));
  }
});

test.skipIf(!model || !data)("face_detection_short_range: a target costs no more than by bisection", async () => {
  const args = ["tune", model!, "--data", data!, "--until", "sqnr=20", "-o", "q.circle", "--json", "--quiet"];
  const { points, unreachable } = JSON.parse((await succeeded(args, { cwd: folder() })).out);
  expect(unreachable).toEqual([]);
  const of = (what: string) => points.find((point: { what: string }) => point.what === what);
  for (const what of ["result", "bisection"]) expect(Math.min(...of(what).sqnr)).toBeGreaterThanOrEqual(20);
  expect(of("result").cost).toBeLessThanOrEqual(of("bisection").cost);
  // What is predicted gets better along the front.
  const front = points.filter((point: { what: string }) => point.what === "front");
  for (const [i, { cost }] of front.entries()) if (i > 0) expect(cost).toBeGreaterThan(front[i - 1].cost);
});
