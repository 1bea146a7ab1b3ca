// Dead letters as people see them.
import type { DeadLetter } from "../runtime/limits-api.ts";
import { type Block, line, table, toned } from "./blocks.ts";
import type { DeadProgress } from "./dead.ts";
import { ago } from "./show.ts";

export function viewDead(letters: readonly DeadLetter[]): Block[] {
  return [
    table(
      letters,
      [
        { title: "run", cell: (one) => one.runId },
        { title: "agent", flexible: true, cell: (one) => one.agent },
        { title: "queue", flexible: true, cell: (one) => one.queue },
        { title: "code", cell: (one) => toned(one.kind === "dead" ? "bad" : "warn", one.code) },
        { title: "died", cell: (one) => (one.diedAt === null ? toned("dim", "-") : ago(one.diedAt)) },
        { title: "message", flexible: true, cell: (one) => one.message },
      ],
      "Nothing has failed for good, and nothing is paused.",
    ),
  ];
}

export function viewDeadProgress(news: DeadProgress): Block[] {
  switch (news.did) {
    case "retried":
      return [line(toned("good", "retried"), news.runId, toned("dim", `as ${news.newRunId}`))];
    case "discarded":
      return [line(toned("good", "discarded"), news.runId)];
    case "gone":
      return [line(toned("dim", "gone"), news.runId, toned("dim", "somebody else was quicker"))];
    case "failed":
      return [line(toned("bad", "failed"), news.runId, `${news.error?.code}: ${news.error?.message}`)];
    case "done":
      return [
        line(
          toned("strong", `${news.dealtWith} dealt with`),
          news.failed === 0 ? "" : toned("bad", `${news.failed} failed`),
        ),
      ];
  }
}
