// A model that asks the same again and again is noticed; one that works is left alone.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Loop, LoopWatch, loopError, loopLimits } from "../../src/gateway/loop.ts";

function watch(option?: unknown): LoopWatch {
  const limits = loopLimits(option);
  if (limits === null || typeof limits === "string") throw new Error(String(limits));
  return new LoopWatch(limits);
}

/** The first loop that the calls close, with the number of the call. */
function firstLoop(
  calls: readonly (readonly [tool: string, args: unknown])[],
  option?: unknown,
): [number, Loop] | null {
  const watching = watch(option);
  for (const [index, [tool, args]] of calls.entries()) {
    const loop = watching.note(tool, args);
    if (loop !== null) return [index + 1, loop];
  }
  return null;
}

describe("LoopWatch", () => {
  test("five equal calls in a row are a loop, whatever the order of the arguments", () => {
    const calls = [1, 2, 3, 4, 5].map((n) => ["search", n % 2 ? { q: "x", n: 1 } : { n: 1, q: "x" }] as const);
    expect(firstLoop(calls)).toEqual([5, { tool: "search", count: 5, how: "in a row" }]);
    expect(firstLoop(calls.slice(1))).toBeNull();
  });

  test("another call between them begins anew, another argument or tool as well", () => {
    const repeated = Array.from({ length: 4 }, () => ["search", { q: "x" }] as const);
    expect(firstLoop([...repeated, ["search", { q: "y" }], ...repeated])).toBeNull();
    expect(firstLoop([...repeated, ["read", { q: "x" }], ...repeated])).toBeNull();
  });

  test("two calls in turn are noticed in all", () => {
    const calls = Array.from({ length: 100 }, (_, n) => [n % 2 ? "a" : "b", {}] as const);
    expect(firstLoop(calls)).toEqual([59, { tool: "b", count: 30, how: "in all" }]);
    expect(firstLoop(calls, { inAll: 3 })?.[0]).toBe(5);
  });

  test("arguments as text and parsed are the same; a text that does not parse is itself", () => {
    const same = [
      ["t", '{"a":1,"b":2}'],
      ["t", { b: 2, a: 1 }],
      ["t", ' {"b":2,"a":1}'],
    ] as const;
    expect(firstLoop(same, { inARow: 3 })?.[0]).toBe(3);
    expect(
      firstLoop(
        [
          ["t", "{broken"],
          ["t", "{broken "],
          ["t", "{broken"],
        ],
        { inARow: 3 },
      )?.[0],
    ).toBe(3);
  });

  test("what cannot be compared, and tools that are excepted, are never a loop", () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    expect(firstLoop(Array.from({ length: 50 }, () => ["t", circle] as const))).toBeNull();
    expect(
      firstLoop(
        Array.from({ length: 50 }, () => ["poll", {}] as const),
        { except: ["poll"] },
      ),
    ).toBeNull();
  });

  test("calls that all differ are never a loop, and the verdict is the same each time", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer(), { maxLength: 200 }), (numbers) => {
        expect(firstLoop(numbers.map((n) => ["t", { n }] as const))).toBeNull();
      }),
    );
    const anyCalls = fc.array(fc.tuple(fc.constantFrom("a", "b"), fc.constantFrom(1, 2)), { maxLength: 200 });
    fc.assert(fc.property(anyCalls, (calls) => void expect(firstLoop(calls)).toEqual(firstLoop(calls))));
  });

  test("keeps up with ten thousand calls", () => {
    const watching = watch();
    for (let n = 0; n < 10_000; n++) expect(watching.note("t", { n })).toBeNull();
  });
});

describe("options", () => {
  test("false watches nothing, nothing said is the default", () => {
    expect(loopLimits(false)).toBeNull();
    expect(loopLimits(undefined)).toMatchObject({ inARow: 5, inAll: 30 });
    expect(loopLimits({ inARow: 3 })).toMatchObject({ inARow: 3, inAll: 30 });
  });

  test.each([[true], [{ inARow: 1 }], [{ inAll: Number.NaN }], [{ except: "poll" }], [{ inarow: 3 }], [[]]])(
    "%j is refused",
    (option) => {
      expect(typeof loopLimits(option)).toBe("string");
    },
  );

  test("the error says what was repeated", () => {
    const error = loopError({ tool: "search", count: 5, how: "in a row" });
    expect(error).toMatchObject({ code: "MODEL_LOOP", retryable: false, details: { tool: "search", count: 5 } });
    expect(error.message).toBe("The model called the tool search 5 times in a row with the same arguments.");
  });
});
