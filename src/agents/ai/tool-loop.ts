// How a run ends whose model makes the same call again and again.
import { fail, type LonghaulError } from "../../domain/errors.ts";
import type { Loop } from "../../gateway/loop.ts";

export function loopError({ tool, count, how }: Loop): LonghaulError {
  return fail("TOOL_LOOP", { tool: tool.slice(0, 100), count, how }, { details: { tool, count, how } });
}
