// The HTTP application: guards in front, one route file per verb behind them, errors in one shape.
import { Hono } from "hono";
import { fail } from "../domain/errors.ts";
import { VERSION } from "../runtime/version.ts";
import { authorize } from "./access.ts";
import { AssistantDirectory } from "./assistants.ts";
import { checkHost, checkOrigin, numberRequest, refuseWhenClosing } from "./guard.ts";
import { identify } from "./identify.ts";
import { openAiErrorResponse } from "./openai-error.ts";
import { resolveLimits, type ServerEnv, type ServerOptions, stderrLog } from "./options.ts";
import type { Ctx } from "./request.ts";
import { errorResponse } from "./respond.ts";
import { approvalRoutes } from "./routes/approvals.ts";
import { assistantRoutes } from "./routes/assistants.ts";
import { budgetRoutes } from "./routes/budgets.ts";
import { claimRoutes } from "./routes/claim.ts";
import { costRoutes } from "./routes/costs.ts";
import { deadRoutes } from "./routes/dead.ts";
import { finishRoutes } from "./routes/finish.ts";
import { healthRoutes } from "./routes/health.ts";
import { journalRoutes } from "./routes/journal.ts";
import { keyRoutes } from "./routes/keys.ts";
import { modelRoutes } from "./routes/models.ts";
import { queueRoutes } from "./routes/queue.ts";
import { streamRoutes } from "./routes/stream.ts";
import { submitRoutes } from "./routes/submit.ts";
import { tenantRoutes } from "./routes/tenants.ts";
import { threadRoutes } from "./routes/threads.ts";
import type { Services } from "./services.ts";
import { Streams } from "./streams.ts";

export type App = Hono<ServerEnv>;

/** The application to mount in a server of one's own. Its open streams end with the process; `serve` also ends them on close. */
export function createServer(options: ServerOptions): App {
  return createApp(options).app;
}

/** The application together with what whoever runs it must end. */
export function createApp(options: ServerOptions): { app: App; streams: Streams } {
  const limits = resolveLimits(options.limits);
  const log = options.log ?? stderrLog;
  const streams = new Streams(limits, log);
  const assistants = new AssistantDirectory(options.longhaul);
  const version = options.version ?? VERSION;
  const services: Services = { longhaul: options.longhaul, assistants, streams, limits, log, version };
  const app: App = new Hono<ServerEnv>();
  app.use(numberRequest, checkHost(options.hosts), checkOrigin(options.origins), refuseWhenClosing(streams));
  app.route("/", healthRoutes(services));
  app.use(identify(options.longhaul, options.auth), authorize);
  for (const routes of verbs) app.route("/", routes(services));
  app.notFound(() => {
    throw fail("ROUTE_NOT_FOUND");
  });
  app.onError((error, c) => (isForOpenAi(c) ? openAiErrorResponse : errorResponse)(c, error, log));
  return { app, streams };
}

/** Whoever asks there is a program that knows OpenAI's errors. */
function isForOpenAi(c: Ctx): boolean {
  return c.req.path.startsWith("/v1/");
}

const verbs = [
  submitRoutes,
  queueRoutes,
  claimRoutes,
  journalRoutes,
  streamRoutes,
  finishRoutes,
  threadRoutes,
  deadRoutes,
  approvalRoutes,
  tenantRoutes,
  assistantRoutes,
  keyRoutes,
  modelRoutes,
  budgetRoutes,
  costRoutes,
];
