// Tries one crash point: the workload runs, the fault strikes, somebody finishes the work, and everything is checked.
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { type Arena, LEASE_MS } from "./arena.ts";
import { brokenInvariants, contradictions, outcomeOf, standstill } from "./check.ts";
import { Counter, Striker } from "./fault.ts";
import { nameOf, type Point } from "./point.ts";
import type { Victim } from "./victim.ts";

export interface Clean {
  /** Requests of the undisturbed run, by name: what each asked. */
  readonly requests: ReadonlyMap<string, string>;
  readonly outcome: string;
}

export interface Report {
  readonly name: string;
  /** What the struck request asked; null when the run ended before it came to that. */
  readonly struck: string | null;
  /** Empty when every promise was kept. */
  readonly violations: readonly string[];
  readonly ms: number;
}

const PATIENCE_MS = 30_000;
const OUTPUT_CHARS = 2_000;
/** A thawed victim has said what it had to say when it is quiet for so long. */
const QUIET_MS = 150;

/** The undisturbed run. @throws when already that one breaks a promise. */
export async function cleanRun(arena: Arena, victim: Victim): Promise<Clean> {
  await arena.reset();
  const file = arena.nextFile();
  const counter = new Counter();
  arena.proxy.decider = counter;
  const stage = new Stage(arena, file);
  try {
    await stage.start(victim);
    await stage.untilOver();
    await until(() => counter.quietFor(QUIET_MS));
    const problems = [
      ...(await brokenInvariants(arena.db, "at the end")),
      ...(await contradictions(arena, file, false)),
      ...(await stage.watched()),
    ];
    if (problems.length > 0)
      throw new Error(`the undisturbed run breaks promises: ${problems.join("; ")}\n${victim.output}`);
    return { requests: counter.seen, outcome: await outcomeOf(arena.db) };
  } finally {
    await stage.close();
  }
}

export async function tryPoint(arena: Arena, point: Point, clean: Clean, victim: Victim): Promise<Report> {
  const startMs = performance.now();
  await arena.reset();
  const file = arena.nextFile();
  const striker = new Striker(point, victim, arena.proxy);
  arena.proxy.decider = striker;
  const stage = new Stage(arena, file);
  const violations: string[] = [];
  try {
    await stage.start(victim);
    await Promise.race([striker.hit, stage.untilOver()]);
    if (striker.struck !== null) violations.push(...(await aftermath(stage, striker, point, victim)));
    await stage.untilOver();
    if (point.fault !== "kill" && arena.workload.victim === "worker" && !victim.running)
      violations.push("the worker died");
    const outcome = await outcomeOf(arena.db);
    if (outcome !== clean.outcome) violations.push(`another outcome:\n${outcome}\ninstead of\n${clean.outcome}`);
    violations.push(...(await brokenInvariants(arena.db, "at the end")));
    violations.push(...(await contradictions(arena, file, point.fault === "cut" || point.fault === "outage")));
    violations.push(...(await stage.watched()));
  } catch (error) {
    violations.push(String(error), await standstill(arena.db), ...(await brokenInvariants(arena.db, "stuck")));
  } finally {
    await stage.close();
  }
  if (violations.length > 0 && victim.output !== "")
    violations.push(`the victim said: ${victim.output.slice(0, OUTPUT_CHARS)}`);
  return { name: nameOf(point), struck: striker.struck, violations, ms: performance.now() - startMs };
}

/** What follows the fault, up to where the work can go on undisturbed. */
async function aftermath(stage: Stage, striker: Striker, point: Point, victim: Victim): Promise<string[]> {
  const { arena } = stage;
  switch (point.fault) {
    case "kill": {
      await victim.ended;
      const violations = await brokenInvariants(arena.db, "after the kill");
      if (arena.workload.victim !== "client") await arena.freeDead();
      violations.push(...(await brokenInvariants(arena.db, "after its leases were freed")));
      await stage.rescue();
      return violations;
    }
    case "cut":
    case "outage":
      return [];
    case "freeze": {
      const gate = new Gate();
      await stage.rescue(() => gate.reached());
      await Promise.race([gate.waiting, stage.untilOver()]);
      striker.thaw();
      await until(() => striker.quietFor(QUIET_MS));
      const violations = await brokenInvariants(arena.db, "beside the thawed worker");
      gate.open();
      return violations;
    }
    case "zombie": {
      await stage.rescue();
      await stage.untilOver();
      striker.thaw();
      await until(() => striker.quietFor(QUIET_MS));
      return [];
    }
  }
}

/** The parties of one try: the victim, whoever takes over, and the world. */
class Stage {
  readonly arena: Arena;
  readonly #file: string;
  readonly #told = new Set<string>();
  readonly #rescuers: LonghaulProcess[] = [];
  #victim: Victim | null = null;
  #world: Promise<void> = Promise.resolve();
  #watching: Promise<string[]>[] = [];
  #closed = false;

  constructor(arena: Arena, file: string) {
    this.arena = arena;
    this.#file = file;
  }

  async start(victim: Victim): Promise<void> {
    const { workload, proxy, outside } = this.arena;
    this.#victim = victim;
    if (workload.victim === "worker") {
      const runIds = await this.arena.submit(this.#file);
      this.#watching = runIds.flatMap((runId) => workload.watch?.(outside, runId) ?? []);
    } else if (workload.victim === "client") await this.rescue();
    this.#world = this.#keepTurning();
    await victim.go({ url: proxy.url, workload: workload.name, file: this.#file, leaseMs: LEASE_MS });
  }

  /** A worker takes over, or a client asks again for what it does not know to be done. */
  async rescue(gate: () => Promise<void> | void = () => undefined): Promise<void> {
    const { victim } = this.arena.workload;
    const first = this.#rescuers.length === 0;
    if (victim !== "client" || first) this.#rescuers.push(await this.arena.rescuer(this.#file, gate));
    if (victim === "both" || (victim === "client" && !first)) await this.arena.submit(this.#file);
  }

  /** All runs have ended, and a client has all its answers. */
  async untilOver(): Promise<void> {
    if (this.arena.workload.victim !== "worker") await this.#victim?.ended;
    await until(() => this.arena.over());
  }

  /** What readers saw that cannot be, once the runs have ended. */
  async watched(): Promise<string[]> {
    return (await Promise.all(this.#watching)).flat();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#victim?.kill();
    await this.#victim?.ended;
    await this.#world;
    await Promise.all(this.#rescuers.map((rescuer) => rescuer.close()));
  }

  async #keepTurning(): Promise<void> {
    const { workload, outside } = this.arena;
    while (!this.#closed && workload.world !== undefined) {
      await workload.world(outside, this.#told);
      await pause(10);
    }
  }
}

/** Holds back the first that come, until it is opened. */
class Gate {
  #open: () => void = () => undefined;
  #arrive: () => void = () => undefined;
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });
  readonly waiting = new Promise<void>((resolve) => {
    this.#arrive = resolve;
  });

  reached(): Promise<void> {
    this.#arrive();
    return this.#opened;
  }

  open(): void {
    this.#open();
  }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("stuck: the work did not come to an end");
    await pause(10);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
