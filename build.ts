/**
 * Builds minmaxq. Needs Bun and the installed packages, nothing else.
 *
 *     bun run build.ts --generate    what the sources need: build/kernels.wasm and observe.wasm, the component, types, the schema
 *     bun run build.ts               that, then the executable dist/minmaxq
 *
 * kernels/kernels.wit is the contract of the kernels: a component is made from the compiled module against it, which
 * fails when an export is missing or has another type, and the TypeScript types of the kernels come from it.
 */
import { existsSync, mkdirSync } from "node:fs";
import { componentEmbed, componentNew, componentWit, transpile } from "@bytecodealliance/jco";
import asc from "assemblyscript/asc";
import { PACK_WASM } from "./scripts/pack-wasm.ts";
import { provenanceOf } from "./scripts/release/provenance.ts";
import { writeParts } from "./scripts/wasm/litert.ts";
import { PATIENCE_AT_START } from "./src/base/optimizer.ts";

/** Exports of the module that are no part of the contract: the arena for our own host, and the canonical ABI. */
const ARENA = ["mark", "place", "release", "reserve", "reset"];

/** Compiles kernels/ to build/kernels.wasm: SIMD, no runtime, no garbage collector, no imports. */
export async function compileKernels(): Promise<Uint8Array<ArrayBuffer>> {
  mkdirSync("build", { recursive: true });
  const { error, stderr } = await asc.main([
    "kernels/index.ts",
    ...["--outFile", "build/kernels.wasm"],
    ...["-O3", "--noAssert", "--converge"],
    ...["--runtime", "stub", "--use", "abort="],
    ...["--enable", "simd"],
  ]);
  if (error) throw new Error(`kernels: AssemblyScript refused them:\n${stderr.toString()}`);
  const binary = await Bun.file("build/kernels.wasm").bytes();
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(binary));
  if (imports.length > 0) throw new Error(`kernels: must not import anything, but import "${imports[0]!.name}"`);
  return binary;
}

/**
 * Compiles kernels/observe.ts to build/observe.wasm. Its memory is imported and belongs to another module, so nothing of the module
 * may lie in it.
 */
export async function compileObserver(): Promise<void> {
  mkdirSync("build", { recursive: true });
  const { error, stderr } = await asc.main([
    "kernels/observe.ts",
    ...["--outFile", "build/observe.wasm"],
    ...["-O3", "--noAssert", "--converge"],
    ...["--runtime", "stub", "--use", "abort="],
    ...["--enable", "simd"],
    ...["--importMemory", "--noExportMemory"],
  ]);
  if (error) throw new Error(`kernels/observe.ts: AssemblyScript refused it:\n${stderr.toString()}`);
  const binary = await Bun.file("build/observe.wasm").bytes();
  const module = new WebAssembly.Module(binary);
  const imports = WebAssembly.Module.imports(module).map(({ module, name }) => `${module}.${name}`);
  if (imports.join() !== "env.memory") throw new Error(`kernels/observe.ts: imports ${imports}, not just memory`);
  if (sectionsOf(binary).includes(DATA_SECTION)) throw new Error("kernels/observe.ts: has data in its imported memory");
}

/** Id of the section that initializes memory (WebAssembly Core 1.0, 5.5.14). */
const DATA_SECTION = 11;

/** Ids of a module's sections: each is an id and a LEB128 size. */
function sectionsOf(binary: Uint8Array): number[] {
  const ids: number[] = [];
  for (let at = 8; at < binary.length; ) {
    ids.push(binary[at++]!);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = binary[at++]!;
      size += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    at += size;
  }
  return ids;
}

/**
 * The component of a kernel module under the contract `witSource`.
 * Throws one line when an export is missing, has another type, or is not in the contract.
 */
export async function makeComponent(binary: Uint8Array<ArrayBuffer>, witSource: string): Promise<Uint8Array> {
  let component: Uint8Array;
  try {
    component = await componentNew(await componentEmbed({ binary, witSource }));
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, " ").trim();
    throw new Error(`kernels: kernels.wit and the code differ: ${reason}`);
  }
  const promised = [...(await componentWit(component)).matchAll(/^\s*export ([a-z0-9-]+):/gm)].map(
    (match) => match[1]!,
  );
  const exported = WebAssembly.Module.exports(new WebAssembly.Module(binary)).map(({ name }) => name);
  // Without its cabi_post a function's results would stay in the memory of the component for ever.
  const wanted = ["memory", "cabi_realloc", ...ARENA, ...promised, ...promised.map((name) => `cabi_post_${name}`)];
  const missing = wanted.find((name) => !exported.includes(name));
  const surplus = exported.find((name) => !wanted.includes(name));
  if (missing !== undefined) throw new Error(`kernels: kernels.wit and the code differ: the code lacks "${missing}"`);
  if (surplus !== undefined) throw new Error(`kernels: kernels.wit and the code differ: it has no "${surplus}"`);
  return component;
}

