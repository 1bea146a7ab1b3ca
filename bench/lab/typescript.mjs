// Loads TypeScript as the build makes it: types taken out, nothing put in. The loader of the tests gives every function its name anew each time it is made, which
// costs a run some 11 kB and a call some tenth of its time.
import { register } from "node:module";

register("./typescript-hooks.mjs", import.meta.url);
