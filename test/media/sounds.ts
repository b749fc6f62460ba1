/** WAV files made by hand after the format. */
export function wav(
  data: Uint8Array,
  { code = 1, channels = 1, rate = 16000, bits = 16, size = data.length } = {},
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(44 + data.length);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from("RIFF"));
  view.setUint32(4, 36 + data.length, true);
  bytes.set(Buffer.from("WAVEfmt "), 8);
  view.setUint32(16, 16, true);
  view.setUint16(20, code, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, (rate * channels * bits) / 8, true);
  view.setUint16(32, (channels * bits) / 8, true);
  view.setUint16(34, bits, true);
  bytes.set(Buffer.from("data"), 36);
  view.setUint32(40, size, true);
  bytes.set(data, 44);
  return bytes;
}
