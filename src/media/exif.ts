/**
 * How a camera was held: the tag Orientation of EXIF data. Source: CIPA DC-008 (Exif 3.0) 4.6.5, TIFF 6.0 section 2.
 */

const ORIENTATION = 0x0112;
const SHORT = 3;

/** The orientation, 1 to 8; undefined where none is said or the data cannot be read. An "Exif" heading may stand before the data. */
export function orientationOf(bytes: Uint8Array): number | undefined {
  const headed = String.fromCharCode(...bytes.subarray(0, 4)) === "Exif" && bytes[4] === 0;
  const data = headed ? bytes.subarray(6) : bytes;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  try {
    const order = view.getUint16(0);
    if (order !== 0x4949 && order !== 0x4d4d) return undefined;
    const little = order === 0x4949;
    if (view.getUint16(2, little) !== 42) return undefined;
    const directory = view.getUint32(4, little);
    const entries = view.getUint16(directory, little);
    for (let i = 0; i < entries; i++) {
      const at = directory + 2 + 12 * i;
      if (view.getUint16(at, little) !== ORIENTATION || view.getUint16(at + 2, little) !== SHORT) continue;
      const value = view.getUint16(at + 8, little);
      return value >= 1 && value <= 8 ? value : undefined;
    }
  } catch {
    // It points outside itself.
  }
  return undefined;
}
