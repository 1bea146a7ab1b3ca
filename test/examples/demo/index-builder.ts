// A process that builds the index one passage at a time, so that a test can kill it half way.
import { Pool } from "pg";
import { openCorpus } from "../../../examples/demo/corpus.ts";
import { buildIndex } from "../../../examples/demo/search-index.ts";

const [url, root] = process.argv.slice(2);
if (!url || !root) throw new Error("usage: index-builder <database url> <project>");
const pool = new Pool({ connectionString: url });
await buildIndex(pool, await openCorpus(root), { batchSize: 1, onProgress: (passages) => console.log(passages) });
await pool.end();
