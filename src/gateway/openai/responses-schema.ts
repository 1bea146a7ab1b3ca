// What of a request to the Responses API can be translated. All that is not here is refused by its name.
import * as z from "zod";
import { EFFORTS } from "./chat-schema.ts";

/** Says something about how the provider keeps or bills the request, and nothing about the answer. */
const ignored = z.unknown().optional();

const inputText = z.object({ type: z.enum(["input_text", "text", "output_text"]), text: z.string() });
const inputImage = z.object({
  type: z.literal("input_image"),
  image_url: z.string(),
  detail: z.string().nullish(),
  file_id: z.null().optional(),
});
const inputFile = z.object({
  type: z.literal("input_file"),
  file_data: z.string().nullish(),
  file_url: z.string().nullish(),
  filename: z.string().nullish(),
  file_id: z.null().optional(),
});
const refusalText = z.object({ type: z.literal("refusal"), refusal: z.string() });
const part = z.discriminatedUnion("type", [inputText, inputImage, inputFile, refusalText]);

const message = z.object({
  type: z.literal("message").optional(),
  role: z.enum(["user", "system", "developer", "assistant"]),
  content: z.union([z.string(), z.array(part)]),
});
const functionCall = z.object({
  type: z.literal("function_call"),
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
});
const functionCallOutput = z.object({
  type: z.literal("function_call_output"),
  call_id: z.string(),
  output: z.union([z.string(), z.array(z.discriminatedUnion("type", [inputText, inputImage, inputFile]))]),
});
const reasoning = z.object({
  type: z.literal("reasoning"),
  summary: z.array(z.object({ text: z.string() })).optional(),
});

const item = z.union([functionCall, functionCallOutput, reasoning, message]);

const functionTool = z.object({
  type: z.literal("function"),
  name: z.string(),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
});

const format = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object") }),
  z.object({
    type: z.literal("json_schema"),
    name: z.string(),
    description: z.string().nullish(),
    schema: z.record(z.string(), z.unknown()).optional(),
    strict: z.boolean().nullish(),
  }),
]);

export const responsesSchema = z.strictObject({
  model: z.string(),
  input: z.union([z.string(), z.array(item)]),
  instructions: z.string().nullish(),
  stream: z.boolean().nullish(),
  stream_options: ignored,
  max_output_tokens: z.int().min(1).nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  tools: z.array(functionTool).nullish(),
  tool_choice: z
    .union([z.enum(["none", "auto", "required"]), z.object({ type: z.literal("function"), name: z.string() })])
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z.strictObject({ format: format.optional(), verbosity: z.literal("medium").nullish() }).nullish(),
  reasoning: z
    .strictObject({ effort: z.enum(EFFORTS).nullish(), summary: ignored, generate_summary: ignored })
    .nullish(),
  truncation: z.literal("disabled").nullish(),
  include: z.array(z.literal("reasoning.encrypted_content")).nullish(),
  service_tier: z.enum(["auto", "default"]).nullish(),
  background: z.literal(false).nullish(),
  previous_response_id: z.null().optional(),
  conversation: z.null().optional(),
  store: ignored,
  metadata: ignored,
  user: ignored,
  safety_identifier: ignored,
  prompt_cache_key: ignored,
  prompt_cache_retention: ignored,
});

export type ResponsesBody = z.output<typeof responsesSchema>;
export type InputItem = Exclude<ResponsesBody["input"], string>[number];
export type InputPart = z.output<typeof part>;
