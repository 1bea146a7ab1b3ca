// The log of a process on standard error: lines for people on a terminal, JSON for machines elsewhere.
import type { WriteStream } from "node:tty";
import { type DestinationStream, pino, stdSerializers } from "pino";
import type { Logger } from "../engine/worker-options.ts";
import { LOG_LEVELS, type LogLevel } from "../runtime/settings.ts";
import type { ServerLog } from "../server/index.ts";
import { line, type Tone, toned } from "./blocks.ts";
import { layOut } from "./layout.ts";
import { isColorful } from "./terminal.ts";

const tones: Readonly<Record<LogLevel, Tone>> = { debug: "dim", info: "info", warn: "warn", error: "bad" };

export function createLog(level: LogLevel, stream: WriteStream): Logger {
  return stream.isTTY === true ? terminalLog(level, stream) : jsonLog(level, stream);
}

/** The same log with the arguments in the order the server gives them. */
export function serverLog(log: Logger): ServerLog {
  return {
    error: (fields, message) => log("error", message, { ...fields }),
    warn: (fields, message) => log("warn", message, { ...fields }),
  };
}

function jsonLog(level: LogLevel, stream: WriteStream): Logger {
  const destination: DestinationStream = { write: (text) => void stream.write(text) };
  const serializers = { error: stdSerializers.err, cause: stdSerializers.err };
  const formatters = { level: (label: string) => ({ level: label }) };
  const timestamp = (): string => `,"time":"${new Date().toISOString()}"`;
  const base = { pid: process.pid };
  const log = pino({ level, base, messageKey: "message", timestamp, serializers, formatters }, destination);
  return (name, message, fields = {}) => log[name](fields, message);
}

function terminalLog(level: LogLevel, stream: WriteStream): Logger {
  const least = LOG_LEVELS.indexOf(level);
  return (name, message, fields) => {
    if (LOG_LEVELS.indexOf(name) < least) return;
    const paper = { columns: stream.columns ?? 80, color: isColorful(stream) };
    const time = toned("dim", new Date().toTimeString().slice(0, 8));
    stream.write(
      layOut([line(time, toned(tones[name], name.padEnd(5)), message, toned("dim", inWords(fields)))], paper),
    );
  };
}

/** `run=0199… attempt=2`; an error by its message. */
function inWords(fields: Record<string, unknown> = {}): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${wordFor(value)}`)
    .join(" ");
}

function wordFor(value: unknown): string {
  if (value instanceof Error) return value.message;
  return typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
}
