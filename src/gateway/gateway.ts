// The gateway of one process: every model call passes here, from agents' runs, from the HTTP endpoint, or from a program of its own.
import type { EmbeddingModelV3CallOptions } from "@ai-sdk/provider";
import { lazily } from "../domain/lazy.ts";
import type { Attribution } from "../domain/model-call.ts";
import type { RunNeeds } from "../domain/run-needs.ts";
import type { Database } from "../store/database.ts";
import { PATIENCE_MS, patient } from "../store/patience.ts";
import { Answers } from "./answers.ts";
import { BatchDesk } from "./batch/desk.ts";
import { ModelBatches } from "./batch/remote/model-batches.ts";
import { Wire } from "./batch/remote/wire.ts";
import { Breakers } from "./breaker.ts";
import { type ChatRequest, chatJob } from "./chat.ts";
import { type EmbeddingReply, embeddingJob } from "./embedding.ts";
import { Estimator } from "./estimate.ts";
import { Experience } from "./experience.ts";
import { Ledger } from "./ledger.ts";
import type { OpenAiCall } from "./openai/call.ts";
import { ProviderOutlets } from "./openai/provider-outlets.ts";
import type { Parts } from "./parts.ts";
import { Payers } from "./payers.ts";
import { perform } from "./perform.ts";
import { Prices } from "./prices.ts";
import { Providers } from "./providers.ts";
import { type Headroom, Quotas } from "./quota.ts";
import { type Quote, type QuoteSize, quoteOf } from "./quote.ts";
import { refusingWaiter } from "./refusing-waiter.ts";
import type { ChatReply } from "./reply.ts";
import type { CallOptions, Job, Payer, Performed, Waiter } from "./roles.ts";
import { routeOf } from "./route.ts";
import type { GatewaySettings } from "./settings.ts";
import { Settlement } from "./settlement.ts";
import { GuardedTokenizer } from "./tokenizer.ts";
import { Upkeep } from "./upkeep.ts";

export interface GatewayOptions {
  readonly db: Database;
  readonly settings: GatewaySettings;
  /** The database's clock. Default: this process's. */
  readonly clock?: { now(): number };
  readonly log?: Parts["log"];
  /** Where keys and addresses come from. Default: the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** How long a call waits for a database that does not answer; not less than a lease of the runs here. Default 10 s. */
  readonly patienceMs?: number;
  /** How often it looks whether old rows are to be cleared away. Default 1 min; one process of the installation does it for all. */
  readonly upkeepEveryMs?: number;
}

/** Only the endpoint needs it, and it takes long to load. */
const openAi = lazily(() => import("./openai/job.ts"));

export class Gateway {
  readonly settings: GatewaySettings;
  /** Small tasks that go out together. */
  readonly batches: BatchDesk;
  /** Calls that wait for providers' own batches. */
  readonly modelBatches: ModelBatches;
  readonly #parts: Parts;
  readonly #providers: Providers;
  readonly #settlement: Settlement;
  readonly #quotas: Quotas;
  readonly #breakers: Breakers;
  readonly #answers: Answers;
  readonly #experience: Experience;
  readonly #ledger: Ledger;
  readonly #payers: Payers;
  readonly #outlets: ProviderOutlets;
  readonly #upkeep: Upkeep;

