// Runs the cases of the bundle: records of a line "DTYPE SIZE,SIZE,... CASE:KIND:PLACE", then the plain numbers.
import { ARRAYS } from "./input.mjs";
import { read } from "./model.mjs";

function* records(bytes) {
  const decoder = new TextDecoder();
  for (let place = 0; place < bytes.length; ) {
    const end = bytes.indexOf(10, place), [dtype, sizes, key] = decoder.decode(bytes.subarray(place, end)).split(" ");
    const shape = sizes === "-" ? [] : sizes.split(",").map(Number), count = shape.reduce((a, b) => a * b, 1);
    const size = count * ARRAYS[dtype].BYTES_PER_ELEMENT, data = new ARRAYS[dtype](bytes.slice(end + 1, end + 1 + size).buffer);
    const [number, kind, position] = key.split(":");
    yield { number: Number(number), kind, position: Number(position), tensor: { dtype, shape, data } };
    place = end + 1 + size;
  }
}

function casesOf(bytes) {
  const cases = [];
  for (const { number, kind, position, tensor } of records(bytes)) {
    cases[number] ??= { in: [], out: [], limit: [] };
    cases[number][kind][position] = kind === "limit" ? tensor.data[0] : tensor;
  }
  return cases;
}

function largestDifference(got, expected) {
  if (`${got.shape}` !== `${expected.shape}`) return Infinity;
  let largest = 0;
  for (let i = 0; i < got.data.length; i++) {
    const difference = Math.abs(Number(got.data[i]) - Number(expected.data[i]));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

// What is wrong with the input made of the example file, if the model has one.
async function exampleProblems({ settings, read: readFile }) {
  if (!settings.example) return [];
  const [expected] = casesOf(await read("example.bin"));
  const got = await readFile(new File([await read(settings.example)], settings.example), 0);
  const difference = largestDifference(got, expected.in[0]);
  return difference <= expected.limit[0] ? [] : [`the input made of '${settings.example}' differs by ${difference}`];
}

export async function selfTest(model) {
  const problems = await exampleProblems(model), cases = casesOf(await read("cases.bin"));
  for (const [number, one] of cases.entries()) {
    const outputs = await model.run(one.in);
    outputs.forEach((output, place) => {
      const difference = largestDifference(output, one.out[place]);
      if (!(difference <= one.limit[place])) {
        problems.push(`case ${number}, output ${place} differs by ${difference}, at most ${one.limit[place]}`);
      }
    });
  }
  return { count: cases.length, problems };
}
