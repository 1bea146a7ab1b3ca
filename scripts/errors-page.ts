// The reference page of all error codes, rendered from the catalogue.
import { type CatalogueEntry, catalogue } from "../src/domain/errors.ts";

const INTRODUCTION = `# Errors

Every error that Longhaul raises on purpose has a stable code. In TypeScript it is a \`LonghaulError\` with \`code\`,
\`status\`, \`hint\`, \`retryable\` and often \`details\` and \`cause\`; over HTTP it has the status below; the command line
prints what went wrong, why, and what to do. *Retryable* means that the same request may succeed later as it is.

This page is made from \`src/domain/error-catalogue.ts\` by \`npm run errors\`; a test keeps the two equal.
`;

/** The Markdown of the page: one section per code, in alphabetical order. */
export function errorsPage(): string {
  const sections = Object.entries<CatalogueEntry>(catalogue).map(
    ([code, { status, message, hint, retryable }]) => `## ${code}

HTTP ${status}, ${retryable ? "retryable" : "not retryable"}

${emphasise(message)}

**What to do:** ${emphasise(hint)}
`,
  );
  return [INTRODUCTION, ...sections].join("\n");
}

/** Parameters stand out as *name*. */
function emphasise(template: string): string {
  return template.replace(/\{(\w+)\}/g, "*$1*");
}
