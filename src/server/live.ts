// Answers that last as long as a run does: its stream of events, its final values, its raw journal.
import type { RunEvent } from "../domain/entry.ts";
import type { TokenEvent } from "../domain/tokens.ts";
import type { Tenant } from "../runtime/api.ts";
import { jsonText } from "./json.ts";
import type { Ctx } from "./request.ts";
import { JSON_TYPE } from "./respond.ts";
import type { Services } from "./services.ts";
import { FROM_START, framesText, HEARTBEAT, SSE_HEADERS } from "./sse.ts";
import { finalValues, followAll, untilStandstill } from "./standstill.ts";
import { langgraphStream, type StreamView } from "./stream.ts";

export interface LiveRun {
  readonly tenant: Tenant;
  readonly runId: string;
  /** Path of the run: `Content-Location`. Clients find the run's id in it, and reconnect to `Location`, its stream. */
  readonly location: string;
  readonly cancelOnDisconnect: boolean;
}

export interface JournalRun extends LiveRun {
  readonly after: number;
  readonly tokens: boolean;
}

export function runStream(services: Services, c: Ctx, live: LiveRun & { readonly view: StreamView }): Response {
  return services.streams.respond(c, {
    source: (abort) => langgraphStream(live.tenant, live.runId, live.view, abort),
    headers: { ...SSE_HEADERS, "content-location": live.location, location: `${live.location}/stream` },
    heartbeat: HEARTBEAT,
    onDisconnect: cancelling(live),
  });
}

/** Line breaks until the run stands still, then its values: white space before JSON is JSON. */
export function runWait(services: Services, c: Ctx, live: LiveRun): Response {
  return services.streams.respond(c, {
    source: (abort) => valuesAtStandstill(live, abort),
    headers: { "content-type": JSON_TYPE, "content-location": live.location },
    heartbeat: "\n",
    onDisconnect: cancelling(live),
  });
}

/**
 * Every journal entry as it is, from a cursor to the end of the run, questions and pauses included; with `tokens`, and between them,
 * without an id, what steps are writing.
 */
export function runEvents(services: Services, c: Ctx, live: JournalRun): Response {
  return services.streams.respond(c, {
    source: (abort) => journalFrames(live, abort),
    headers: { ...SSE_HEADERS, "content-location": live.location },
    heartbeat: HEARTBEAT,
    onDisconnect: undefined,
  });
}

async function* valuesAtStandstill({ tenant, runId }: LiveRun, abort: AbortSignal): AsyncGenerator<string> {
  yield jsonText(finalValues(await untilStandstill(tenant, runId, abort)), { stacks: false });
}

async function* journalFrames(
  { tenant, runId, after, tokens }: JournalRun,
  abort: AbortSignal,
): AsyncGenerator<string> {
  const view = { after: after === FROM_START ? 0 : after, abort, tokens };
  for await (const event of followAll(tenant, runId, view)) yield journalFrame(event);
}

function journalFrame(event: RunEvent | TokenEvent): string {
  return framesText([{ event: event.kind, data: event }], event.seq);
}

function cancelling({ tenant, runId, cancelOnDisconnect }: LiveRun): (() => Promise<unknown>) | undefined {
  return cancelOnDisconnect ? () => tenant.cancel(runId, "the client disconnected") : undefined;
}
