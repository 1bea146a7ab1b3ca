// The settings under `gateway` as tables, read from the types that a config file is written against: the words are those an editor shows.
import { readFileSync } from "node:fs";
import ts from "typescript";

const SOURCE = new URL("../src/gateway/config.ts", import.meta.url);

/** Interfaces in the order in which somebody reads them, each with where it stands in the file. */
const TABLES: readonly (readonly [type: string, place: string, members: string])[] = [
  ["GatewayConfig", "gateway", "gateway."],
  ["BuiltInProvider", "gateway.providers.NAME", ""],
  ["OwnProvider", "gateway.providers.NAME, with models of your own", ""],
  ["Limits", "gateway.providers.NAME.limits[PATTERN]", ""],
  ["TryAlias", "gateway.models.NAME: targets in order", ""],
  ["RouteAlias", "gateway.models.NAME: a choice for each call", ""],
  ["RouteRule", "gateway.models.NAME.route[n]", ""],
  ["RouteCondition", "gateway.models.NAME.route[n].when", ""],
  ["RouteFacts", "What a function `route` is given", ""],
  ["CallPolicy", "gateway.defaults, and in every alias", ""],
  ["PriceOverride", "gateway.prices[PROVIDER/MODEL]", ""],
];

const INTRODUCTION = `## gateway

Models: providers, aliases, limits, prices. In the file only, and not needed for \`openai/…\`, \`anthropic/…\` and \`google/…\` with their keys in the
environment; [the guide](../guides/models.md) has an example. Durations are numbers of milliseconds or texts like \`"2 min"\`. Counts are whole
numbers from 1 on. Whatever does not fit is refused with CONFIG_INVALID when something starts.`;

export function gatewaySettings(): string {
  const text = readFileSync(SOURCE, "utf8");
  const source = ts.createSourceFile("config.ts", text, ts.ScriptTarget.Latest, true);
  const types = new Map(
    source.statements.filter(ts.isInterfaceDeclaration).map((declared) => [declared.name.text, declared]),
  );
  const tables = TABLES.map(([type, place, prefix]) => {
    const declared = types.get(type);
    if (declared === undefined) throw new Error(`src/gateway/config.ts has no ${type}`);
    const about = docOf(declared, source);
    const rows = declared.members.flatMap((member) => rowsOf(member, prefix, source));
    return [
      `### ${place}`,
      ...(about === "" ? [] : [about]),
      ["| setting | value | meaning |", "|---|---|---|", ...rows].join("\n"),
    ];
  });
  return [INTRODUCTION, ...tables.flat()].join("\n\n");
}

/** A member is a row; one that only holds others is a row for each of these. */
function rowsOf(member: ts.TypeElement, prefix: string, source: ts.SourceFile): string[] {
  const name = `${prefix}${member.name?.getText(source)}`;
  const type = ts.isPropertySignature(member) ? member.type : undefined;
  const inner = type === undefined ? undefined : parts(type).find(ts.isTypeLiteralNode);
  const meaning = docOf(member, source);
  if (inner !== undefined && meaning === "")
    return inner.members.flatMap((nested) => rowsOf(nested, `${name}.`, source));
  if (meaning === "") throw new Error(`${name} in src/gateway/config.ts does not say what it means`);
  return [`| \`${name}\` | ${cell(shownValue(member, source))} | ${cell(meaning)} |`];
}

const parts = (type: ts.TypeNode): readonly ts.TypeNode[] => (ts.isUnionTypeNode(type) ? type.types : [type]);

function shownValue(member: ts.TypeElement, source: ts.SourceFile): string {
  if (!ts.isPropertySignature(member) || member.type === undefined) return "a function";
  const shown = parts(member.type)
    .map((type) => type.getText(source).replaceAll(/\s+/g, " "))
    .filter((text) => text !== "undefined");
  return shown.map((text) => WORDS[text] ?? (text.includes("=>") ? "a function" : `\`${text}\``)).join(" or ");
}

/** Types by the words of the page. */
const WORDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "number",
  boolean: "true or false",
  DurationInput: "duration",
  LimitTable: "limits by pattern of model names, below",
  ProviderKind: '`"openai"`, `"anthropic"`, `"google"` or `"openai-compatible"`',
  "readonly string[]": "list of names",
  "readonly RouteRule[]": "list of rules, below",
  RouteCondition: "conditions, below",
  CallPolicy: "policy, below",
  "Readonly<Record<string, string>>": "texts by name",
  "Readonly<Record<string, ProviderConfig>>": "providers by name, below",
  "Readonly<Record<string, AliasConfig>>": "name of a model, or an alias as below, by name",
  "Readonly<Record<string, PriceOverride>>": "prices by pattern, below",
  "{ readonly inputTokens: number; readonly outputTokens: number }": "two numbers",
};

function docOf(node: ts.Node, source: ts.SourceFile): string {
  const doc = ts.getJSDocCommentsAndTags(node).find(ts.isJSDoc);
  if (doc === undefined) return "";
  return doc
    .getText(source)
    .replaceAll(/^\/\*\*|\*\/$/g, "")
    .replaceAll(/^\s*\* ?/gm, "")
    .replaceAll(/\s+/g, " ")
    .trim();
}

const cell = (text: string): string => text.replaceAll("|", "\\|");
