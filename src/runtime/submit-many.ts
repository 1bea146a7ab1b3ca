// Many submits in one call: all are checked before the first is stored, and each has an answer of its own.
import { fail } from "../domain/errors.ts";
import { SUBMIT_ITEMS_MAX } from "../domain/limits.ts";
import type { NewRun } from "../store/submit.ts";
import type { SubmitItem } from "./api.ts";
import { answering, type Installation } from "./installation.ts";
import { type Placed, place, prepare } from "./submit.ts";

/** Runs of one statement. */
const STATEMENT_ITEMS = 500;

type Answer<T> = { readonly value: T } | { readonly error: Error };

/** One answer per item, in their order. @throws BATCH_TOO_LARGE */
export async function submitMany(
  installation: Installation,
  tenant: string,
  items: readonly SubmitItem[],
): Promise<Answer<Placed>[]> {
  if (items.length > SUBMIT_ITEMS_MAX) throw fail("BATCH_TOO_LARGE", { count: items.length, limit: SUBMIT_ITEMS_MAX });
  const checked = await Promise.all(
    items.map(({ agent, input, ...options }) => told(() => prepare(installation, tenant, agent, input, options))),
  );
  const answers: Answer<Placed>[] = [];
  // Statement after statement: what stands earlier in the list comes earlier in its thread.
  for (let at = 0; at < items.length; at += STATEMENT_ITEMS) {
    const part = checked.slice(at, at + STATEMENT_ITEMS);
    answers.push(...(await Promise.all(part.map((run, i) => stored(installation, run, items[at + i] ?? {})))));
  }
  return answers;
}

async function stored(
  installation: Installation,
  run: Answer<NewRun>,
  options: Omit<SubmitItem, "agent">,
): Promise<Answer<Placed>> {
  if ("error" in run) return run;
  return told(async () => {
    await installation.admission.admit();
    return place(installation, run.value, options);
  });
}

/** What it gives or throws, as a value. */
async function told<T>(work: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await answering(work) };
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
}
