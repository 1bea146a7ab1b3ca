// What pruning says as it goes.
import { type Block, line, toned } from "./blocks.ts";
import type { PruneNews } from "./prune.ts";

export function viewPruned(news: PruneNews): Block[] {
  if (news.event === "cancelling")
    return [line(toned("warn", "cancelling"), `${amount(news.unfinished, "unfinished run")} of ${news.tenant}`)];
  const what = `${amount(news.runs, "run")} in ${amount(news.trees, "tree")}, ${amount(news.entries, "journal entry", "journal entries")}`;
  const whose = news.tenant === null ? "" : ` of ${news.tenant}`;
  if (news.event === "progress") return [line(toned("dim", `so far ${what}`))];
  if (news.event === "counted") return [line(toned("info", "would drop"), `${what}${whose}`)];
  return [line(toned("good", "dropped"), `${what}${whose}`)];
}

function amount(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en-US")} ${n === 1 ? one : many}`;
}
