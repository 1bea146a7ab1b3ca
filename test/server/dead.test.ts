// Dead letters over HTTP.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOf, type House, openHouse, post } from "./harness.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

interface Letter {
  readonly runId: string;
  readonly code: string;
}

async function listed(query = ""): Promise<Letter[]> {
  const response = await fetch(`${house.server.url}/admin/dead${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Letter[];
}

async function send(path: string, body: unknown): Promise<unknown> {
  const response = await post(house.server, path, body);
  const value: unknown = await response.json();
  expect([response.status, value]).toEqual([200, value]);
  return value;
}

async function dies(): Promise<string> {
  const { runId } = await house.longhaul.submit("failing", null);
  await house.longhaul.wait(runId);
  return runId;
}

test("a letter is listed, retried once, edited or discarded", async () => {
  const [one, two, three] = [await dies(), await dies(), await dies()];
  expect(await listed()).toMatchObject([three, two, one].map((runId) => ({ runId, code: "RangeError", kind: "dead" })));
  expect(await listed(`?limit=1&before=${three}`)).toMatchObject([{ runId: two }]);
  expect(await listed("?code=TypeError")).toEqual([]);
  expect(await listed("?since=2999-01-01T00:00:00Z")).toEqual([]);
  const retried = (await send(`/admin/dead/${one}/retry`, {})) as Letter;
  expect(await send(`/admin/dead/${one}/retry`, {})).toEqual(retried);
  await house.longhaul.wait(retried.runId);
  const edited = (await send(`/admin/dead/${two}/edit`, { input: { any: 1 } })) as Letter;
  expect((await house.longhaul.inspect(edited.runId))?.input).toEqual({ any: 1 });
  await house.longhaul.wait(edited.runId);
  expect(await send(`/admin/dead/${three}/discard`, {})).toEqual({ runId: three });
  expect((await listed()).map(({ runId }) => runId)).toEqual([edited.runId, retried.runId].toSorted().toReversed());
  expect(await send("/admin/dead/discard", { code: "RangeError", limit: 1 })).toHaveLength(1);
  expect(await send("/admin/dead/retry", {})).toMatchObject([{ did: "retried", error: null }]);
  await expect.poll(() => listed(), { timeout: 10_000 }).toHaveLength(1);
  expect(await send("/admin/dead/discard", {})).toHaveLength(1);
  expect(await listed()).toEqual([]);
});

describe("refused", () => {
  const NOBODY = "00000000-0000-4000-8000-000000000000";
  test.each([
    [`/admin/dead/${NOBODY}/retry`, {}, 404, "RUN_NOT_FOUND"],
    [`/admin/dead/${NOBODY}/edit`, {}, 404, "RUN_NOT_FOUND"],
    [`/admin/dead/${NOBODY}/discard`, {}, 404, "RUN_NOT_FOUND"],
    ["/admin/dead/x/discard", {}, 422, "REQUEST_INVALID"],
    ["/admin/dead/retry", { limit: 0 }, 422, "REQUEST_INVALID"],
    ["/admin/dead/retry", { limit: 201 }, 422, "REQUEST_INVALID"],
    ["/admin/dead/discard", { since: "yesterday" }, 422, "REQUEST_INVALID"],
    ["/admin/dead/discard", { agent: 1 }, 422, "REQUEST_INVALID"],
  ])("%s %j: %i %s", async (path, body, status, code) => {
    const response = await post(house.server, path, body);
    expect([response.status, await codeOf(response)]).toEqual([status, code]);
  });

  test("a run that did not fail has no letter", async () => {
    const handle = await house.longhaul.submit("echo", 1);
    await handle.result();
    const response = await post(house.server, `/admin/dead/${handle.runId}/retry`, {});
    expect([response.status, await codeOf(response)]).toEqual([404, "DEAD_LETTER_NOT_FOUND"]);
  });
});
