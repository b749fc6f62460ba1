/** The software bill of materials: CycloneDX 1.6 as JSON, from the same rows as the notices. */
import { Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";
import pkg from "../../package.json" with { type: "json" };
import type { BundledPackage } from "./bundle.ts";
import { COMPONENTS, type ComponentRow, type Whole } from "./components.ts";

/** `time`: the commit's, in seconds, so that the same commit gives the same file. */
export function sbomText(packages: readonly BundledPackage[], commit: string, time: number): string {
  const bom = new Models.Bom();
  const product = new Models.Component(Enums.ComponentType.Application, pkg.name, {
    bomRef: "minmaxq",
    version: pkg.version,
    description: pkg.description,
    licenses: licenses(pkg.license),
    purl: `pkg:npm/${pkg.name}@${pkg.version}`,
  });
  product.properties.add(new Models.Property("minmaxq:commit", commit));
  bom.metadata.component = product;
  bom.metadata.timestamp = new Date(time * 1000);
  const wholes = new Map<string, Models.Component>();
  const add = (component: Models.Component) => {
    bom.components.add(component);
    product.dependencies.add(component.bomRef);
    wholes.set(component.bomRef.value!, component);
  };
  for (const each of packages) {
    const purl = `pkg:npm/${each.name.replace("@", "%40")}@${each.version}`;
    const options = { bomRef: each.name, version: each.version, licenses: licenses(each.license), purl };
    add(new Models.Component(Enums.ComponentType.Library, each.name, options));
  }
  for (const row of COMPONENTS) {
    const isBun = row.name === "bun";
    const component = componentOf(row, isBun ? Bun.version : undefined);
    if (row.within === "minmaxq") add(component);
    else partsOf(wholes, row.within).add(component);
  }
  const normalizers = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6);
  return `${new Serialize.JsonSerializer(normalizers).serialize(bom, { sortLists: true, space: 2 })}\n`;
}

function partsOf(wholes: ReadonlyMap<string, Models.Component>, within: Whole) {
  const whole = wholes.get(within);
  if (!whole)
    throw new Error(`${within}: is not embedded any more; take its rows out of scripts/release/components.ts`);
  return whole.components;
}

function componentOf({ name, within, license, copyright, home }: ComponentRow, version?: string): Models.Component {
  const component = new Models.Component(Enums.ComponentType.Library, name, {
    bomRef: within === "minmaxq" ? name : `${within}/${name}`,
    licenses: licenses(license),
    copyright,
    ...(version !== undefined && { version, purl: `pkg:npm/${name}@${version}` }),
  });
  component.externalReferences.add(new Models.ExternalReference(home, Enums.ExternalReferenceType.Website));
  return component;
}

function licenses(license: string): Models.LicenseRepository {
  const isOne = /^[\w.-]+$/.test(license);
  const isNamed = /^SEE LICENSE/.test(license);
  const one = isNamed
    ? new Models.NamedLicense("see THIRD-PARTY-NOTICES.txt")
    : isOne
      ? new Models.SpdxLicense(license)
      : new Models.LicenseExpression(license);
  return new Models.LicenseRepository([one]);
}
