/** What this executable was made of: `minmaxq --version --verbose`. */
import pkg from "../../package.json" with { type: "json" };

/** What the build knows and the program cannot; build.ts puts it in the place of the name below. */
export interface Provenance {
  /** Of the last commit, and when it was made (ISO 8601). */
  readonly commit: string;
  readonly date: string;
  /** Files were changed since that commit. */
  readonly changed: boolean;
  /** Bun's name of the platform. */
  readonly target: string;
  /** Versions of what the build uses and puts in, by name. */
  readonly packages: Readonly<Record<string, string>>;
}

declare const MINMAXQ_PROVENANCE: Provenance;

/** Lines for people; the first is the version with the program's name. */
export function provenanceLines(): string[] {
  const rows: [string, string][] =
    typeof MINMAXQ_PROVENANCE === "undefined"
      ? [["built", "not at all: runs from its sources"]]
      : built(MINMAXQ_PROVENANCE);
  rows.push(["runtime", `Bun ${Bun.version} (${Bun.revision}), ${process.platform} ${process.arch}`]);
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return [`minmaxq ${pkg.version}`, ...rows.map(([name, text]) => `  ${name.padEnd(width)}${text}`)];
}

function built({ commit, date, changed, target, packages }: Provenance): [string, string][] {
  return [
    ["commit", `${commit}${changed ? ", with changes" : ""}`],
    ["date", date],
    ["built for", target],
    ...Object.entries(packages),
  ];
}
