// What a command is: its words, arguments, flags and examples, a typed function that gives data, and how people see that data.
import type { SettingName } from "../runtime/settings.ts";
import type { Block } from "./blocks.ts";
import type { Context } from "./context.ts";

export interface ArgSpec {
  readonly summary: string;
  /** Default false: it must be given. */
  readonly optional?: boolean;
  /** `json`: JSON text, `@file` or `-` for standard input. Default `text`. */
  readonly kind?: "text" | "json";
}

interface FlagBase {
  readonly summary: string;
  /** One letter, where there is a short form. */
  readonly short?: string;
  readonly placeholder?: string;
}

export type FlagSpec =
  | (FlagBase & { readonly kind: "text" })
  | (FlagBase & { readonly kind: "switch" })
  /** A whole number from 0 or `min` to `max`. */
  | (FlagBase & { readonly kind: "count"; readonly min?: number; readonly max?: number })
  /** Any number, also `0.5` and `2e6`; the command judges what it can be. */
  | (FlagBase & { readonly kind: "number" })
  /** JSON text, `@file`, or `-` for standard input. */
  | (FlagBase & { readonly kind: "json" })
  /** Values separated by commas, or the flag several times. */
  | (FlagBase & { readonly kind: "list" })
  /** One or more of these values, like a list. */
  | (FlagBase & { readonly kind: "choices"; readonly choices: readonly string[] })
  | (FlagBase & { readonly kind: "choice"; readonly choices: readonly string[] });

export type Args = Readonly<Record<string, ArgSpec>>;
export type Flags = Readonly<Record<string, FlagSpec>>;

type ArgValue<Spec> = Spec extends { readonly kind: "json" }
  ? unknown
  : Spec extends { readonly optional: true }
    ? string | undefined
    : string;

type FlagValue<Spec> = Spec extends { readonly choices: readonly (infer Choice)[] }
  ? Spec extends { readonly kind: "choices" }
    ? readonly Choice[]
    : Choice
  : Spec extends { readonly kind: "switch" }
    ? boolean
    : Spec extends { readonly kind: "count" | "number" }
      ? number
      : Spec extends { readonly kind: "list" }
        ? readonly string[]
        : Spec extends { readonly kind: "json" }
          ? unknown
          : string;

/** What the function of a command gets, as its arguments and flags declare it. */
export type InputOf<A extends Args, F extends Flags> = {
  readonly [Name in keyof A]: ArgValue<A[Name]>;
} & { readonly [Name in keyof F]?: FlagValue<F[Name]> | undefined };

/** How people see the data: blocks of text and tables. For a stream, each item. */
export type View<Data> =
  Data extends AsyncIterable<infer Item> ? (item: Item) => readonly Block[] : (data: Data) => readonly Block[];

export type Group = "Run" | "Runs" | "People" | "Keys" | "Tenants" | "Installation";

export interface Example {
  readonly line: string;
  readonly says: string;
}

interface Definition<A extends Args, F extends Flags, Data> {
  /** `runs list`: the words after `longhaul`. */
  readonly path: string;
  readonly group: Group;
  readonly summary: string;
  /** More, for `--help` and the reference: whole sentences. */
  readonly about?: string;
  readonly args?: A;
  readonly flags?: F;
  /** Settings that this command takes as flags. */
  readonly settings?: readonly SettingName[];
  readonly examples: readonly Example[];
  /** Imports and gives the function, so that `--help` costs nothing. */
  readonly load: () => Promise<(input: InputOf<A, F>, context: Context) => Promise<Data> | Data>;
  readonly view?: () => Promise<NoInfer<View<Data>>>;
  /** Runs until it is told to stop: a signal is its normal end, and no interruption. */
  readonly serves?: boolean;
  /** On a terminal each item of its stream takes the place of the one before. */
  readonly live?: boolean;
  /** Exit code 1 although the command did its work. Of a stream it sees the last item. */
  readonly unwell?: (data: NoInfer<Data extends AsyncIterable<infer Item> ? Item : Data>) => boolean;
}

export interface AnyCommand {
  readonly path: string;
  readonly group: Group;
  readonly summary: string;
  readonly about: string | null;
  readonly args: Args;
  readonly flags: Flags;
  readonly settings: readonly SettingName[];
  readonly examples: readonly Example[];
  readonly serves: boolean;
  readonly live: boolean;
  /** Runs the command; the data is one value or an AsyncIterable. */
  run(input: Readonly<Record<string, unknown>>, context: Context): Promise<unknown>;
  view(): Promise<((data: unknown) => readonly Block[]) | null>;
  unwell(data: unknown): boolean;
}

/** Declares a command; the compiler checks that its function takes what arguments and flags give, and that the view fits. */
export function command<const A extends Args, const F extends Flags, Data>(
  definition: Definition<A, F, Data>,
): AnyCommand {
  const { path, group, summary, about = null, args = {}, flags = {}, settings = [], examples } = definition;
  const { serves = false, live = false } = definition;
  return {
    path,
    group,
    summary,
    about,
    args,
    flags,
    settings,
    examples,
    serves,
    live,
    run: async (input, context) => (await definition.load())(input as InputOf<A, F>, context),
    view: async () => ((await definition.view?.()) ?? null) as ((data: unknown) => readonly Block[]) | null,
    unwell: (data) => definition.unwell?.(data as Parameters<typeof definition.unwell>[0]) ?? false,
  };
}
