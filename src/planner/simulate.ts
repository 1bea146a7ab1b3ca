// A day of an installation in seconds: runs arrive, are claimed fairly, call the provider, wait, and end. No clock, no database.
import { requireNumber } from "./checks.ts";
import { type Sampler, samplerOf } from "./distribution.ts";
import { FairQueue } from "./fair-queue.ts";
import { Fleet, LOOK_EVERY_MS } from "./fleet.ts";
import { Heap } from "./heap.ts";
import { Meter, type Simulated } from "./meter.ts";
import { Provider, UNLIMITED } from "./provider.ts";
import { Random } from "./random.ts";
import type { Scenario } from "./scenario.ts";
import { type Arrival, type Arrivals, arrivalsOf } from "./workload.ts";

interface Run {
  readonly number: number;
  readonly tenant: number;
  readonly arrival: Arrival;
  place: "queued" | "running" | "waiting";
  readyMs: number;
  callsLeft: number;
  /** It waits when so many calls are left; -1: never (again). */
  waitsAt: number;
}

/** Events that are not a run's. */
const LOOK = Symbol("look");
const WORKER = Symbol("worker");

/** Runs that one claim takes at most. */
const BATCH_MAX = 50;
/** Entries and moves beside the steps: submitted, claimed, ended; and let go, answered, claimed anew. */
const STEPS_PER_RUN = 3;
const STEPS_PER_WAIT = 3;