/**
 * TypeScript types of the contract's functions, to build/kernels.d.ts.
 * From the component, which carries the contract: jco's `types` wants to read the WIT file itself, and cannot under Bun.
 */
export async function generateTypes(component: Uint8Array): Promise<void> {
  const { files } = await transpile(component, { name: "kernels", instantiation: "sync" });
  await Bun.write("build/kernels.d.ts", files["kernels.d.ts"]!);
}

/** All generated files that sources and tests import. */
export async function generate(): Promise<void> {
  const binary = await step("kernels    build/kernels.wasm", compileKernels);
  await step("kernels    build/observe.wasm", compileObserver);
  await step("component  build/kernels.component.wasm", async () => {
    const component = await makeComponent(binary, await Bun.file("kernels/kernels.wit").text());
    await Bun.write("build/kernels.component.wasm", component);
    await generateTypes(component);
  });
  await step("LiteRT     build/litert-*.wasm", () => writeParts("build"));
  const schemaGenerator = "./scripts/generate-schema.ts";
  if (existsSync(schemaGenerator)) {
    await step("schema     src/model/schema.gen.ts", async () => {
      const { generateSchema }: { generateSchema(): Promise<void> } = await import(schemaGenerator);
      await generateSchema();
    });
  }
  const libraryGenerator = "./scripts/generate-library-options.ts";
  if (existsSync(libraryGenerator)) {
    await step("library    library/options.gen.ts", async () => {
      // Loaded here: it reads the tables, and they need all that was made before.
      const { generateLibraryOptions }: { generateLibraryOptions(): Promise<void> } = await import(libraryGenerator);
      await generateLibraryOptions();
    });
  }
}

// Bun does not follow `new Worker(new URL(…))`, so workers are entry points of their own. In the executable they lie
// below its root as they do below src/, and import.meta.url of all code of start.ts is the root: a Worker's URL must be
// made in a file that is directly in src/, or tell the two cases apart.
const WORKERS = ["weights", "engine", "compare", "accuracy", "search"].map((folder) => `src/${folder}/worker.ts`);

/** What an executable is bundled from, and how; scripts/release looks at the same bundle. */
export const BUNDLE: Bun.BuildConfig = {
  entrypoints: ["src/start.ts", ...WORKERS],
  root: "src",
  target: "bun",
  minify: { syntax: true, whitespace: true },
  format: "esm",
  // What a command does not need is not loaded: chunks for each dynamic import.
  splitting: true,
  plugins: [PACK_WASM],
  // Else scripts of packages would be told where they lay on the machine that builds, and look for native code there on all others.
  define: { __dirname: '"/$bunfs/root"', __filename: '"/$bunfs/root/index.js"' },
};

/** The executable, for this machine or for another Bun target such as "bun-linux-arm64". */
export async function compileExecutable(outfile = "dist/minmaxq", target?: Bun.Build.CompileTarget): Promise<void> {
  await Bun.build({
    ...BUNDLE,
    define: { ...BUNDLE.define, MINMAXQ_PROVENANCE: JSON.stringify(provenanceOf(target ?? "this machine")) },
    // Parsed at build time: the executable starts in 20 ms instead of 100.
    bytecode: true,
    // What a .env or bunfig.toml in the current directory says is nothing to an installed program.
    compile: {
      outfile,
      ...(target && { target }),
      jitPolicy: PATIENCE_AT_START,
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  await Bun.write("dist/kernels.component.wasm", Bun.file("build/kernels.component.wasm"));
}

/** Runs a step and prints its line: what was made, and how long it took. */
async function step<T>(line: string, run: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await run();
  console.log(`${line.padEnd(46)} ${((performance.now() - start) / 1000).toFixed(2)} s`);
  return result;
}

if (import.meta.main) {
  // Every path here is relative to the top of the tree, so that none of this machine gets into a binary.
  process.chdir(import.meta.dir);
  try {
    await generate();
    if (!process.argv.includes("--generate")) await step("executable dist/minmaxq", () => compileExecutable());
  } catch (error) {
    const lines = error instanceof AggregateError ? error.errors.map(String) : [];
    console.error([error instanceof Error ? error.message : String(error), ...lines].join("\n"));
    process.exit(1);
  }
}
