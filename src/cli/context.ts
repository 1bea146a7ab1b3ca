// What a command may use beside its input: the project, a log, and word of Ctrl-C.
import type { Logger } from "../engine/worker-options.ts";
import type { Project } from "../runtime/project.ts";
import type { SettingName } from "../runtime/settings.ts";
import { listenForStop, type Stop } from "./stop.ts";
import { SUPERVISED } from "./supervision.ts";

export interface ContextOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Settings given as flags. */
  readonly flags: Partial<Readonly<Record<SettingName, unknown>>>;
  readonly configFile: string | undefined;
  /** A person is looking: standard output is a terminal, and nobody has asked for JSON. */
  readonly forPeople: boolean;
}

export class Context {
  readonly options: ContextOptions;
  #stop: Stop | undefined;

  constructor(options: ContextOptions) {
    this.options = options;
  }

  /**
   * The project of the working directory; `agents` in the options go before those of its config file.
   *
   * @throws CONFIG_NOT_FOUND, CONFIG_INVALID
   */
  async project(options: { agents?: readonly string[] | undefined; fresh?: boolean } = {}): Promise<Project> {
    const [longhaul, { openProject }] = await Promise.all([import("../index.ts"), import("../runtime/project.ts")]);
    const modules = { longhaul };
    return await openProject({ ...this.options, ...options, modules });
  }

  /** A log on standard error: lines on a terminal, JSON elsewhere. */
  async log(project: Project): Promise<Logger> {
    const { createLog } = await import("./log.ts");
    return createLog(project.settings.logLevel, process.stderr);
  }

  /**
   * From the first call on, Ctrl-C and SIGTERM do not end the process but abort this signal; the second time they end it.
   * Who never calls it dies at once, as every small program should.
   */
  get stop(): Stop {
    this.#stop ??= listenForStop(this.options.env[SUPERVISED] !== undefined && process.connected);
    return this.#stop;
  }

  /** The signal that asked to stop, if one did. */
  get stoppedBy(): NodeJS.Signals | null {
    return this.#stop?.by ?? null;
  }
}
