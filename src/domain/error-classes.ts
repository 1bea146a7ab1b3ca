// The built-in error classes that survive being recorded. A closed table: a stored name never chooses what is constructed.

const classes = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
} as const;

/** Name of a built-in error class; `AggregateError` is one whose constructor takes the errors first. */
export type ErrorClass = keyof typeof classes | "AggregateError";

const subclasses = Object.keys(classes).filter((name) => name !== "Error") as (keyof typeof classes)[];

/** The most specific built-in class of an error; `Error` for everything that users and packages derive from it. */
export function errorClassOf(error: object): ErrorClass {
  if (error instanceof AggregateError) return "AggregateError";
  return subclasses.find((name) => error instanceof classes[name]) ?? "Error";
}

export function isErrorClass(name: unknown): name is ErrorClass {
  return name === "AggregateError" || (typeof name === "string" && Object.hasOwn(classes, name));
}

/** A new error of the class with nothing but its message; no trace of where it was constructed. */
export function bareError(name: ErrorClass, message: string): Error {
  const error = name === "AggregateError" ? new AggregateError([], message) : new classes[name](message);
  Reflect.deleteProperty(error, "stack");
  return error;
}
