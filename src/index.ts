// What `import ... from "longhaul"` gives: a dozen values at most, and the types that go with them.
export { type AgentDefinition, agent } from "./agents/agent.ts";
export type {
  Agent,
  AgentInput,
  AgentLimits,
  AgentOutput,
  AnyAgent,
  ApprovalOptions,
  Child,
  Ctx,
  Log,
  MapOptions,
  SpawnOptions,
  Sql,
  State,
  StepInfo,
  StepOptions,
  StepStream,
  WaitOptions,
} from "./agents/ctx.ts";
export type { Approval, ApprovalStatus, Verdict } from "./domain/approval.ts";
export type { DurationInput } from "./domain/duration.ts";
export type { RunEvent } from "./domain/entry.ts";
export { type ErrorCode, isLonghaulError, LonghaulError } from "./domain/errors.ts";
export type { PlanInput, PlanLimits } from "./domain/plan.ts";
export { NonRetryableError, RetryableError, type RetryPolicy } from "./domain/retry.ts";
export type { Run, RunResult, RunStatus } from "./domain/run.ts";
export type { Scope } from "./domain/scopes.ts";
export type { TokenEvent, TokenPart } from "./domain/tokens.ts";
export type {
  Answer,
  CancelVerdict,
  DeadLetters,
  EventsOptions,
  ListRuns,
  Longhaul,
  QueueView,
  RunDetail,
  RunHandle,
  StepView,
  SubmitAnswer,
  SubmitItem,
  SubmitOptions,
  Tenant,
  Thread,
  WaitForOptions,
  Why,
  WorkerView,
} from "./runtime/api.ts";
export { type AgentSources, type Config, defineConfig } from "./runtime/config.ts";
export { type ConnectOptions, connect, type WorkerSettings } from "./runtime/connect.ts";
export type { CreateKey, KeyHolder, Keys, KeyView, ListKeys, NewKey, RotateKey } from "./runtime/keys-api.ts";
export type {
  AdmissionView,
  DeadFilter,
  DeadLetter,
  DeadNews,
  ListDead,
  ListTenants,
  Plans,
  PlanView,
  Tenants,
  TenantView,
} from "./runtime/limits-api.ts";
export type {
  AlertKind,
  GateLoad,
  LoadAlert,
  LoadReport,
  QueueLoad,
  ScaleOptions,
  ScaleReport,
  TenantLoad,
} from "./runtime/load-views.ts";
export type { KeepTime, RetentionConfig } from "./runtime/retention.ts";
export { VERSION } from "./runtime/version.ts";
