// Whatever is written, and whenever readers look, all of them put the same message together.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type TokenPart, textOf } from "../../src/domain/tokens.ts";
import { decodeValue } from "../../src/domain/value.ts";
import { MessageLog, unitsOfParts } from "../../src/engine/message-log.ts";

const name = { runId: "r", epoch: 1, key: "k", attempt: 1, afterSeq: 0 };

const text = fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), fc.constant("x".repeat(5_000)), fc.constant(""));
const part: fc.Arbitrary<TokenPart> = fc.oneof(
  text,
  fc.record({ type: fc.constantFrom("text-delta", "reasoning-delta"), id: fc.constantFrom("0", "1"), delta: text }),
  fc.record({ type: fc.constantFrom("text-delta", "text-start"), id: fc.constant("0"), delta: text, more: fc.nat() }),
  fc.record({ type: fc.constant("source"), at: fc.date({ noInvalidDate: true }) }),
);

/** Parts in one normal form: neighbours of the same kind are one, and what says nothing is left out. */
function joined(parts: readonly TokenPart[]): TokenPart[] {
  const result: TokenPart[] = [];
  for (const next of parts) {
    if (unitsOfParts([next]) === 0) continue;
    const last = result.at(-1);
    const both = last === undefined ? null : join(last, next);
    if (both === null) result.push(next);
    else result[result.length - 1] = both;
  }
  return result;
}

function join(one: TokenPart, other: TokenPart): TokenPart | null {
  if (typeof one === "string" && typeof other === "string") return one + other;
  if (typeof one === "string" || typeof other === "string") return null;
  const isDelta = Object.keys(one).join() === "type,id,delta" && Object.keys(other).join() === "type,id,delta";
  if (!isDelta || one.type !== other.type || one["id"] !== other["id"]) return null;
  return { ...one, delta: String(one["delta"]) + String(other["delta"]) };
}

describe("a message", () => {
  test("is the same for a reader that looks now and then as for one that comes at the end", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(part, fc.boolean()), { maxLength: 30 }), (writes) => {
        const log = new MessageLog(name, 1);
        const seen: TokenPart[] = [];
        let position = 0;
        const look = (): void => {
          const parts = log.partsFrom(position);
          position += unitsOfParts(parts);
          seen.push(...parts);
        };
        for (const [written, looks] of writes) {
          log.add(written);
          if (looks) look();
        }
        look();
        const parts = writes.map(([written]) => written);
        expect(position).toBe(log.length);
        expect(joined(seen)).toEqual(joined(parts));
        expect(joined(log.partsFrom(0))).toEqual(joined(parts));
        expect(log.text).toBe(parts.map(textOf).join(""));
      }),
    );
  });

  test("is the same out of its blocks, from wherever they begin", () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 30 }), fc.nat(200), (writes, from) => {
        const log = new MessageLog(name, 1);
        for (const written of writes) log.add(written);
        const start = Math.min(from, log.length);
        let position = start;
        const parts: TokenPart[] = [];
        for (const { pos, body } of log.blocksFrom(start)) {
          expect(pos).toBe(position);
          const block = decodeValue(body) as TokenPart[];
          position += unitsOfParts(block);
          parts.push(...block);
        }
        expect(position).toBe(log.length);
        expect(joined(parts)).toEqual(joined(log.partsFrom(start)));
      }),
    );
  });

  test("of a long text comes in blocks that fit", () => {
    const log = new MessageLog(name, 1);
    log.add("x".repeat(200_000));
    for (let i = 0; i < 50_000; i++) log.add("word ");
    const blocks = [...log.blocksFrom(0)];
    expect(Math.max(...blocks.map(({ body }) => body.length))).toBeLessThan(34_000);
    expect(blocks.length).toBeLessThan(16);
  });

  test("keeps a part as it was when it was written", () => {
    const log = new MessageLog(name, 1);
    const mutable = { type: "tool-call", input: { n: 1 } };
    log.add(mutable);
    mutable.input.n = 2;
    expect(log.partsFrom(0)).toEqual([{ type: "tool-call", input: { n: 1 } }]);
  });

  test("that is begun anew has nothing of before", () => {
    const log = new MessageLog(name, 1);
    log.add("before");
    log.restart(2);
    log.add("a");
    expect([log.take, log.length, log.text]).toEqual([2, 1, "a"]);
  });
});