/** @throws CAPACITY_INVALID */
export function simulate(scenario: Scenario): Simulated {
  return new Simulation(scenario).run();
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #arrivals: Arrivals;
  readonly #events = new Heap<Run | typeof LOOK | typeof WORKER>();
  readonly #queue: FairQueue<Run>;
  readonly #fleet: Fleet;
  readonly #provider: Provider;
  readonly #meter: Meter;
  readonly #callMs: Sampler;
  readonly #callRandom: Random;
  readonly #calls: number;
  readonly #stepsPerCall: number;
  #nowMs = 0;
  #arrived = 0;
  #finished = 0;
  #running = 0;
  #waiting = 0;

  constructor(scenario: Scenario) {
    const { workload, limits = UNLIMITED, warmupMs = 0, seed = 1 } = scenario;
    requireNumber("Simulated time", Math.min(scenario.durationMs, Number.MAX_VALUE), { min: 0 });
    this.#scenario = scenario;
    this.#arrivals = scenario.arrivals ?? arrivalsOf(workload, seed);
    this.#queue = new FairQueue(workload.tenants ?? [{}]);
    this.#fleet = new Fleet(scenario.fleet);
    this.#provider = new Provider(limits, workload.tokensPerCall);
    this.#meter = new Meter(warmupMs);
    this.#callMs = samplerOf("Time per call", workload.pace.time);
    this.#callRandom = new Random(seed, 5);
    this.#calls = requireNumber("Calls per run", workload.callsPerRun, { min: 0, whole: true });
    this.#stepsPerCall = workload.stepsPerCall ?? 2;
  }

  run(): Simulated {
    const endMs = this.#scenario.durationMs;
    let arrival = this.#arrivals();
    if (this.#fleet.follows) this.#events.push(LOOK_EVERY_MS, LOOK);
    for (;;) {
      const arrivesMs = arrival?.atMs ?? Number.POSITIVE_INFINITY;
      const nextMs = Math.min(arrivesMs, this.#events.leastKey);
      if (nextMs > endMs || nextMs === Number.POSITIVE_INFINITY) break;
      this.#passTo(nextMs);
      if (arrival !== null && arrivesMs === nextMs) {
        this.#arrive(arrival);
        arrival = this.#arrivals();
      } else this.#happen(this.#events.pop(), arrival !== null);
      this.#claim();
    }
    if (endMs !== Number.POSITIVE_INFINITY) this.#passTo(endMs);
    return this.#result();
  }

  #passTo(toMs: number): void {
    this.#meter.pass(toMs, this.#running, this.#fleet.slots, this.#fleet.workers);
    this.#nowMs = toMs;
  }

  #arrive(arrival: Arrival): void {
    this.#arrived += 1;
    const waitsAt = arrival.waitMs > 0 ? this.#calls >> 1 : -1;
    const { tenant } = arrival;
    const run: Run = {
      number: this.#arrived,
      tenant,
      arrival,
      place: "queued",
      readyMs: 0,
      callsLeft: this.#calls,
      waitsAt,
    };
    this.#meter.wrote(1);
    this.#enqueue(run);
  }

  #enqueue(run: Run): void {
    run.place = "queued";
    run.readyMs = this.#nowMs;
    this.#queue.push(run);
  }

  #happen(event: Run | typeof LOOK | typeof WORKER | undefined, moreCome: boolean): void {
    if (event === LOOK) this.#look(moreCome);
    else if (event === WORKER) this.#fleet.started();
    else if (event === undefined) return;
    else if (event.place === "waiting") {
      this.#waiting -= 1;
      this.#enqueue(event);
    } else this.#proceed(event);
  }

  #look(moreCome: boolean): void {
    const starting = this.#fleet.look(this.#nowMs, this.#running, this.#queue.depth);
    for (let i = 0; i < starting; i++) this.#events.push(this.#nowMs + this.#fleet.startupMs, WORKER);
    // Nobody has to look any more once all is done.
    const busy = moreCome || this.#running + this.#waiting + this.#queue.depth > 0;
    if (busy) this.#events.push(this.#nowMs + LOOK_EVERY_MS, LOOK);
  }

  #claim(): void {
    for (;;) {
      const free = Math.min(this.#fleet.slots - this.#running, BATCH_MAX);
      if (free <= 0 || !this.#queue.claimable) break;
      for (const run of this.#queue.take(free)) this.#start(run);
    }
    this.#meter.depth(this.#queue.depth);
  }

  #start(run: Run): void {
    run.place = "running";
    this.#running += 1;
    this.#meter.claimed(run.readyMs, this.#nowMs);
    this.#meter.wrote(1);
    this.#scenario.probe?.onClaim?.(run.tenant, this.#queue.inFlightOf(run.tenant), this.#nowMs);
    this.#proceed(run, this.#fleet.handoverMs);
  }

  /** The run does its next part: it waits, ends, or calls the provider and works with what that said. */
  #proceed(run: Run, delayMs = 0): void {
    if (run.callsLeft === run.waitsAt) this.#wait(run);
    else if (run.callsLeft === 0 && (this.#calls > 0 || run.waitsAt === DONE)) this.#finish(run);
    else if (this.#calls === 0) this.#workWithoutCalls(run, delayMs);
    else if (this.#provider.limited) this.#call(run, delayMs);
    else this.#callFreely(run, delayMs);
  }

  #call(run: Run, delayMs: number): void {
    const goesMs = this.#provider.book(this.#nowMs);
    this.#scenario.probe?.onCall?.(goesMs);
    this.#meter.called(1, goesMs - this.#nowMs);
    run.callsLeft -= 1;
    this.#meter.wrote(this.#stepsPerCall);
    this.#events.push(goesMs + delayMs + this.#partMs(run), run);
  }

  /** Without limits nobody stands between the calls: all up to the wait or the end are one event. */
  #callFreely(run: Run, delayMs: number): void {
    const calls = run.callsLeft - Math.max(run.waitsAt, 0);
    let ms = delayMs;
    for (let i = 0; i < calls; i++) ms += this.#partMs(run);
    run.callsLeft -= calls;
    this.#meter.called(calls, 0);
    this.#meter.wrote(calls * this.#stepsPerCall);
    this.#events.push(this.#nowMs + ms, run);
  }

  #workWithoutCalls(run: Run, delayMs: number): void {
    run.waitsAt = DONE;
    this.#events.push(this.#nowMs + delayMs + (run.arrival.runMs ?? 0), run);
  }

  #partMs({ arrival }: Run): number {
    return arrival.runMs === null ? this.#callMs(this.#callRandom) : arrival.runMs / this.#calls;
  }

  #wait(run: Run): void {
    run.waitsAt = -1;
    run.place = "waiting";
    this.#waiting += 1;
    this.#meter.wrote(STEPS_PER_WAIT - 1);
    this.#events.push(this.#nowMs + run.arrival.waitMs, run);
    this.#free(run);
  }

  #finish(run: Run): void {
    this.#finished += 1;
    this.#meter.finished();
    this.#meter.wrote(STEPS_PER_RUN - 2);
    this.#free(run);
  }

  #free(run: Run): void {
    this.#running -= 1;
    this.#queue.release(run.tenant);
  }

  #result(): Simulated {
    const { workload, limits = UNLIMITED, databaseStepsPerSecond = null } = this.#scenario;
    const places = {
      arrived: this.#arrived,
      finished: this.#finished,
      queued: this.#queue.depth,
      running: this.#running,
      waiting: this.#waiting,
    };
    return this.#meter.result(places, { limits, tokensPerCall: workload.tokensPerCall, databaseStepsPerSecond });
  }
}

/** A run without calls whose work is behind it. */
const DONE = -2;
