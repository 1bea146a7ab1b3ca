// The seam between the fake model and a protocol: how a request of it is read, and how an answer or a failure is written.
import type { IncomingHttpHeaders } from "node:http";
import type { Prompt, Protocol, Wire } from "./conversation.ts";
import type { Fault } from "./fault.ts";
import type { RateStates } from "./rate-headers.ts";
import type { Finish, Usage } from "./reply.ts";
import type { Operation } from "./request.ts";

export interface AnsweredCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/** A reply with nothing left open. */
export interface Answer {
  readonly id: string;
  readonly createdS: number;
  readonly model: string;
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly AnsweredCall[];
  readonly finish: Finish;
  /** Null: the answer does not say. */
  readonly usage: Usage | null;
  readonly chunkCharacters: number;
  readonly embeddings: readonly (readonly number[])[];
}

/** What is known when something fails. */
export interface FailureFacts {
  readonly model: string;
  readonly key: string;
  readonly operation: Operation | null;
  readonly number: number;
  /** True figures, where limits are enforced. */
  readonly rates: RateStates | null;
}

export interface ErrorReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** What is wrong with a request, in the protocol's words; null when nothing is. */
export interface Complaint {
  readonly status: number;
  readonly message: string;
  /** OpenAI names the parameter and a code. */
  readonly param?: string;
  readonly code?: string;
}

/** What an API remembers between requests: OpenAI's stored items and responses. */
export interface Memory {
  readonly items: Map<string, Wire>;
  readonly responses: Map<string, Wire[]>;
}

/** What is common to the operations of one protocol. */
export interface ProtocolDialect {
  readonly protocol: Protocol;
  /** The key the request came with, or null. */
  keyOf(headers: IncomingHttpHeaders, query: URLSearchParams): string | null;
  /** What a request without a key, or with a wrong one, gets. */
  keyRefused(key: string | null): ErrorReply;
  errorOf(fault: Fault, facts: FailureFacts): ErrorReply;
  complain(complaint: Complaint): ErrorReply;
  /** Headers of every answer. */
  headers(number: number): Record<string, string>;
}

/** One operation of a protocol. */
export interface Dialect {
  readonly operation: Operation;
  check(body: Wire, headers: IncomingHttpHeaders): Complaint | null;
  prompt(body: Wire, memory: Memory): Prompt;
  /** Tool calls of the conversation that have no result. */
  unanswered(at: number, ids: readonly string[]): Complaint;
  whole(answer: Answer, body: Wire): unknown;
  /** The stream, event by event. Null where the operation does not stream. */
  pieces(answer: Answer, body: Wire): string[] | null;
  /** The event of an error that comes after the stream began. */
  streamError(error: ErrorReply): string;
  remember?(answer: Answer, body: Wire, memory: Memory): void;
}
