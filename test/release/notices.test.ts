/** Notices and SBOM: everything that the bundle holds is in them, with a licence and its text. */
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import { type Bundle, readBundle } from "../../scripts/release/bundle.ts";
import { COMPONENTS, textsOf } from "../../scripts/release/components.ts";
import { licenseText, noticesText } from "../../scripts/release/notices.ts";
import { sbomText } from "../../scripts/release/sbom.ts";

setDefaultTimeout(60_000);

let bundle: Bundle;
beforeAll(async () => {
  bundle = await readBundle();
});

test("the bundle has every package that the program depends on, and what these bring", () => {
  const names = bundle.packages.map(({ name }) => name);
  expect(Object.keys(pkg.dependencies).filter((name) => !names.includes(name))).toEqual([]);
  expect(names).toContain("msgpackr");
  expect(Object.keys(pkg.devDependencies).filter((name) => names.includes(name))).toEqual([]);
});

test("every package's name, version and text are in the notices", () => {
  const text = noticesText(bundle.packages);
  for (const { name, version, texts } of bundle.packages) {
    expect(text).toContain(`${name} ${version}: `);
    for (const each of texts.values()) expect(text).toContain(each);
  }
  // LiteRT's comes without a text of its own.
  expect(text.match(/Apache License\s+Version 2\.0, January 2004/g)!.length).toBeGreaterThan(3);
});

test("a package without a licence text is refused", () => {
  const nameless = { name: "new-one", version: "1", license: "MIT", home: "", texts: new Map() };
  expect(() => noticesText([nameless])).toThrow("new-one: has no licence text");
});

test("every row's texts are in licenses/, and no other file is", () => {
  const used = new Set(COMPONENTS.flatMap(textsOf));
  const text = noticesText(bundle.packages);
  for (const name of used) expect(text).toContain(licenseText(name));
  const kept = readdirSync(join(import.meta.dir, "../../licenses")).filter((name) => name.endsWith(".txt"));
  expect(kept.filter((name) => !used.has(name.replace(/\.txt$/, "")))).toEqual([]);
  const withoutText = COMPONENTS.filter((row) => textsOf(row).length === 0).map(({ name }) => name);
  expect(withoutText).toEqual(["fft2d", "HDF5"]);
});

test("WebAssembly of every package that has some has rows of what it is made of", () => {
  const wasm = [...bundle.assets.keys()].filter((name) => name.endsWith(".wasm"));
  expect(wasm.length).toBeGreaterThan(6);
  for (const whole of ["@litertjs/core", "h5wasm", "@jsquash/jpeg", "@jsquash/png", "@jsquash/webp"])
    expect(COMPONENTS.some(({ within }) => within === whole)).toBe(true);
});

interface Sbom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly metadata: {
    readonly timestamp: string;
    readonly component: { readonly name: string; readonly version: string };
  };
  readonly components: readonly {
    readonly name: string;
    readonly version?: string;
    readonly licenses?: readonly object[];
    readonly components?: readonly { readonly name: string }[];
  }[];
}

test("the SBOM has the same, is CycloneDX, and is the same text every time", () => {
  const text = sbomText(bundle.packages, "0123", 1_795_774_830);
  expect(sbomText(bundle.packages, "0123", 1_795_774_830)).toBe(text);
  const sbom = JSON.parse(text) as Sbom;
  expect(sbom).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.6" });
  expect(sbom.metadata.timestamp).toBe("2026-11-27T10:20:30.000Z");
  expect(sbom.metadata.component).toMatchObject({ name: "minmaxq", version: pkg.version });
  const all = sbom.components.flatMap((each) => [each.name, ...(each.components ?? []).map(({ name }) => name)]);
  const wanted = [...bundle.packages, ...COMPONENTS].map(({ name }) => name);
  expect(all.toSorted()).toEqual(wanted.toSorted());
  expect(sbom.components.filter(({ licenses }) => !licenses?.length)).toEqual([]);
  expect(sbom.components.find(({ name }) => name === "bun")?.version).toBe(Bun.version);
});

test("the files that the build makes are in the bundle, compressed where few runs need them", () => {
  for (const name of ["kernels.wasm", "observe.wasm", "hdf5.wasm", "litert-first.wasm", "litert-rest.wasm"])
    expect([...bundle.assets.keys()]).toContain(name);
  expect(existsSync("build/kernels.wasm")).toBe(true);
  const magic = (name: string) => Buffer.from(bundle.assets.get(name)!.subarray(0, 4)).toString("hex");
  expect(["hdf5.wasm", "litert_wasm_internal.wasm"].map(magic)).toEqual(["28b52ffd", "28b52ffd"]);
  expect(magic("litert-first.wasm")).toBe("0061736d");
});
