// Files to inputs of the model: images, sound (.wav) and arrays (.npy).
import { imageTensor } from "./image.mjs";

export const ARRAYS = {
  float32: Float32Array, float64: Float64Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array,
  uint16: Uint16Array, int32: Int32Array, uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array,
  bool: Uint8Array,
};
const NUMPY = {
  "<f4": "float32", "<f8": "float64", "|i1": "int8", "|u1": "uint8", "<i2": "int16", "<u2": "uint16", "<i4": "int32",
  "<u4": "uint32", "<i8": "int64", "<u8": "uint64", "|b1": "bool",
};

const text = (bytes, start, end) => new TextDecoder("latin1").decode(bytes.subarray(start, end));

export async function readInput(file, settings, place) {
  const how = settings.preprocessing, bytes = new Uint8Array(await file.arrayBuffer());
  if (how.type === "array" || file.name.endsWith(".npy")) return readArray(bytes, settings.inputs[place]);
  if (how.type === "image") return imageTensor(await readPixels(file, bytes), settings);
  return readSound(bytes, settings);
}

// Pixels as red, green and blue. A browser decodes no .ppm; the example of the self-test is one.
async function readPixels(file, bytes) {
  if (text(bytes, 0, 2) === "P6") return readPpm(bytes);
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const pixels = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) pixels.set(data.subarray(4 * i, 4 * i + 3), 3 * i);
  return { width, height, channels: 3, pixels };
}

function readPpm(bytes) {
  const head = /^P6\s+(?:#.*\n)*(\d+)\s+(\d+)\s+255\s/.exec(text(bytes, 0, 200));
  if (!head) throw new Error("not a binary .ppm with 8 bits per channel");
  const width = Number(head[1]), height = Number(head[2]), start = head[0].length;
  if (bytes.length - start < 3 * width * height) throw new Error("the image is truncated");
  return { width, height, channels: 3, pixels: bytes.subarray(start, start + 3 * width * height) };
}

function readSound(bytes, settings) {
  const { rate, length } = settings.preprocessing, view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let format = null, found = null;
  for (let place = 12; place + 8 <= bytes.length && !found; ) {
    const kind = text(bytes, place, place + 4), size = view.getUint32(place + 4, true);
    if (place + 8 + size > bytes.length) throw new Error("the .wav is truncated");
    if (kind === "fmt ") format = [2, 4, 14].map((at) => (at === 4 ? view.getUint32(place + 8 + at, true) : view.getUint16(place + 8 + at, true)));
    if (kind === "data") found = { start: place + 8, count: size >> 1 };
    place += 8 + size + (size & 1);
  }
  if (text(bytes, 0, 4) !== "RIFF" || !found || `${format}` !== `${[1, rate, 16]}`) {
    throw new Error(`the .wav must have ${rate} Hz, 16 bit, 1 channel`);
  }
  const data = settings.is_raw ? new Int16Array(length) : new Float32Array(length);
  for (let i = 0; i < Math.min(length, found.count); i++) {
    const value = view.getInt16(found.start + 2 * i, true);
    data[i] = settings.is_raw ? value : value / 32768;
  }
  return { dtype: settings.is_raw ? "int16" : "float32", shape: [1, length], data };
}

// An array with the batch axis and in the type of the input; every fixed size must match.
function readArray(bytes, wanted) {
  const start = bytes[6] === 1 ? 10 : 12, view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (text(bytes, 1, 6) !== "NUMPY") throw new Error("not an .npy");
  const end = start + (start === 10 ? view.getUint16(8, true) : view.getUint32(8, true)), head = text(bytes, start, end);
  const dtype = NUMPY[/'descr': '([^']+)'/.exec(head)?.[1]], sizes = /'shape': \(([^)]*)\)/.exec(head)?.[1];
  if (!dtype || sizes === undefined || head.includes("'fortran_order': True")) throw new Error("not an .npy of plain numbers in C order");
  let shape = sizes.split(",").filter((size) => size.trim()).map(Number);
  if (shape.length === wanted.shape.length - 1) shape = [1, ...shape];
  const fits = shape.length === wanted.shape.length && wanted.shape.every((size, axis) => !size || size === shape[axis]);
  if (!fits) throw new Error(`the array has the shape ${shape}, the model takes ${wanted.shape}`);
  let data = new ARRAYS[dtype](bytes.slice(end).buffer);
  if (dtype === "float64" && wanted.dtype === "float32") data = Float32Array.from(data);
  else if (dtype !== wanted.dtype) throw new Error(`the array is ${dtype}, the model takes ${wanted.dtype}`);
  return { dtype: wanted.dtype, shape, data };
}
