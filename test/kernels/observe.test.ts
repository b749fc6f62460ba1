/** Observing in somebody else's memory: the scalar loop, bit for bit, and not a byte of that memory changes. */
import { expect, test } from "bun:test";
import { observerOver } from "../../src/calibration/in-place.ts";
import { bitsOf, floats, KINDS } from "./data.ts";
import * as oracle from "./oracle.ts";

const FLT_MAX = 3.4028234663852886e38;
const memory = new WebAssembly.Memory({ initial: 1, maximum: 64 });
const observe = observerOver(memory);

function place(values: Float32Array, at: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(memory.buffer as ArrayBuffer);
  bytes.fill(0x7f);
  new Float32Array(memory.buffer, at, values.length).set(values);
  return bytes.slice();
}

test("what is passed over, alone and among others, at every place", () => {
  const passed = [Number.NaN, -FLT_MAX];
  for (const length of [1, 3, 16, 37, 64, 131])
    for (let place = 0; place < length; place++)
      for (const odd of [...passed, Number.NEGATIVE_INFINITY, FLT_MAX, -0])
        for (const rest of [...passed, FLT_MAX, 0, -2, 3]) {
          const values = new Float32Array(length).fill(rest);
          values[place] = odd;
          new Float32Array(memory.buffer, 4, length).set(values);
          const found = observe(4, length, false);
          const wanted = oracle.observe(values);
          expect(found.seen).toBe(wanted.seen > 0);
          if (wanted.seen > 0)
            expect([bitsOf(found.min), bitsOf(found.max)]).toEqual([bitsOf(wanted.min), bitsOf(wanted.max)]);
        }
});

test("every kind of values, length and place; memory that grows", () => {
  for (const kind of KINDS)
    for (let length = 0; length <= 67; length++) {
      const values = floats(kind, length, length * 7 + 1);
      const at = 4 * (length % 9);
      const before = place(values, at);
      const seen = observe(at, length, false);
      const wanted = oracle.observe(values);
      expect(seen.seen).toBe(wanted.seen > 0);
      if (wanted.seen > 0)
        expect([bitsOf(seen.min), bitsOf(seen.max)]).toEqual([bitsOf(wanted.min), bitsOf(wanted.max)]);
      expect(new Uint8Array(memory.buffer as ArrayBuffer)).toEqual(before);
      // As the reference's kernels would have clamped them (docs/calibration.md).
      const clamped = values.map((v) => (Math.abs(v) === Number.POSITIVE_INFINITY ? Math.sign(v) * FLT_MAX : v));
      const finite = observe(at, length, true);
      const held = oracle.observe(clamped);
      expect(finite.seen).toBe(held.seen > 0);
      if (held.seen > 0) expect([bitsOf(finite.min), bitsOf(finite.max)]).toEqual([bitsOf(held.min), bitsOf(held.max)]);
      expect(new Uint8Array(memory.buffer as ArrayBuffer)).toEqual(before);
    }
  memory.grow(3);
  const far = 3 * 65536;
  new Float32Array(memory.buffer, far, 3).set([-0, 5, Number.NEGATIVE_INFINITY]);
  expect(observe(far, 3, false)).toEqual({ min: Number.NEGATIVE_INFINITY, max: 5, seen: true });
  expect(observe(far, 3, true)).toEqual({ min: -0, max: 5, seen: true });
});
