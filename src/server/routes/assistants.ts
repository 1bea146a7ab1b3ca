// Assistants: every agent is a graph with one default assistant.
import { Hono } from "hono";
import { assistantResource } from "../langgraph.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkBody } from "../request.ts";
import { json } from "../respond.ts";
import { assistantSearch } from "../schemas.ts";
import type { Services } from "../services.ts";

type Assistant = Record<string, unknown>;

export function assistantRoutes({ assistants, limits }: Services): Hono<ServerEnv> {
  const search = async (c: Ctx): Promise<Response> => {
    const query = await checkBody(c, limits, assistantSearch);
    const { limit, offset, sort_by: sortBy, sort_order: sortOrder, select } = query;
    const all = assistants.agents.map((agent) => assistantResource(agent, assistants.startedAt));
    const matching = all.filter((assistant) => matches(assistant, query));
    const key = sortBy ?? "created_at";
    matching.sort((a, b) => (sortOrder === "asc" ? compare(a, b, key) : compare(b, a, key)) || compare(a, b, "name"));
    const from = offset ?? 0;
    const until = from + (limit ?? 10);
    const page = matching.slice(from, until);
    return json(c, select ? page.map((assistant) => pick(assistant, select)) : page, 200, {
      "x-pagination-total": String(matching.length),
      ...(until < matching.length ? { "x-pagination-next": String(until) } : {}),
    });
  };

  const get = (c: Ctx): Response => {
    const agent = assistants.find(c.req.param("assistantId") ?? "");
    return json(c, assistantResource(agent, assistants.startedAt));
  };

  return new Hono<ServerEnv>().post("/assistants/search", search).get("/assistants/:assistantId", get);
}

interface Query {
  readonly graph_id?: string | null | undefined;
  readonly name?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | null | undefined;
}

function matches(assistant: Assistant, { graph_id: graph, name, metadata }: Query): boolean {
  if (graph && assistant.graph_id !== graph) return false;
  if (name && !String(assistant.name).toLowerCase().includes(name.toLowerCase())) return false;
  const own = assistant.metadata as Record<string, unknown>;
  return Object.entries(metadata ?? {}).every(([key, value]) => Object.hasOwn(own, key) && own[key] === value);
}

function compare(a: Assistant, b: Assistant, key: string): number {
  const [left, right] = [String(a[key]), String(b[key])];
  return left === right ? 0 : left < right ? -1 : 1;
}

function pick(assistant: Assistant, members: readonly string[]): Assistant {
  return Object.fromEntries(Object.entries(assistant).filter(([name]) => members.includes(name)));
}
