// What people write as a duration means what they think, and what is shown can be read back.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DurationInput, durationMs, formatDuration } from "../../src/domain/duration.ts";
import { DURATION_CHARS_MAX, DURATION_MS_MAX } from "../../src/domain/limits.ts";

const DAY = 86_400_000;

describe("durationMs", () => {
  test.each<[DurationInput, number]>([
    [0, 0],
    [1_500, 1_500],
    [0.4, 0],
    ["250ms", 250],
    ["250 milliseconds", 250],
    ["1 s", 1_000],
    ["90 seconds", 90_000],
    ["5 min", 300_000],
    ["1h 30m", 5_400_000],
    ["1h30m", 5_400_000],
    ["1.5 hours", 5_400_000],
    ["1.1h", 3_960_000],
    ["3 days", 3 * DAY],
    ["2 weeks", 14 * DAY],
    ["1 week, 2 days and 3 hours", 9 * DAY + 10_800_000],
    ["  2 D ", 2 * DAY],
    ["0 s", 0],
    ["PT5M", 300_000],
    ["P1DT12H", 1.5 * DAY],
    ["P2W", 14 * DAY],
    ["pt0.5s", 500],
    [{ minutes: 5 }, 300_000],
    [{ weeks: 1, days: 1, hours: 1, minutes: 1, seconds: 1, milliseconds: 1 }, 8 * DAY + 3_661_001],
    [{ hours: 1, minutes: undefined } as never, 3_600_000],
  ])("of %j is %d", (input, ms) => {
    expect(durationMs(input)).toBe(ms);
  });

  test.each<[unknown, RegExp]>([
    ["", /not numbers with units/],
    ["soon", /not numbers with units/],
    ["5", /not numbers with units/],
    ["5 fortnights", /"fortnights" is not a unit/],
    ["3 months", /"months" is not a unit/],
    ["-5 s", /not numbers with units/],
    ["5 s 3", /not numbers with units/],
    ["1e3 s", /"e" is not a unit/],
    ["30m 1h", /from long to short/],
    ["1h 1h", /from long to short/],
    ["P1M", /ISO 8601/],
    ["P1Y", /ISO 8601/],
    ["P", /ISO 8601/],
    ["PT", /ISO 8601/],
    [-1, /it is negative/],
    [Number.NaN, /it is not a number/],
    [Number.POSITIVE_INFINITY, /longer than ten years/],
    [{}, /names no unit/],
    [{ month: 1 }, /"month" is not a unit/],
    [{ __proto__: { days: 1 } }, /names no unit/],
    [{ days: -1 }, /it is negative/],
    [{ days: "1" }, /it is not a number/],
    [null, /it is not a duration/],
    [undefined, /it is not a duration/],
    [true, /it is not a duration/],
    [[5], /it is not a duration/],
    ["9".repeat(DURATION_CHARS_MAX + 1), /more than 100 characters/],
  ])("refuses %j", (input, reason) => {
    expect(() => durationMs(input as DurationInput)).toThrow(
      expect.objectContaining({ code: "DURATION_INVALID", status: 400, message: expect.stringMatching(reason) }),
    );
  });

  test("takes ten years and not a millisecond more", () => {
    expect(durationMs(DURATION_MS_MAX)).toBe(DURATION_MS_MAX);
    expect(durationMs("3653 days")).toBe(DURATION_MS_MAX);
    expect(() => durationMs(DURATION_MS_MAX + 1)).toThrow(/longer than ten years/);
    expect(() => durationMs({ days: 3_653, milliseconds: 1 })).toThrow(/longer than ten years/);
    expect(durationMs(`${" ".repeat(DURATION_CHARS_MAX - 3)}1 s`)).toBe(1_000);
  });

  test("gives whole milliseconds within the limit or the coded error, for any input", () => {
    const anyInput = fc.oneof(
      fc.anything(),
      fc.string(),
      fc.stringMatching(/^[0-9. ,a-zPT]{0,40}$/),
      fc.dictionary(fc.constantFrom("days", "hours", "x"), fc.oneof(fc.double(), fc.anything())),
    );
    fc.assert(
      fc.property(anyInput, (input) => {
        try {
          const ms = durationMs(input as DurationInput);
          expect(Number.isInteger(ms) && ms >= 0 && ms <= DURATION_MS_MAX).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: "DURATION_INVALID" });
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("means the same as text, as parts and as ISO 8601", () => {
    const parts = fc.record({ days: fc.nat(400), hours: fc.nat(100), minutes: fc.nat(100), seconds: fc.nat(100) });
    fc.assert(
      fc.property(parts, ({ days, hours, minutes, seconds }) => {
        const ms = days * DAY + hours * 3_600_000 + minutes * 60_000 + seconds * 1_000;
        expect(durationMs({ days, hours, minutes, seconds })).toBe(ms);
        expect(durationMs(`${days} days ${hours} h, ${minutes}m and ${seconds} secs`)).toBe(ms);
        expect(durationMs(`P${days}DT${hours}H${minutes}M${seconds}S`)).toBe(ms);
      }),
    );
  });
});

describe("formatDuration", () => {
  test.each([
    [0, "0 ms"],
    [250.4, "250 ms"],
    [999.6, "1 s"],
    [4_000, "4 s"],
    [4_249, "4.2 s"],
    [9_949, "9.9 s"],
    [9_950, "10 s"],
    [59_499, "59 s"],
    [59_500, "1 min"],
    [90_000, "1 min 30 s"],
    [3_599_600, "1 h"],
    [5_400_000, "1 h 30 min"],
    [DAY, "1 day"],
    [3 * DAY, "3 days"],
    [2 * DAY + 4 * 3_600_000, "2 days 4 h"],
    [DAY - 1, "1 day"],
    [-4_000, "-4 s"],
    [Number.NaN, "unknown"],
    [Number.POSITIVE_INFINITY, "unknown"],
  ])("of %d is %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test("is read back by durationMs to within half of its shortest unit", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: DURATION_MS_MAX - DAY, noNaN: true }), (ms) => {
        const back = durationMs(formatDuration(ms));
        const unit = ms < 9_000 ? 100 : ms < 3_590_000 ? 1_000 : ms < DAY - 60_000 ? 60_000 : 3_600_000;
        expect(Math.abs(back - ms)).toBeLessThanOrEqual(unit / 2 + 1);
      }),
    );
  });
});
