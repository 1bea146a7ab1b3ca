// What dev, start, server and worker say as they go, as people see it.
import { type Block, line, toned } from "./blocks.ts";
import type { WorkerNews } from "./claim.ts";
import type { ServerNews } from "./serve.ts";
import type { StartNews } from "./start.ts";

export function viewStart(news: StartNews): Block[] {
  switch (news.event) {
    case "ready":
      return [
        line(toned("good", "ready"), toned("strong", news.url)),
        line(toned("dim", `  agents    ${names(news.agents)}`)),
        line(toned("dim", `  database  ${news.embedded === null ? "DATABASE_URL" : `embedded, in ${news.embedded}`}`)),
      ];
    case "worker_ready":
      return [line(toned("good", "worker"), `ready (pid ${news.pid})`)];
    case "worker_died":
      return [
        line(
          toned("bad", "worker"),
          `died (pid ${news.pid}, ${news.end}); ${afterDeath(news.freedRuns, news.restartInMs)}`,
        ),
      ];
    case "worker_stopped":
      return [line(toned("dim", `worker stopped (pid ${news.pid})`))];
    case "scaled":
      return [line(toned("info", "workers"), `${news.from} → ${news.to}: ${news.reason}`)];
    case "reloaded":
      return [line(toned("info", "reloaded"), news.files.join(", "), toned("dim", `agents ${names(news.agents)}`))];
    case "reload_failed":
      return [line(toned("bad", "not reloaded"), news.message), line(toned("info", "  fix"), news.hint)];
    case "draining":
    case "stopped":
      return viewEnd(news.event);
  }
}

export function viewServer(news: ServerNews): Block[] {
  if (news.event === "stopped") return viewEnd("stopped");
  return [line(toned("good", "ready"), toned("strong", news.url))];
}

export function viewWorker(news: WorkerNews): Block[] {
  if (news.event !== "ready") return viewEnd(news.event);
  return [line(toned("good", "ready"), `worker ${news.workerId}`, toned("dim", `agents ${names(news.agents)}`))];
}

function viewEnd(event: "draining" | "stopped"): Block[] {
  return [line(toned("dim", event === "draining" ? "draining; Ctrl-C again ends at once" : "stopped"))];
}

function afterDeath(freedRuns: number, restartInMs: number | null): string {
  const freed = freedRuns === 1 ? "1 run freed" : `${freedRuns} runs freed`;
  return `${freed}, ${restartInMs === null ? "waiting for a change of the files" : `again in ${restartInMs} ms`}`;
}

const names = (agents: readonly string[]): string => (agents.length === 0 ? "none" : agents.join(", "));
