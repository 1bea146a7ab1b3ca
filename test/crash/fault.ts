// Counts the victim's requests, and strikes at one of them.
import type { Point } from "./point.ts";
import type { DatabaseProxy, Decider, Decision, Exchange } from "./proxy.ts";
import type { Victim } from "./victim.ts";

/** Requests that time causes, not the workload: counted apart, so that the numbers of the others stay the same from run to run. */
const PERIODIC: Readonly<Record<string, string>> = { lh_tick: "tick", lh_heartbeat: "beat", lh_ring: "ring" };
const OUTAGE_MS = 300;

/** Counts, and lets everything pass. */
export class Counter implements Decider {
  readonly #counts = new Map<string, number>();
  /** Names of the requests so far, in order, and what each asked. */
  readonly seen = new Map<string, string>();
  readonly #names = new WeakMap<Exchange, string>();
  #movedMs = performance.now();

  onRequest(exchange: Exchange): Decision | Promise<Decision> {
    this.count(exchange);
    return "pass";
  }

  onAnswer(exchange: Exchange): Decision | Promise<Decision> {
    this.moved(exchange);
    return "pass";
  }

  /** For so long nothing has moved but what time causes. */
  quietFor(ms: number): boolean {
    return performance.now() - this.#movedMs > ms;
  }

  protected nameOf(exchange: Exchange): string {
    return this.#names.get(exchange) ?? "";
  }

  protected count(exchange: Exchange): void {
    const periodic = PERIODIC[exchange.label];
    const count = (this.#counts.get(periodic ?? "") ?? 0) + 1;
    this.#counts.set(periodic ?? "", count);
    const name = periodic === undefined ? String(count) : `${periodic}-${count}`;
    this.seen.set(name, exchange.label);
    this.#names.set(exchange, name);
    this.moved(exchange);
  }

  protected moved(exchange: Exchange): void {
    if (PERIODIC[exchange.label] === undefined) this.#movedMs = performance.now();
  }
}

/** Counts, and does what the point says. */
export class Striker extends Counter {
  readonly #point: Point;
  readonly #victim: Victim;
  readonly #proxy: DatabaseProxy;
  /** What the struck request asked; null: not struck yet. */
  struck: string | null = null;
  #strike: () => void = () => undefined;
  /** Resolves when it has struck. */
  readonly hit = new Promise<void>((resolve) => {
    this.#strike = resolve;
  });
  #release: () => void = () => undefined;
  readonly #released = new Promise<void>((resolve) => {
    this.#release = resolve;
  });

  constructor(point: Point, victim: Victim, proxy: DatabaseProxy) {
    super();
    this.#point = point;
    this.#victim = victim;
    this.#proxy = proxy;
  }

  override onRequest(exchange: Exchange): Decision | Promise<Decision> {
    this.count(exchange);
    return this.#decide("before", exchange);
  }

  override onAnswer(exchange: Exchange): Decision | Promise<Decision> {
    this.moved(exchange);
    return this.#decide("after", exchange);
  }

  /** Lets a frozen victim, and what was held back of its traffic, go on. */
  thaw(): void {
    this.#victim.thaw();
    this.#release();
  }

  #decide(side: Point["side"], exchange: Exchange): Decision | Promise<Decision> {
    const { fault, request } = this.#point;
    if (this.struck !== null || side !== this.#point.side || this.nameOf(exchange) !== request) return "pass";
    this.struck = exchange.label;
    this.#strike();
    switch (fault) {
      case "kill":
        this.#victim.kill();
        return "drop";
      case "cut":
        return "cut";
      case "outage":
        this.#proxy.down = true;
        setTimeout(() => {
          this.#proxy.down = false;
        }, OUTAGE_MS);
        this.#proxy.cutAll();
        return "cut";
      case "freeze":
      case "zombie":
        this.#victim.freeze();
        // The request reaches the server, or the answer the victim, only now: long after somebody else took over.
        return this.#released.then(() => "pass" as const);
    }
  }
}
