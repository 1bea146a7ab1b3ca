// Runs in a thread of the pool: loads a module (JavaScript or TypeScript) once and calls one of its functions.
import { createJiti } from "jiti";

const jiti = createJiti(import.meta.url);
const loaded = new Map();

async function load(url) {
  const known = loaded.get(url);
  if (known !== undefined) return known;
  const module = /\.[cm]?tsx?$/.test(url) ? jiti.import(url) : import(url);
  loaded.set(url, module);
  return module;
}

/** @param {{ url: string, name: string, input: unknown }} task */
export default async function run({ url, name, input }) {
  const module = await load(url);
  const work = module[name];
  if (typeof work !== "function") throw new TypeError(`${url} exports no function ${name}`);
  return work(input);
}
