// One launch: load the model, run it, warm up, measure, and post the result with the outputs behind it.
const ARRAYS = {
  float32: Float32Array, float64: Float64Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array,
  uint16: Uint16Array, int32: Int32Array, uint32: Uint32Array, int64: BigInt64Array, bool: Uint8Array,
};
const CLOSE = 5, MAX_WARMUPS = 100, STEPS = 20;

class Failure extends Error {
  constructor(error, message, code) { super(message); this.error = error; this.code = code; }
}

// Records: a line "DTYPE SIZE,SIZE,... INDEX:NAME", then the plain numbers.
function readFeeds(bytes) {
  const feeds = [], decoder = new TextDecoder();
  for (let place = 0; place < bytes.length; ) {
    const end = bytes.indexOf(10, place);
    const [dtype, sizes, ...key] = decoder.decode(bytes.subarray(place, end)).split(" ");
    const shape = sizes === "-" ? [] : sizes.split(",").map(Number);
    const count = shape.reduce((a, b) => a * b, 1), kind = ARRAYS[dtype];
    if (!kind) throw new Failure("UserError", `The browser's runner does not support the dtype '${dtype}'.`, 2);
    const size = count * kind.BYTES_PER_ELEMENT;
    const [index, name] = key.join(" ").split(/:(.*)/s);
    (feeds[index] ??= {})[name] = { dtype, shape, data: new kind(bytes.slice(end + 1, end + 1 + size).buffer) };
    place = end + 1 + size;
  }
  return feeds;
}

function record(index, name, { dtype, shape, data }) {
  const head = new TextEncoder().encode(`${dtype} ${shape.length ? shape.join(",") : "-"} ${index}:${name}\n`);
  return [head, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];
}

async function openOnnx(model, job) {
  const provider = job.options.provider ?? "wasm";
  const ort = await import(provider === "webgpu" ? "./ort/dist/ort.webgpu.bundle.min.mjs" : "./ort/dist/ort.wasm.bundle.min.mjs");
  ort.env.wasm.numThreads = Number(job.options.threads ?? 1);
  ort.env.wasm.wasmPaths = new URL("./ort/dist/", location.href).href;
  const options = { executionProviders: [provider], graphOptimizationLevel: job.options.graph ?? "all" };
  const session = await ort.InferenceSession.create(model, options);
  const engine = `onnxruntime-web ${ort.env.versions?.web ?? ""}`;
  return {
    backend: "ort-web", provider, engine,
    bind(feed) {
      const inputs = {};
      for (const [name, one] of Object.entries(feed)) inputs[name] = new ort.Tensor(one.dtype, one.data, one.shape);
      return () => session.run(inputs);
    },
    async run(feed) {
      const found = await this.bind(feed)();
      const outputs = {};
      for (const name of session.outputNames) {
        outputs[name] = { dtype: found[name].type, shape: found[name].dims, data: await found[name].getData() };
      }
      return outputs;
    },
  };
}

async function openTflite(model, job) {
  const provider = job.options.provider ?? "wasm";
  if (job.options.signature) throw new Failure("UserError", "The browser's runner runs only the default signature.", 2);
  const threads = Number(job.options.threads ?? 1);
  const litert = await import("./litert/dist/index.js");
  await litert.loadLiteRt(new URL("./litert/wasm/", location.href).href, { threads: threads > 1 });
  const compiled = await litert.loadAndCompile(model, {
    accelerator: provider, ...(provider === "wasm" ? { cpuOptions: { numThreads: threads } } : {}),
  });
  const inputs = compiled.getInputDetails(), details = compiled.getOutputDetails();
  const tensors = (feed) => inputs.map((one) => {
    const given = feed[one.name] ?? (inputs.length === 1 ? Object.values(feed)[0] : undefined);
    if (!given) throw new Failure("UserError", `The model's input '${one.name}' is missing from the feed.`, 2);
    if (["int8", "uint8", "int16"].includes(one.dtype) && one.dtype !== given.dtype) {
      const said = `'${one.name}' is ${one.dtype}, the feed has ${given.dtype}: the browser quantizes nothing.`;
      throw new Failure("UserError", said, 2);
    }
    return new litert.Tensor(given.data, given.shape);
  });
  return {
    backend: "litert-js", provider, engine: "litert-js @LITERT@",
    bind(feed) {
      const given = tensors(feed);
      return async () => { for (const one of await compiled.run(given)) { await one.data(); one.delete(); } };
    },
    async run(feed) {
      const given = tensors(feed), found = await compiled.run(given), outputs = {};
      for (let place = 0; place < found.length; place++) {
        const data = await found[place].data();
        const dtype = Object.keys(ARRAYS).find((name) => data instanceof ARRAYS[name]);
        outputs[details[place].name] = { dtype, shape: Array.from(details[place].shape), data: data.slice() };
        found[place].delete();
      }
      for (const one of given) one.delete();
      return outputs;
    },
  };
}

