import { expect, test } from "bun:test";
import { transpile } from "@bytecodealliance/jco";
import { makeComponent } from "../../build.ts";
import { type KernelFunctions, loadKernels } from "../../src/weights/kernels.ts";
import { bitsOf, floats, parameters } from "./data.ts";

const root = new URL("../..", import.meta.url);
const binary = await Bun.file(new URL("build/kernels.wasm", root)).bytes();
const wit = await Bun.file(new URL("kernels/kernels.wit", root)).text();

/** The component as jco turns it into JavaScript, instantiated. */
async function transpiled(): Promise<KernelFunctions> {
  const component = await Bun.file(new URL("build/kernels.component.wasm", root)).bytes();
  const { files } = await transpile(component, { name: "kernels", instantiation: "sync" });
  const script = new Blob([files["kernels.js"]! as Uint8Array<ArrayBuffer>], { type: "text/javascript" });
  const { instantiate } = await import(URL.createObjectURL(script));
  return instantiate((path: string) => new WebAssembly.Module(files[path]! as Uint8Array<ArrayBuffer>), {});
}

test("the component, called through jco, gives what the module gives", async () => {
  const component = await transpiled();
  const kernels = loadKernels();
  const values = floats("special", 84, 11);
  const { nmin, nmax, inv, scale } = parameters(7, 11);
  const none = new Float32Array(0);
  // Several rounds: memory that a call does not give back would show.
  for (let round = 0; round < 3; round++) {
    expect(component.minmax(values)).toEqual(kernels.minmax(values));
    expect(component.observe(values)).toEqual(kernels.observe(values));
    expect(component.channels(values, 7, 3, none, none)).toEqual(kernels.channels(values, 7, 3, none, none));
    expect(component.channels(values, 7, 3, nmin, nmax)).toEqual(kernels.channels(values, 7, 3, nmin, nmax));
    expect(component.asym(values, 7, 3, nmin, nmax, inv)).toEqual(kernels.asym(values, 7, 3, nmin, nmax, inv));
    expect(component.asymparameters(nmin, nmax)).toEqual(kernels.asymparameters(nmin, nmax));
    expect(component.symparameters(nmin, nmax, 127, 1e-5)).toEqual(kernels.symparameters(nmin, nmax, 127, 1e-5));
    expect(component.asymnear(values.map(Math.sign), 7, 3, nmin, inv)).toEqual(
      kernels.asymnear(values.map(Math.sign), 7, 3, nmin, inv),
    );
    expect(component.symnear(values, 7, 3, inv)).toEqual(kernels.symnear(values, 7, 3, inv));
    expect(component.asym0(values, 7, 1, nmin, inv)).toEqual(kernels.asym0(values, 7, 1, nmin, inv));
    expect(component.sym(values, 7, 1, nmin, nmax, inv, 32767)).toEqual(
      kernels.sym(values, 7, 1, nmin, nmax, inv, 32767),
    );
    expect(component.sym0(values, 7, 2, inv)).toEqual(kernels.sym0(values, 7, 2, inv));
    expect(component.symbyte(values, 7, 1, nmin, nmax, inv, 7)).toEqual(
      kernels.symbyte(values, 7, 1, nmin, nmax, inv, 7),
    );
    expect(component.propagatebyte(values, 0.5, 3)).toEqual(kernels.propagatebyte(values, 0.5, 3));
    expect(component.propagateshort(values, 0.5, 3)).toEqual(kernels.propagateshort(values, 0.5, 3));
    expect(bitsOf(component.fakeasym(values, 7, 3, nmin, nmax, inv, scale))).toEqual(
      bitsOf(kernels.fakeasym(values, 7, 3, nmin, nmax, inv, scale)),
    );
    expect(bitsOf(component.fakesym(values, 7, 3, nmin, nmax, inv, scale, 127))).toEqual(
      bitsOf(kernels.fakesym(values, 7, 3, nmin, nmax, inv, scale, 127)),
    );
    expect(component.bias(values, 0.1, scale.slice(0, 1))).toEqual(kernels.bias(values, 0.1, scale.slice(0, 1)));
    expect(component.biaslong(values, 0.1, scale.slice(0, 1))).toEqual(
      kernels.biaslong(values, 0.1, scale.slice(0, 1)),
    );
    expect(component.half(Uint16Array.of(0x3c00, 0x8001, 0x7c00))).toEqual(
      Float32Array.of(1, -(2 ** -24), Number.POSITIVE_INFINITY),
    );
    const pages = Int32Array.from({ length: 512 }, (_, octave) => (octave % 7 === 0 ? -1 : 1024 * (octave % 3)));
    const counts = Uint32Array.from({ length: 3072 }, (_, i) => i);
    expect(component.histogram(values, pages, counts)).toEqual(kernels.histogram(values, pages, counts));
    expect(component.tohalf(Float32Array.of(1, 65520, -(2 ** -24)))).toEqual([
      Uint16Array.of(0x3c00, 0x7c00, 0x8001),
      1,
    ]);
    const byte = component.fusedbyte(values.map(Math.sign), 7, 12, 7, 1e-9);
    expect(byte).toEqual(kernels.fusedbyte(values.map(Math.sign), 7, 12, 7, 1e-9));
    expect(component.blocks(values.map(Math.sign), 12, 7)).toEqual(kernels.blocks(values.map(Math.sign), 12, 7));
    expect(component.crumbs(Int8Array.of(1, -1, 0, 1, -1))).toEqual(Uint8Array.of(0x4d, 0x03));
    expect(component.nibbles(Int8Array.of(1, -1, 7))).toEqual(Uint8Array.of(0xf1, 0x07));
  }
});

test("the build accepts the contract and refuses one that differs from the code", async () => {
  expect((await makeComponent(binary, wit)).length).toBeGreaterThan(1000);
  const cases: [changed: string, to: string, message: RegExp][] = [
    ["export minmax: func(values: list<f32>) -> range;", "export smallest: func() -> f32;", /differ: .*smallest/],
    ["export half: func(values: list<u16>) -> list<f32>;", "export half: func(values: f64) -> f32;", /differ: .*half/],
    ["sin: f32, sw: list<f32>) -> tuple", "sin: f64, sw: list<f32>) -> tuple", /differ: .*bias/],
    ["export nibbles: func(values: list<s8>) -> list<u8>;", "", /differ: .*"(cabi_post_)?nibbles"/],
  ];
  for (const [changed, to, message] of cases) {
    expect(wit).toContain(changed);
    const refusal = await makeComponent(binary, wit.replace(changed, to)).then(
      () => "accepted",
      (error: Error) => error.message,
    );
    expect(refusal).toMatch(message);
    expect(refusal).not.toContain("\n");
  }
});
