// The HTTP server: what `longhaul/server` exports.
export { createServer } from "./app.ts";
export type { Authenticate, Caller, ServerLimits, ServerLog, ServerOptions } from "./options.ts";
export { type RunningServer, type ServeOptions, serve } from "./serve.ts";