// The smallest step of the clock that can be seen: 5 us when isolated, 100 us and more when not.
function clockStep() {
  let step = Infinity;
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    let now = start;
    while (now === start) now = performance.now();
    step = Math.min(step, now - start);
  }
  return step / 1000;
}

const seconds = async (call, count) => {
  const start = performance.now();
  for (let i = 0; i < count; i++) await call();
  return (performance.now() - start) / 1000 / count;
};

// Enough to begin with the calls that count; where the warm-up ends is decided on the host, from all calls.
function areClose(durations) {
  const last = durations.slice(-CLOSE).sort((a, b) => a - b), middle = last[CLOSE >> 1];
  return last.length === CLOSE && middle - last[0] <= 0.05 * middle && last[CLOSE - 1] - middle <= 0.05 * middle;
}

async function measured(call, job, step) {
  const warmups = [], values = [];
  let once = await seconds(call, 1);
  const count = Math.min(10000, Math.max(1, Math.ceil(STEPS * step / Math.max(once, step / 100))));
  let spent = 0;
  while (warmups.length < MAX_WARMUPS && spent < job.time_limit_s && !areClose(warmups)) {
    once = await seconds(call, count);
    warmups.push(once);
    spent += once * count;
  }
  const batch = Math.min(10000, Math.max(1, Math.ceil(STEPS * step / Math.max(once, step / 100))));
  const end = performance.now() + job.time_limit_s * 1000;
  while (values.length < job.max_values && (values.length < job.min_values || performance.now() < end)) {
    values.push(await seconds(call, batch));
  }
  return { warmups, values, batch };
}

async function launch(job) {
  const read = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
  const [model, feeds] = [await read("model"), readFeeds(await read("feeds"))];
  const wasHidden = document.hidden || parent.document.hidden;
  const step = clockStep();
  let start = performance.now();
  const open = job.format === "onnx" ? openOnnx : openTflite;
  const session = await open(model, job).catch((err) => {
    throw err instanceof Failure ? err : new Failure("ModelUnreadable", `The browser cannot load the model: ${err}`, 5);
  });
  const load_s = (performance.now() - start) / 1000;
  start = performance.now();
  await session.run(feeds[0]);
  const first_run_s = (performance.now() - start) / 1000;
  const { warmups, values, batch } = await measured(session.bind(feeds[0]), job, step);
  const parts = [];
  if (job.outputs) {
    for (let index = 0; index < feeds.length; index++) {
      for (const [name, one] of Object.entries(await session.run(feeds[index]))) parts.push(...record(index, name, one));
    }
  }
  const notes = [
    `clock step ${(step * 1e6).toFixed(0)} us, ${batch} runs per value`,
    crossOriginIsolated ? "cross-origin isolated" : "not cross-origin isolated: one thread, coarse clock",
  ];
  if (wasHidden || document.hidden || parent.document.hidden) notes.push("the page was in the background");
  const { backend, engine, provider } = session;
  return [{ backend, engine, provider, values, warmups, load_s, first_run_s, notes, schema_version: 1 }, parts];
}

async function main() {
  const given = await fetch("job");
  if (given.ok) await post(await given.json());
  parent.postMessage("ended", location.origin);
}

async function post(job) {
  let result, parts = [];
  try {
    [result, parts] = await launch(job);
  } catch (err) {
    const is = err instanceof Failure;
    const message = is ? err.message : `The browser cannot run this: ${err?.message ?? err}`;
    result = { error: is ? err.error : "DeviceError", message, exit_code: is ? err.code : 3, schema_version: 1 };
  }
  await fetch(`result/${job.launch}`, { method: "POST", body: new Blob([JSON.stringify(result), "\n", ...parts]) });
}

main();
