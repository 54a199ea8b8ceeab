// Images as the model takes them. Resizing computes what Pillow computes: a fixed-point filter over all pixels that fall
// into one, first along rows, then along columns.
const ONE = 2 ** 22;
const REACH = { box: 0.5, bilinear: 1, hamming: 1, bicubic: 2, lanczos: 3 };
const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
const WEIGHTS = {
  box: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0),
  bilinear: (x) => Math.max(0, 1 - Math.abs(x)),
  hamming: (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI))),
  bicubic(x) {
    const far = Math.abs(x);
    if (far < 1) return (1.5 * far - 2.5) * far * far + 1;
    return far < 2 ? (((far - 5) * far + 8) * far - 4) * -0.5 : 0;
  },
  lanczos: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0),
};

// The first pixel of output `place`, and fixed-point weights of the pixels from there on.
function weightsOf(place, from, scale, how) {
  const wide = Math.max(1, scale), support = REACH[how] * wide, center = (place + 0.5) * scale;
  const first = Math.max(0, Math.trunc(center - support + 0.5)), end = Math.min(from, Math.trunc(center + support + 0.5));
  const shares = [];
  for (let x = first; x < end; x++) shares.push(WEIGHTS[how]((x - center + 0.5) * (1 / wide)));
  const whole = shares.reduce((a, b) => a + b, 0) || 1;
  return [first, shares.map((share) => Math.trunc((share / whole) * ONE + (share / whole < 0 ? -0.5 : 0.5)))];
}

function filtered(image, to, isRow, how) {
  const { channels } = image, from = isRow ? image.width : image.height, lines = isRow ? image.height : image.width;
  const width = isRow ? to : image.width, height = isRow ? image.height : to, pixels = new Uint8Array(width * height * channels);
  const [step, line, stepOut, lineOut] = isRow
    ? [channels, channels * image.width, channels, channels * width]
    : [channels * image.width, channels, channels * width, channels];
  for (let place = 0; place < to; place++) {
    const [first, weights] = weightsOf(place, from, from / to, how);
    for (let at = 0; at < lines; at++) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = ONE / 2, pixel = at * line + first * step + channel;
        for (const weight of weights) { sum += weight * image.pixels[pixel]; pixel += step; }
        pixels[at * lineOut + place * stepOut + channel] = Math.min(255, Math.max(0, Math.floor(sum / ONE)));
      }
    }
  }
  return { width, height, channels, pixels };
}

function nearest(image, height, width) {
  const { channels } = image, pixels = new Uint8Array(width * height * channels);
  const down = image.height / height, across = image.width / width;
  for (let row = 0, y = down / 2; row < height; row++, y += down) {
    for (let column = 0, x = across / 2; column < width; column++, x += across) {
      const from = (Math.trunc(y) * image.width + Math.trunc(x)) * channels;
      pixels.set(image.pixels.subarray(from, from + channels), (row * width + column) * channels);
    }
  }
  return { width, height, channels, pixels };
}

function resized(image, height, width, how) {
  if (image.height === height && image.width === width) return image;
  if (how === "nearest") return nearest(image, height, width);
  const across = image.width === width ? image : filtered(image, width, true, how);
  return across.height === height ? across : filtered(across, height, false, how);
}

function grey(image) {
  const pixels = new Uint8Array(image.width * image.height);
  for (let i = 0; i < pixels.length; i++) {
    const [red, green, blue] = image.pixels.subarray(3 * i, 3 * i + 3);
    pixels[i] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
  }
  return { ...image, channels: 1, pixels };
}

// Half of a pixel is rounded to the even one.
function rounded(value) {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + (Math.abs(low) % 2) : Math.round(value);
}

// The centre of the model's size; what lies outside of a smaller image is black.
function cut(image, height, width) {
  const { channels } = image, pixels = new Uint8Array(height * width * channels);
  const top = rounded((image.height - height) / 2), left = rounded((image.width - width) / 2);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const y = row + top, x = column + left;
      if (y < 0 || y >= image.height || x < 0 || x >= image.width) continue;
      const from = (y * image.width + x) * channels;
      pixels.set(image.pixels.subarray(from, from + channels), (row * width + column) * channels);
    }
  }
  return { width, height, channels, pixels };
}

function sizeOf(image, { resize, height, width }) {
  if (resize.length === 0) return [height, width];
  if (resize.length > 1) return resize;
  const [short] = resize;
  return image.width <= image.height
    ? [Math.trunc((short * image.height) / image.width), short]
    : [short, Math.trunc((short * image.width) / image.height)];
}

export function imageTensor(whole, settings) {
  const how = settings.preprocessing, image = how.channels === 1 ? grey(whole) : whole;
  const { pixels, channels, height, width } = cut(resized(image, ...sizeOf(image, how), how.interpolation), how.height, how.width);
  if (settings.is_raw) return { dtype: "uint8", shape: [1, height, width, channels], data: pixels };
  const data = new Float32Array(pixels.length), white = Math.fround(255 / how.divisor), divisor = Math.fround(how.divisor);
  const mean = (channel) => Math.fround(how.mean[channel] ?? how.mean[0]), std = (channel) => Math.fround(how.std[channel] ?? how.std[0]);
  for (let i = 0; i < height * width; i++) {
    for (let channel = 0; channel < channels; channel++) {
      let value = Math.fround(pixels[i * channels + (how.color === "bgr" ? channels - 1 - channel : channel)] / divisor);
      if (how.invert) value = Math.fround(white - value);
      value = Math.fround(Math.fround(value - mean(channel)) / std(channel));
      data[how.layout === "nhwc" ? i * channels + channel : channel * height * width + i] = value;
    }
  }
  const shape = how.layout === "nhwc" ? [1, height, width, channels] : [1, channels, height, width];
  return { dtype: "float32", shape, data };
}
