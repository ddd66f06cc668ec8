// One running Campfire: the release binary, started, stopped, killed and started again.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

/** The release binary under test. */
export const binary = resolve(
  process.env.CAMPFIRE_BIN ?? resolve(import.meta.dirname, "../target/release/campfire"),
);
// It starts in milliseconds; the limit is for a machine that is compiling something meanwhile.
const startLimit = 30_000;
const stopLimit = 30_000;

/** One running Campfire with its own data. It keeps its port over restarts, as pages expect. */
export class Server {
  /** Everything it printed so far, over all restarts; attached to a failing test. */
  log = "";
  private port = 0;
  private child: ChildProcess | undefined;

  /** `cwd` and `program` are for the test that runs a copy of the binary somewhere else. */
  constructor(
    private readonly data: string,
    private readonly cwd: string = data,
    private readonly program: string = binary,
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const child = spawn(this.program, {
      cwd: this.cwd,
      env: {
        ...process.env,
        CAMPFIRE_ADDR: `127.0.0.1:${this.port}`,
        CAMPFIRE_DATA: this.data,
        CAMPFIRE_LIMITS: "off",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    // Whatever ends the test runner, nothing of it stays behind.
    const orphan = (): boolean => child.kill("SIGKILL");
    process.once("exit", orphan);
    child.once("exit", () => process.off("exit", orphan));
    child.stderr.on("data", (text) => (this.log += text));
    // Reading on to the end keeps the pipe from filling up and stopping the server.
    const lines = createInterface(child.stdout);
    lines.on("line", (line) => (this.log += `${line}\n`));
    const first = await new Promise<string>((settle, fail) => {
      const late = setTimeout(() => fail(new Error("it said nothing")), startLimit);
      lines.once("line", settle);
      child.once("error", fail);
      child.once("exit", (code, signal) => fail(new Error(`it ended with ${code ?? signal}`)));
      lines.once("line", () => clearTimeout(late));
    }).catch(async (cause: Error) => {
      await this.end("SIGKILL");
      throw new Error(`${this.program} did not start: ${cause.message}\n${this.log}`);
    });
    const port = /^listening on http:\/\/\S+:(\d+)\/?$/.exec(first)?.[1];
    if (port === undefined) throw new Error(`The first line is not an address: ${first}`);
    this.port = Number(port);
  }

  /** Asks it to end (SIGTERM) and waits until it did. Killing it after the limit is a failure. */
  async stop(): Promise<void> {
    const killed = await this.end("SIGTERM");
    if (killed) throw new Error(`The server was still running ${stopLimit} ms after SIGTERM.`);
  }

  /** Ends it at once (SIGKILL), as a crash or a power cut would. */
  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  /** Overwrites the database under the running server, as a broken disk would. */
  async breakDatabase(): Promise<void> {
    await writeFile(`${this.data}/campfire.db`, "broken".repeat(10_000));
    await rm(`${this.data}/campfire.db-wal`, { force: true });
  }

  /** Stops it if it runs, and starts it with the same data on the same port. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Resolves once the process is gone, to whether patience ran out first. */
  private async end(signal: NodeJS.Signals): Promise<boolean> {
    const child = this.child;
    this.child = undefined;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null)
      return false;
    const gone = once(child, "exit");
    let killed = false;
    const impatience = setTimeout(() => (killed = child.kill("SIGKILL")), stopLimit);
    child.kill(signal);
    await gone;
    clearTimeout(impatience);
    return killed;
  }
}
