// The command that follows a run: its journal as it grows, until the run ends or the watcher leaves.
import type { RunEvent } from "../domain/entry.ts";
import { fail } from "../domain/errors.ts";
import type { TokenEvent } from "../domain/tokens.ts";
import type { Context } from "./context.ts";
import { asNotReady, openInstallation } from "./installation.ts";

export interface WatchInput {
  readonly run: string;
  /** Only entries after this one. */
  readonly after?: number | undefined;
  /** Also what steps are writing. Default: for people. */
  readonly tokens?: boolean | undefined;
}

/** Every journaled event once and in order, also across restarts of whatever executes the run. @throws RUN_NOT_FOUND */
export async function* watchRun(
  input: WatchInput,
  context: Context,
): AsyncGenerator<RunEvent | TokenEvent, void, undefined> {
  const { tenant, project, close } = await openInstallation(context);
  try {
    if ((await tenant.get(input.run)) === null) throw fail("RUN_NOT_FOUND", { run: input.run });
    const { signal } = context.stop;
    const { after = 0, tokens = context.options.forPeople } = input;
    for await (const event of tenant.stream(input.run, { after, tokens, abort: signal })) {
      yield event;
      if (signal.aborted) return;
    }
  } catch (error) {
    if (!context.stop.signal.aborted) throw asNotReady(error, project.settings.schema);
  } finally {
    await close();
  }
}
