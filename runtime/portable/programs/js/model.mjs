// The model: opened once, run on arrays `{ dtype, shape, data }`. This file and input.mjs are what another page needs.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
import { readInput } from "./input.mjs";

const here = (name) => new URL(name, import.meta.url);

export async function read(name) {
  const answer = await fetch(here(name));
  if (!answer.ok) throw new Error(`'${name}' is missing (${answer.status})`);
  return new Uint8Array(await answer.arrayBuffer());
}

export async function openModel() {
  const settings = JSON.parse(new TextDecoder().decode(await read("settings.json")));
  // More threads need a page that is isolated: Cross-Origin-Opener-Policy and Cross-Origin-Embedder-Policy.
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency ?? 1) : 1;
  ort.env.wasm.wasmPaths = here("node_modules/onnxruntime-web/dist/").href;
  const session = await ort.InferenceSession.create(await read("model.onnx"), { executionProviders: ["wasm"] });
  return {
    settings,
    backend: `onnxruntime-web ${ort.env.versions?.web ?? ""}`.trim(),

    // A file (a Blob with a name) as input number `place`.
    read: (file, place) => readInput(file, settings, place),

    // Every output for the inputs, both in the order of the settings.
    async run(inputs) {
      const feed = {};
      settings.inputs.forEach(({ name }, place) => {
        if (!inputs[place]) throw new Error(`the model takes ${settings.inputs.length} inputs`);
        const { dtype, data, shape } = inputs[place];
        feed[name] = new ort.Tensor(dtype, data, shape);
      });
      const found = await session.run(feed);
      return settings.outputs.map(({ name }) => ({
        dtype: found[name].type, shape: Array.from(found[name].dims), data: found[name].data,
      }));
    },
  };
}
