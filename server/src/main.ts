import { run } from "./cli/program.ts";

/** The whole program: runs the command that `argv` (as Node has it) names, and answers the exit code. */
export function main(argv: string[]): Promise<number> {
  return run(argv);
}
