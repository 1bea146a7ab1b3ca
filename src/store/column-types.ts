// How columns become JavaScript values: int8 as an exact number, all else as the driver has it.
import pg from "pg";

const INT8 = 20;
const INT8_ARRAY = 1016;

/** The driver's type table with int8 parsed to number; a value beyond 2^53 - 1 is an error and never a rounded number. */
export const rowTypes: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: "text" | "binary"): (raw: never) => unknown {
    if (oid === INT8 && format !== "binary") return exactInteger;
    if (oid === INT8_ARRAY && format !== "binary") return exactIntegers;
    return pg.types.getTypeParser(oid, format as "text");
  },
};

function exactInteger(raw: string): number {
  const value = Number(raw);
  if (!Number.isSafeInteger(value)) throw new RangeError(`int8 ${raw} does not fit a JavaScript number`);
  return value;
}

function exactIntegers(raw: string): unknown {
  const parse = pg.types.getTypeParser(INT8_ARRAY as never, "text") as (raw: string) => unknown;
  return numbers(parse(raw));
}

/** The driver gives the elements as strings, in arrays nested as deep as the column is. */
function numbers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(numbers);
  return value === null ? null : exactInteger(String(value));
}
