// What the figures were measured on. Nothing here names the machine, its user or its folders.
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import type { Database } from "../../src/store/database.ts";
import { median, rounded } from "./statistics.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly platform: string;
  readonly node: string;
  readonly postgres: string;
  readonly postgresSettings: Readonly<Record<string, string>>;
  /** Median time to write 8 kB and have it on the disk. */
  readonly fdatasyncMs: number;
  /** Processes that wanted to run before the measuring began: above 0.5 per core, others disturbed it. */
  readonly loadBefore: number;
}

const SHOWN = ["fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "jit"];

export async function describeMachine(db: Database): Promise<Machine> {
  const settings = await db.query<{ name: string; value: string }>(
    "select name, current_setting(name) as value from unnest($1::text[]) name",
    [SHOWN],
  );
  const [version] = await db.query<{ version: string }>("select current_setting('server_version') as version");
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    postgres: version?.version ?? "unknown",
    postgresSettings: Object.fromEntries(settings.map(({ name, value }) => [name, value])),
    fdatasyncMs: fdatasyncMs(),
    loadBefore: rounded(loadavg()[0] ?? 0),
  };
}

function fdatasyncMs(): number {
  const folder = mkdtempSync(join(tmpdir(), "longhaul-bench-"));
  const file = openSync(join(folder, "probe"), "w");
  const block = Buffer.alloc(8_192, 1);
  const times: number[] = [];
  for (let place = 0; place < 100; place++) {
    const startedMs = performance.now();
    writeSync(file, block, 0, block.length, place * block.length);
    fdatasyncSync(file);
    times.push(performance.now() - startedMs);
  }
  closeSync(file);
  rmSync(folder, { recursive: true, force: true });
  return rounded(median(times));
}
