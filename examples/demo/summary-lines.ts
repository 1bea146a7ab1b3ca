// The end of the demo: which promises held in this run, and what to do next.
import type { Paint } from "./paint.ts";
import type { Tale } from "./tale.ts";

export function summaryLines(summary: Extract<Tale, { event: "summary" }>, paint: Paint): string[] {
  const { verdicts, seconds, next } = summary;
  const broken = verdicts.filter(({ kept }) => !kept).length;
  const title =
    broken === 0
      ? paint(["green", "bold"], `All ${verdicts.length} promises kept`)
      : paint(["red", "bold"], `${broken} of ${verdicts.length} promises BROKEN`);
  return [
    `${title} in ${seconds.toFixed(1)} s`,
    ...verdicts.flatMap(({ promise, kept, evidence }) => [
      `  ${kept ? paint("green", "✓ kept  ") : paint(["red", "bold"], "✗ BROKEN")}  ${promise}`,
      `              ${paint("dim", evidence)}`,
    ]),
    "",
    paint("bold", "Next"),
    ...next.flatMap(({ command, says }) => [`  ${paint("cyan", command)}`, `      ${says}`]),
  ];
}
