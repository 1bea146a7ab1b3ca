// PostgreSQL's wire protocol, as far as one must understand it to act on a message: where one ends, and what a request asks.

/** What a client sends at once and gets one answer to. */
export interface Request {
  /** Name of the prepared statement, or the beginning of the text. */
  readonly label: string;
  readonly bytes: Buffer;
  /** `query`: answered up to ReadyForQuery. `startup`: answered piece by piece. `other`: has no answer of its own. */
  readonly kind: "query" | "startup" | "other";
}

const STARTUP_CODE = 196_608;
const READY_FOR_QUERY = "Z".charCodeAt(0);
const LABEL_CHARS = 60;

/** Splits what a client sends into requests: everything up to a Sync, or a simple Query. */
export class RequestReader {
  #rest: Buffer = Buffer.alloc(0);
  #group: Buffer[] = [];
  #label = "";
  #started = false;
  /** What the client told about itself in its first message. */
  readonly parameters = new Map<string, string>();

  push(bytes: Buffer): Request[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const requests: Request[] = [];
    for (let message = this.#take(); message !== undefined; message = this.#take()) {
      const request = this.#started ? this.#add(message) : this.#start(message);
      if (request !== undefined) requests.push(request);
    }
    return requests;
  }

  #take(): Buffer | undefined {
    const header = this.#started ? 1 : 0;
    if (this.#rest.length < header + 4) return undefined;
    const length = header + this.#rest.readInt32BE(header);
    if (this.#rest.length < length) return undefined;
    const message = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return message;
  }

  #start(message: Buffer): Request {
    if (message.readInt32BE(4) !== STARTUP_CODE) throw new Error("only plain connections are understood");
    this.#started = true;
    const texts = message.subarray(8).toString("utf8").split("\0");
    for (let i = 0; i + 1 < texts.length; i += 2) this.parameters.set(texts[i] ?? "", texts[i + 1] ?? "");
    return { label: "startup", bytes: message, kind: "startup" };
  }

  #add(message: Buffer): Request | undefined {
    const type = String.fromCharCode(message[0] ?? 0);
    this.#group.push(message);
    if (type === "Q") this.#label = shorten(textAt(message, 5).text);
    else if (type === "P") {
      const name = textAt(message, 5);
      this.#label = name.text === "" ? shorten(textAt(message, name.next).text) : name.text;
    } else if (type === "B" && this.#label === "") this.#label = textAt(message, textAt(message, 5).next).text;
    if (type !== "Q" && type !== "S" && type !== "X" && type !== "p") return undefined;
    const request: Request = {
      label: type === "X" ? "terminate" : type === "p" ? "password" : this.#label,
      bytes: Buffer.concat(this.#group),
      kind: type === "Q" || type === "S" ? "query" : "other",
    };
    this.#group = [];
    this.#label = "";
    return request;
  }
}

/** Splits what a server sends into messages. */
export class AnswerReader {
  #rest: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): { readonly bytes: Buffer; readonly ready: boolean }[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const messages: { bytes: Buffer; ready: boolean }[] = [];
    while (this.#rest.length >= 5) {
      const length = 1 + this.#rest.readInt32BE(1);
      if (this.#rest.length < length) break;
      messages.push({ bytes: this.#rest.subarray(0, length), ready: this.#rest[0] === READY_FOR_QUERY });
      this.#rest = this.#rest.subarray(length);
    }
    return messages;
  }
}

/** A text that ends with a zero byte, and where the next field begins. */
function textAt(message: Buffer, start: number): { text: string; next: number } {
  const end = message.indexOf(0, start);
  return { text: message.toString("utf8", start, end), next: end + 1 };
}

function shorten(sql: string): string {
  return sql.replace(/\s+/g, " ").trim().slice(0, LABEL_CHARS);
}
