// Images, sounds and files in a request: as bytes in a data: URL, or as an address that the model's provider fetches itself.
import type { LanguageModelV3FilePart } from "@ai-sdk/provider";

const DATA_URL = /^data:([\w.+-]+\/[\w.+-]+)?((?:;[^,;]*)*),/;

/** Null for what is neither a data: URL nor an address of the web. */
export function filePart(url: string, fallbackType: string, filename?: string): LanguageModelV3FilePart | null {
  const named = filename === undefined ? {} : { filename };
  const [head, mediaType = fallbackType, parameters = ""] = DATA_URL.exec(url.slice(0, 1_000)) ?? [];
  if (head !== undefined) {
    const data = url.slice(head.length);
    const base64 = parameters.includes(";base64") ? data : Buffer.from(decodeURIComponent(data)).toString("base64");
    return { type: "file", mediaType, data: base64, ...named };
  }
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return null;
  return { type: "file", mediaType: fallbackType, data: new URL(url), ...named };
}

/** Addresses in a prompt that the model's provider does not fetch: we do not either, for whoever writes prompts would choose where we go. */
export function fetchedByProvider(
  part: LanguageModelV3FilePart,
  supportedUrls: Readonly<Record<string, readonly RegExp[]>>,
): boolean {
  if (!(part.data instanceof URL)) return true;
  const { href } = part.data;
  return Object.entries(supportedUrls).some(([type, patterns]) => {
    const prefix = type.replace(/\*.*$/, "");
    const fits = part.mediaType.startsWith(prefix) || prefix.startsWith(part.mediaType.replace(/\*.*$/, ""));
    return fits && patterns.some((pattern) => pattern.test(href));
  });
}
