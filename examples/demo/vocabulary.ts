// The word lists behind the offline rules: words that say nothing, words that say little, and words that say the same.

/** Words that carry no meaning of their own in a question ("how", "the", "use"). */
export const stopWords = new Set(
  `a about above after again against all also am an and any are aren't as at be because been before being below between
  both but by can can't cannot compare compared could did didn't difference differences different do does doesn't doing
  don't down during each explain describe few for from further get gets give given go had happen happens has have having
  he help her here hers him his how i i'm if in instead into is isn't it its itself just let let's like many may me mean
  means might more most much must my need no nor normal not now of off on once one only or other our out over own per
  please possible rather same see shall she should show so some someone something anything such tell than that that's
  the their them then there these they thing this those through to too under until up upon us use used using uses
  versus very vs want was way we were what what's when where whether which while who whom whose why will with within
  without work works would you your make makes`.split(/\s+/),
);

/** Words so common in documentation that finding them proves little. */
export const genericWords = new Set(
  `add available change code configure create default example feature file function generate method new option set support type
  value`.split(/\s+/),
);

/** Groups of words that documentation uses for one thing. */
export const synonymGroups: readonly (readonly string[])[] = [
  ["abort", "cancel", "interrupt", "signal"],
  ["argument", "parameter", "operand"],
  ["close", "shutdown", "end", "dispose"],
  ["config", "configure", "configuration", "settings"],
  ["delete", "remove", "unset"],
  ["disable", "skip", "false"],
  ["env", "environment"],
  ["exception", "error", "failure", "throw"],
  ["generate", "create"],
  ["hide", "redact", "mask", "censor"],
  ["licence", "license"],
  ["log", "logger", "logging"],
  ["mandatory", "required"],
  ["parallel", "concurrent", "concurrency"],
  ["password", "secret", "credential", "sensitive"],
  ["repeat", "retry", "rerun"],
  ["speed", "performance", "fast", "benchmark"],
  ["timeout", "deadline"],
  ["validate", "parse", "check"],
  ["variadic", "multiple"],
];
