// Small random programs of durable verbs, and the agent that executes them and writes down what its code saw, in order.
import fc from "fast-check";
import { agent, type Ctx } from "../../src/index.ts";

export type Node =
  | { readonly kind: "step"; readonly ms: number; readonly failures: number }
  | { readonly kind: "caught" }
  | { readonly kind: "sleep"; readonly ms: number }
  | { readonly kind: "signal"; readonly name: string }
  | { readonly kind: "values" }
  | { readonly kind: "emit" }
  | { readonly kind: "state" }
  | { readonly kind: "child"; readonly n: number }
  | { readonly kind: "children"; readonly n: number }
  | { readonly kind: "seq"; readonly nodes: readonly Node[] }
  | { readonly kind: "all"; readonly nodes: readonly Node[] }
  | { readonly kind: "map"; readonly nodes: readonly Node[]; readonly concurrency: number }
  | { readonly kind: "race"; readonly node: Node }
  | { readonly kind: "openRace"; readonly nodes: readonly Node[] };

const few = (nodes: fc.Arbitrary<Node>): fc.Arbitrary<Node[]> => fc.array(nodes, { minLength: 1, maxLength: 3 });
const ms = fc.integer({ min: 0, max: 12 });

/** Programs whose output is the same at every execution. */
export function programs(races: "decided" | "open"): fc.Arbitrary<Node> {
  const { program } = fc.letrec<{ node: Node; program: Node }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.record({ kind: fc.constant("step" as const), ms, failures: fc.constantFrom(0, 0, 0, 1, 2) }),
      fc.constant<Node>({ kind: "caught" }),
      fc.record({ kind: fc.constant("sleep" as const), ms: fc.constantFrom(0, 5, 20, 300) }),
      fc.record({ kind: fc.constant("signal" as const), name: fc.constantFrom("a", "b") }),
      fc.constant<Node>({ kind: "values" }),
      fc.constant<Node>({ kind: "emit" }),
      fc.constant<Node>({ kind: "state" }),
      fc.record({ kind: fc.constant("child" as const), n: fc.nat(9) }),
      fc.record({ kind: fc.constant("children" as const), n: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant("seq" as const), nodes: few(tie("node")) }),
      fc.record({ kind: fc.constant("all" as const), nodes: few(tie("node")) }),
      fc.record({
        kind: fc.constant("map" as const),
        nodes: few(tie("node")),
        concurrency: fc.integer({ min: 1, max: 3 }),
      }),
      races === "decided"
        ? fc.record({ kind: fc.constant("race" as const), node: tie("node") })
        : fc.record({ kind: fc.constant("openRace" as const), nodes: few(tie("node")) }),
    ),
    program: fc.record({
      kind: fc.constant("seq" as const),
      nodes: fc.array(tie("node"), { minLength: 2, maxLength: 6 }),
    }),
  }));
  return program;
}

/** How many signals of each name a program waits for. */
export function signalsOf(node: Node): string[] {
  if (node.kind === "signal") return [node.name];
  if ("node" in node) return signalsOf(node.node);
  return "nodes" in node ? node.nodes.flatMap(signalsOf) : [];
}

export interface Witness {
  /** What the code saw, for each time it was started. */
  readonly traces: string[][];
  /** Starts of each step's body, by its key. */
  readonly bodies: Map<string, number>;
}

/** What was seen of each run, by the id in its input. */
export const witnesses = new Map<string, Witness>();

export const leaf = agent({ name: "leaf", run: (ctx, n) => ctx.step("leaf", () => (n as number) * 10) });

export const interpreter = agent({
  name: "interpreter",
  async run(ctx, input) {
    const { id, program } = input as { id: string; program: Node };
    const witness = witnesses.get(id) as Witness;
    const trace: string[] = [];
    witness.traces.push(trace);
    return new Interpreter(witness, trace).run(ctx, program, "p");
  },
});

class Interpreter {
  readonly #witness: Witness;
  readonly #trace: string[];

  constructor(witness: Witness, trace: string[]) {
    this.#witness = witness;
    this.#trace = trace;
  }

  async run(ctx: Ctx, node: Node, path: string): Promise<unknown> {
    const value = await this.#execute(ctx, node, path);
    this.#trace.push(`${path} ${JSON.stringify(value)}`);
    return value;
  }

  #execute(ctx: Ctx, node: Node, path: string): Promise<unknown> {
    switch (node.kind) {
      case "step":
        return ctx.step(
          `step ${path}`,
          { retry: { maxAttempts: 3, initialMs: 1 } },
          async ({ idempotencyKey, attempt }) => {
            this.#witness.bodies.set(idempotencyKey, (this.#witness.bodies.get(idempotencyKey) ?? 0) + 1);
            await new Promise((resolve) => setTimeout(resolve, node.ms));
            if (attempt <= node.failures) throw new Error(`attempt ${attempt}`);
            return `${path} ${attempt}`;
          },
        );
      case "caught":
        return ctx
          .step(`fails ${path}`, { retry: false }, () => Promise.reject(new RangeError(path)))
          .catch((error: Error) => `${error.name} ${error.message}`);
      case "sleep":
        return ctx.sleep(node.ms);
      case "signal":
        return ctx.signal(node.name).then(() => node.name);
      case "values":
        return this.#values(ctx, path);
      case "emit":
        ctx.emit("e", path);
        return Promise.resolve("emitted");
      case "state":
        return ctx.state.set(path).then(() => ctx.state.get());
      case "child":
        return ctx.spawn(leaf, node.n).then((child) => child.result());
      case "children":
        return ctx.map(
          `children ${path}`,
          Array.from({ length: node.n }, (_, i) => i),
          leaf,
        );
      default:
        return this.#compose(ctx, node, path);
    }
  }

  /** Recorded values, written with the step that uses them: it says whether a replay makes the same. */
  async #values(ctx: Ctx, path: string): Promise<string> {
    const made = `${ctx.now()} ${ctx.random()} ${ctx.uuid()}`;
    const used = await ctx.step(`values ${path}`, () => made);
    return used === made ? "same" : `another: ${made}, not ${used}`;
  }

  async #compose(
    ctx: Ctx,
    node: Extract<Node, { nodes: unknown } | { node: unknown }>,
    path: string,
  ): Promise<unknown> {
    switch (node.kind) {
      case "seq": {
        const values: unknown[] = [];
        for (const [i, part] of node.nodes.entries()) values.push(await this.run(ctx, part, `${path}.${i}`));
        return values;
      }
      case "all":
        return ctx.all(
          Object.fromEntries(node.nodes.map((part, i) => [`b${i}`, (c: Ctx) => this.run(c, part, `${path}.${i}`)])),
        );
      case "map":
        return ctx.map(`map ${path}`, node.nodes, (c, part, i) => this.run(c, part, `${path}.${i}`), {
          concurrency: node.concurrency,
        });
      case "race":
        return ctx.race({ runner: (c) => this.run(c, node.node, `${path}.r`), never: (c) => c.signal("never") });
      case "openRace":
        return ctx.race(
          Object.fromEntries(node.nodes.map((part, i) => [`b${i}`, (c: Ctx) => this.run(c, part, `${path}.${i}`)])),
        );
    }
  }
}
