// The page: a file in, the most likely classes or the outputs out. `?self-test` runs the cases at once.
import { openModel } from "./model.mjs";
import { selfTest } from "./self_test.mjs";

const TOP = 5, MOST_SHOWN = 64;
const at = (id) => document.getElementById(id);

// Logits or probabilities as the most likely classes, best first.
function classes(output, settings) {
  let scores = Array.from(output.data, Number);
  const sum = scores.reduce((a, b) => a + b, 0), least = scores.reduce((a, b) => Math.min(a, b), Infinity);
  if (!settings.is_probability && (least < 0 || Math.abs(sum - 1) > 1e-3)) {
    const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    scores = scores.map((score) => Math.exp(score - most));
    const whole = scores.reduce((a, b) => a + b, 0);
    scores = scores.map((score) => score / whole);
  }
  const places = scores.map((_, place) => place).sort((a, b) => scores[b] - scores[a]).slice(0, TOP);
  return places.map((place) => [`${(100 * scores[place]).toFixed(2)} %`, settings.labels[place] ?? String(place)]);
}

function rows(outputs, settings) {
  if (settings.task === "classification") return classes(outputs[0], settings);
  return outputs.map(({ data }, place) => {
    const shown = Array.from(data.slice(0, MOST_SHOWN), Number).join(", ");
    return [`output ${place}`, data.length > MOST_SHOWN ? `${shown}, ... ${data.length} in all` : shown];
  });
}

// Texts become text nodes: a label is never markup.
function show(lines) {
  at("result").replaceChildren(...lines.map((cells) => {
    const row = document.createElement("tr");
    for (const cell of cells) row.insertCell().textContent = cell;
    return row;
  }));
}

async function run(model, file) {
  const start = performance.now();
  show(rows(await model.run([await model.read(file, 0)]), model.settings));
  return `${file.name}, ${(performance.now() - start).toFixed(1)} ms`;
}

async function test(model) {
  const { count, problems } = await selfTest(model);
  show(problems.map((problem) => ["", problem]));
  return `${count} cases, ${problems.length ? "NOT all" : "all"} as expected (${model.backend})`;
}

// Do some work, and say how it ended.
async function said(work) {
  at("state").textContent = await work().catch((err) => `Error: ${err.message ?? err}`);
  document.body.dataset.ended = "yes";
}

async function main() {
  const model = await openModel();
  at("name").textContent = model.settings.name;
  at("state").textContent = "Choose a file.";
  at("file").addEventListener("change", () => at("file").files[0] && said(() => run(model, at("file").files[0])));
  at("test").addEventListener("click", () => said(() => test(model)));
  if (new URLSearchParams(location.search).has("self-test")) await said(() => test(model));
}

main().catch((err) => said(() => Promise.reject(err)));
