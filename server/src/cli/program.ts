import { CommanderError } from "commander";
import packageFile from "../../package.json" with { type: "json" };
import { ConfigError } from "../config.ts";
import { isRefusal, messageOf } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { CliCommand } from "./command.ts";
import { Exit, Failure } from "./failure.ts";
import { addGlobalFlags, loadFromFlags, settingsHelp, wantsJson } from "./flags.ts";
import { note, reportFailure } from "./output.ts";

/**
 * Runs one command line (`argv` as Node has it) and answers the exit code: 0 done, 1 failed, 2 asked for wrongly.
 * Results go to standard output, everything else to standard error; no key is ever written there.
 */
export async function run(argv: readonly string[]): Promise<number> {
  const program = await buildProgram(argv.slice(2));
  process.stdout.on("error", endQuietly);
  try {
    await program.parseAsync([...argv]);
    return 0;
  } catch (error) {
    if (error instanceof Exit) return error.exitCode;
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    // A group without its command has printed its help already.
    if (error instanceof CommanderError && error.code === "commander.help") return 2;
    const failure = describe(error);
    reportFailure(failure, { json: wantsJson(program) });
    if (failure.isBug && error instanceof Error) note(error.stack ?? "");
    return failure.exitCode;
  }
}

async function buildProgram(args: readonly string[]): Promise<CliCommand> {
  const program = new CliCommand("catmails");
  program
    .description("A self-hosted inbound mail service: SMTP in, HTTP and WebSocket out. Without a command it serves.")
    .version(packageFile.version)
    .exitOverride()
    // Failures are printed in one place, for people or for programs.
    .configureOutput({ outputError: () => undefined })
    .addHelpText("after", programExamples)
    .helpCommand(true)
    .action(async () => {
      const [name] = program.args;
      if (name !== undefined) throw unknownCommand(program, name);
      await startServing(program);
    });
  addGlobalFlags(program);
  addServeCommand(program);
  // Loaded only now: a start should not wait for commands that it does not run (measured: a fifth of its time).
  if (!isPlainStart(args)) (await import("./operator-commands.ts")).addOperatorCommands(program);
  // Only for the program itself, which then says which command was meant; commands take after it otherwise.
  return program.allowExcessArguments();
}

/** True only where nothing but `serve` can be meant: that word or nothing, and flags with their values. */
function isPlainStart(args: readonly string[]): boolean {
  const others = args.map((text, index) => {
    const isValue = /^--[^=]+$/.test(args[index - 1] ?? "") && args[index - 1] !== "--json";
    return isValue && !text.startsWith("-") ? null : text;
  });
  const rest = others.filter((text) => text !== null && (!text.startsWith("--") || /^--(?:help|version|)$/.test(text)));
  return rest.length === 0 || (rest.length === 1 && rest[0] === "serve");
}

const programExamples = `
Every command but restore works while the server runs, and all take every setting as a flag: "catmails serve --help"
lists them.
Exit codes: 0 done, 1 failed, 2 asked for wrongly.

Examples:
  catmails
  catmails domain add example.com
  catmails user add alice@example.com
  catmails tail alice@example.com`;

function addServeCommand(program: CliCommand): void {
  program
    .command("serve")
    .description("run the server until SIGTERM or Ctrl-C; what the command does when there is none")
    .addHelpText(
      "after",
      `
Examples:
  catmails serve
  catmails serve --domain example.com --smtp-host 0.0.0.0 --smtp-port 25 --data-dir /var/lib/catmails
${settingsHelp()}`,
    )
    .action(() => startServing(program));
}

async function startServing(program: CliCommand): Promise<void> {
  const loaded = loadFromFlags(program);
  // Loaded only now: no other command needs the doors.
  const { serve } = await import("./serve.ts");
  // A server goes on when nobody reads its banner any more.
  process.stdout.off("error", endQuietly).on("error", () => undefined);
  const exitCode = await serve(loaded, { json: wantsJson(program) });
  if (exitCode !== 0) throw new Exit(exitCode);
}

function unknownCommand(program: CliCommand, name: string): Failure {
  const known = program.commands.map((command) => command.name());
  const hint = suggest(name, known);
  return new Failure("unknown_command", `unknown command '${name}'.${hint === "" ? " See catmails --help." : hint}`, {
    exitCode: 2,
  });
}

/** Whoever read the output has gone, as `head` does: done, as far as anybody wants to know. */
function endQuietly(error: NodeJS.ErrnoException): void {
  process.exit(error.code === "EPIPE" ? 0 : 1);
}

function describe(error: unknown): { code: string; message: string; exitCode: number; isBug: boolean } {
  const message = messageOf(error);
  const failed = { message, exitCode: 1, isBug: false };
  if (error instanceof Failure) return { ...failed, code: error.code, exitCode: error.exitCode };
  if (error instanceof ConfigError) return { ...failed, code: "config", exitCode: 2 };
  if (isRefusal(error)) return { ...failed, code: error.entry.code };
  if (error instanceof CommanderError) {
    const text = message.replace(/^error: /, "").replaceAll("\n", " ");
    return { ...failed, code: "usage", message: text, exitCode: 2 };
  }
  const isBug = error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
  return { ...failed, code: "failed", isBug };
}