  constructor(options: GatewayOptions) {
    const { db, settings, clock = Date, log = () => undefined, env, upkeepEveryMs, patienceMs = PATIENCE_MS } = options;
    this.settings = settings;
    this.#providers = new Providers(settings, env === undefined ? {} : { env });
    this.#settlement = new Settlement({ db, log });
    const shared = { db, patienceMs, settlement: this.#settlement, clock, log };
    this.#quotas = new Quotas({ ...shared, providers: settings.providers.values() });
    this.#breakers = new Breakers(shared);
    this.#answers = new Answers({ db, patienceMs, log });
    this.#ledger = new Ledger(db, patienceMs);
    this.#upkeep = new Upkeep({ db, log, ...(upkeepEveryMs === undefined ? {} : { lookEveryMs: upkeepEveryMs }) });
    this.#payers = new Payers(patient(db, patienceMs), this.#ledger);
    this.#outlets = new ProviderOutlets(settings, this.#providers, env);
    const estimator = new Estimator(settings.outputTokensDefault, tokenizerOf(settings, log));
    this.#experience = new Experience(db, estimator);
    this.#parts = {
      settings,
      clock,
      estimator,
      log,
      prices: new Prices(settings),
      limiter: this.#quotas,
      breakers: this.#breakers,
      answers: this.#answers,
    };
    this.modelBatches = new ModelBatches(this.#parts, new Wire(settings, env), env);
    this.batches = new BatchDesk({
      serviceOf: this.modelBatches.serviceOf,
      db,
      patienceMs,
      clock,
      log,
      holdMs: settings.holdMs,
      chat: async (options, call) => (await this.chat({ options, stream: false }, call)).result,
    });
  }

  /** A chat call, in one piece or as a stream. @throws as `perform` does */
  chat(request: ChatRequest, options: CallOptions): Promise<Performed<ChatReply>> {
    return this.perform(
      chatJob(request, (target) => this.#providers.language(target)),
      options,
    );
  }

  /** An embedding call. @throws as `perform` does */
  embed(request: EmbeddingModelV3CallOptions, options: CallOptions): Promise<Performed<EmbeddingReply>> {
    return this.perform(
      embeddingJob(request, (target) => this.#providers.embedding(target)),
      options,
    );
  }

  /** Any job, for whoever speaks to providers in another way. */
  async perform<R>(job: Job<R>, options: CallOptions): Promise<Performed<R>> {
    await this.#experience.ready();
    return perform(this.#parts, job, options);
  }

  /** A request in OpenAI's words, to whoever serves it. @throws as `perform` does */
  async openAi(call: OpenAiCall, options: CallOptions): Promise<Performed<string>> {
    const { openAiJob } = await openAi();
    return this.perform(openAiJob(call, this.#outlets), options);
  }

  /**
   * Pays for calls outside of runs: they are written down, and drawn from the budget that is named, or from the tenant's.
   *
   * @throws BUDGET_NOT_FOUND
   */
  payer({ tenant, budgetId }: { tenant: string; budgetId: string | null }): Promise<Payer> {
    return this.#payers.of(tenant, budgetId);
  }

  /** For whoever is no run: waits in place at most so long, else is refused with QUOTA_WAIT. Default: as runs do before they sleep. */
  waiter(holdMs = this.settings.holdMs): Waiter {
    return refusingWaiter(this.#parts.clock, holdMs);
  }

  /** Aliases, then the providers that can be called. */
  models(): { id: string; provider: string | null; alias: boolean }[] {
    const aliases = [...this.settings.aliases.keys()].map((id) => ({ id, provider: null, alias: true }));
    return [
      ...aliases,
      ...this.#providers.usable().map((provider) => ({ id: `${provider}/*`, provider, alias: false })),
    ];
  }

  /** Whether the limits have room for a run's needs now, booking nothing: the first target of the model counts. */
  preflight({
    model,
    calls,
    tokens,
    tenant,
    agent,
  }: RunNeeds & { readonly tenant: string; readonly agent: string | null }): Promise<Headroom> {
    const estimate = { inputTokens: tokens, outputTokens: 0 };
    const facts = { estimate, step: null, agent, feature: null, tenant, hasTools: false };
    const [target] = routeOf(this.settings, model, facts).targets;
    return this.#quotas.headroom(target, { calls, ...estimate });
  }

  /** Clears away what is old, if it is time to and no other process does. It happens by itself. */
  upkeep(): Promise<void> {
    return this.#upkeep.look();
  }

  /** What a call of this size may cost. @throws MODEL_UNKNOWN, MODEL_ROUTE_INVALID, PRICE_UNKNOWN */
  async quote(size: QuoteSize, attribution: Attribution, countsUsd: boolean): Promise<Quote> {
    await this.#experience.ready();
    return quoteOf(this.#parts, size, attribution, countsUsd);
  }

  /** Sends what is still to be told. */
  async close(): Promise<void> {
    await Promise.all([this.#upkeep.close(), this.batches.close()]);
    await Promise.all([this.#ledger.close(), this.#quotas.close(), this.#answers.close()]);
    await Promise.all([this.#settlement.flush(), this.#experience.close()]);
  }
}

function tokenizerOf({ tokenizer }: GatewaySettings, log: Parts["log"]): GuardedTokenizer | null {
  if (tokenizer === null) return null;
  return new GuardedTokenizer(tokenizer, (problem, error) =>
    log("warn", "gateway.tokenizer is not usable", { problem, error }),
  );
}
