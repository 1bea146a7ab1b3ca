// The arguments of a tool call, which are text in OpenAI's API and a value in the others.

/** What does not parse was the model's own mistake, which the conversation then speaks of: it goes along as it was written. */
export function toolInput(text: string): unknown {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : { value };
  } catch {
    return { unparsed: text };
  }
}
