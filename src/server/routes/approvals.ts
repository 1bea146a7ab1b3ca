// Questions to people: listing them and answering them. Who answers is known from authentication, never from the body.
import { Hono } from "hono";
import type { Answer } from "../../runtime/api.ts";
import type { ServerEnv } from "../options.ts";
import { type Ctx, checkBody, checkQuery, idParam, tenantOf } from "../request.ts";
import { json } from "../respond.ts";
import { answerBody, approvalsQuery, resumeBody } from "../schemas.ts";
import type { Services } from "../services.ts";

export function approvalRoutes(services: Services): Hono<ServerEnv> {
  const { limits, longhaul } = services;

  const list = async (c: Ctx): Promise<Response> => {
    const query = checkQuery(c, approvalsQuery);
    const filter = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
    return json(c, await tenantOf(c, longhaul).approvals(filter));
  };

  const answerOf = async (c: Ctx): Promise<Answer> => {
    const { comment, args } = await checkBody(c, limits, answerBody);
    return { by: c.var.caller.by, ...(comment ? { comment } : {}), ...(args === undefined ? {} : { args }) };
  };

  const approve = async (c: Ctx): Promise<Response> => {
    const given = await answerOf(c);
    return json(c, await tenantOf(c, longhaul).approve(idParam(c, "approvalId"), given));
  };

  const deny = async (c: Ctx): Promise<Response> => {
    const given = await answerOf(c);
    return json(c, await tenantOf(c, longhaul).deny(idParam(c, "approvalId"), given));
  };

  const resume = async (c: Ctx): Promise<Response> => {
    const { value } = await checkBody(c, limits, resumeBody);
    return json(c, await tenantOf(c, longhaul).resume(idParam(c, "approvalId"), value, c.var.caller.by));
  };

  return new Hono<ServerEnv>()
    .get("/admin/approvals", list)
    .post("/admin/approvals/:approvalId/approve", approve)
    .post("/admin/approvals/:approvalId/deny", deny)
    .post("/admin/approvals/:approvalId/resume", resume);
}
