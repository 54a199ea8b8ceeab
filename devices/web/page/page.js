// Reports what the browser is, then runs one job after the other, each in its own frame, so that everything is loaded again.
const state = document.getElementById("state");
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const MAX_MISSES = 50;

// Why there is no WebGPU, or nothing.
async function missingGpu() {
  if (!isSecureContext) return "the page is not on a secure address; open it over a cable or on the device itself";
  if (!navigator.gpu) return "the browser has no WebGPU";
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter ? "" : "the browser found no graphics processor for WebGPU";
}

async function facts() {
  const hints = ["model", "platform", "platformVersion", "architecture"];
  const data = await navigator.userAgentData?.getHighEntropyValues(hints).catch(() => null);
  return {
    user_agent: navigator.userAgent,
    platform: data?.platform ?? "",
    model: data?.model ?? "",
    cores: navigator.hardwareConcurrency ?? null,
    isolated: crossOriginIsolated,
    missing_webgpu: await missingGpu(),
  };
}

async function launch() {
  const frame = document.createElement("iframe");
  const ended = new Promise((done) => addEventListener("message", done, { once: true }));
  frame.src = "launch.html";
  document.body.append(frame);
  await ended;
  frame.remove();
}

async function work() {
  await fetch("hello", { method: "POST", body: JSON.stringify(await facts()) });
  for (let count = 0, misses = 0; misses < MAX_MISSES; ) {
    // A phone that sleeps or loses its network for a moment goes on afterwards.
    const answer = await fetch("next", { cache: "no-store" }).catch(() => null);
    misses = answer ? 0 : misses + 1;
    if (answer?.status === 200) {
      state.textContent = `Measuring (${++count}) …`;
      await launch();
    } else if (answer?.status === 410) {
      return;
    } else {
      await pause(200);
    }
  }
}

work().catch(() => {}).finally(() => { state.textContent = "Done. You may close this page."; });
