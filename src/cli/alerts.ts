// Telling somebody that a queue is late or has no worker, and that it is well again: a line in the log, and a POST where one is wanted.
import { formatDuration } from "../domain/duration.ts";
import type { Logger } from "../engine/worker-options.ts";
import type { LoadAlert } from "../runtime/load-views.ts";

const WEBHOOK_TIMEOUT_MS = 5_000;

/** Logs it and, if there is an address, posts it once: whoever does not hear it can still see it in GET /admin/queues. */
export async function tellAlert(alert: LoadAlert, webhook: string | undefined, log: Logger): Promise<void> {
  const sentence = inWords(alert);
  log(alert.event === "raised" ? "warn" : "info", sentence, { ...alert });
  if (webhook === undefined) return;
  try {
    const response = await fetch(webhook, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...alert, text: sentence }),
      signal: AbortSignal.timeout(WEBHOOK_TIMEOUT_MS),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`it answered ${response.status}`);
  } catch (error) {
    // Not its address, which may hold a secret.
    log("warn", "the webhook for alerts could not be reached", {
      reason: error instanceof Error ? error.message : String(error),
    });
  }
}

function inWords({ event, kind, queue, build, depth, oldestMs, slaMs }: LoadAlert): string {
  const where = `queue ${queue} of build ${build}`;
  if (event === "cleared") return kind === "late" ? `${where} is no longer late` : `${where} is served again, or empty`;
  const waits = `${depth} runs wait, the oldest for ${formatDuration(oldestMs ?? 0)}`;
  return kind === "late"
    ? `${where} is late: ${waits}, longer than ${formatDuration(slaMs)}`
    : `nobody serves ${where}: ${waits}`;
}
