/**
 * The kernels' exports: what kernels.wit promises, the canonical ABI's own functions, and the arena for our host.
 *
 * The build makes a component from this module and fails when the contract and these functions differ.
 */

export { bias, biaslong } from "./bias";
export { blocks } from "./blocks";
export { dequantize } from "./dequantize";
export { factor } from "./factor";
export { fakeasym, fakesym } from "./fake";
export { fusedasym, fusedbyte, fusedsym } from "./fused";
export { half, tohalf } from "./half";
export { histogram } from "./histogram";
export { cabi_realloc, mark, place, release, reserve, reset } from "./memory";
export { columnsums, covariance, windowsums } from "./moments";
export { asymnear, symnear } from "./near";
export { crumbs, nibbles, unpack } from "./nibbles";
export { asymparameters, symparameters } from "./parameters";
export { propagatebyte, propagateshort } from "./propagate";
export { asym, asym0, sym, sym0, symbyte } from "./quantize";
export { channels, minmax, observe } from "./ranges";
export { descend, everyway, losses, shrunk, successive } from "./rounding";

import { reset } from "./memory";

// After a call the host of a component has copied the results out, and everything can go.
export function cabi_post_minmax(_area: usize): void {
  reset();
}
export function cabi_post_channels(_area: usize): void {
  reset();
}
export function cabi_post_observe(_area: usize): void {
  reset();
}
export function cabi_post_asym(_area: usize): void {
  reset();
}
export function cabi_post_asymparameters(_area: usize): void {
  reset();
}
export function cabi_post_symparameters(_area: usize): void {
  reset();
}
export function cabi_post_asymnear(_area: usize): void {
  reset();
}
export function cabi_post_symnear(_area: usize): void {
  reset();
}
export function cabi_post_fusedasym(_area: usize): void {
  reset();
}
export function cabi_post_fusedsym(_area: usize): void {
  reset();
}
export function cabi_post_asym0(_area: usize): void {
  reset();
}
export function cabi_post_sym(_area: usize): void {
  reset();
}
export function cabi_post_sym0(_area: usize): void {
  reset();
}
export function cabi_post_symbyte(_area: usize): void {
  reset();
}
export function cabi_post_propagatebyte(_area: usize): void {
  reset();
}
export function cabi_post_propagateshort(_area: usize): void {
  reset();
}
export function cabi_post_fakeasym(_area: usize): void {
  reset();
}
export function cabi_post_fakesym(_area: usize): void {
  reset();
}
export function cabi_post_bias(_area: usize): void {
  reset();
}
export function cabi_post_biaslong(_area: usize): void {
  reset();
}
export function cabi_post_half(_area: usize): void {
  reset();
}
export function cabi_post_nibbles(_area: usize): void {
  reset();
}
export function cabi_post_unpack(_area: usize): void {
  reset();
}
export function cabi_post_dequantize(_area: usize): void {
  reset();
}
export function cabi_post_histogram(_area: usize): void {
  reset();
}
export function cabi_post_fusedbyte(_area: usize): void {
  reset();
}
export function cabi_post_crumbs(_area: usize): void {
  reset();
}
export function cabi_post_tohalf(_area: usize): void {
  reset();
}
export function cabi_post_blocks(_area: usize): void {
  reset();
}
export function cabi_post_columnsums(_area: usize): void {
  reset();
}
export function cabi_post_covariance(_area: usize): void {
  reset();
}
export function cabi_post_windowsums(_area: usize): void {
  reset();
}
export function cabi_post_factor(_area: usize): void {
  reset();
}
export function cabi_post_successive(_area: usize): void {
  reset();
}
export function cabi_post_losses(_area: usize): void {
  reset();
}
export function cabi_post_descend(_area: usize): void {
  reset();
}
export function cabi_post_everyway(_area: usize): void {
  reset();
}
export function cabi_post_shrunk(_area: usize): void {
  reset();
}
