import { Command, Help, type ErrorOptions, type Option, type ParseOptionsResult } from "commander";
import { flagOf } from "../config.ts";
import { settings, type SettingName } from "../settings.ts";
import { suggest } from "../suggest.ts";

const settingFlags: ReadonlySet<string> = new Set(Object.keys(settings).map((name) => flagOf(name as SettingName)));
const alwaysShown = flagOf("data_dir");

/** A Commander command whose help leaves out the settings but for the data directory; a mistyped flag still gets its suggestion. */
export class CliCommand extends Command {
  #unknownFlag: string | undefined;

  override createCommand(name?: string): CliCommand {
    return new CliCommand(name);
  }

  override createHelp(): Help {
    return Object.assign(new ShortHelp(), this.configureHelp());
  }

  override parseOptions(argv: string[]): ParseOptionsResult {
    const parsed = super.parseOptions(argv);
    this.#unknownFlag = parsed.unknown[0];
    return parsed;
  }

  override error(message: string, options?: ErrorOptions): never {
    const flag = this.#unknownFlag;
    // Commander looks for required flags first, and would call `--usr` a missing `--user`.
    if (options?.code !== "commander.missingMandatoryOptionValue" || flag === undefined) super.error(message, options);
    const known = this.createHelp()
      .visibleOptions(this)
      .flatMap(({ long }) => long ?? []);
    super.error(`error: unknown option '${flag}'.${suggest(flag, known)}`, { code: "commander.unknownOption" });
  }
}

/** Commander asks for visible options to print help and to find a suggestion; only the first is cut short. */
class ShortHelp extends Help {
  #printing = false;
  override showGlobalOptions = true;

  override formatHelp(command: Command, helper: Help): string {
    this.#printing = true;
    return super.formatHelp(command, helper);
  }

  override visibleOptions(command: Command): Option[] {
    return super.visibleOptions(command).filter((option) => this.#shows(option));
  }

  override visibleGlobalOptions(command: Command): Option[] {
    return super.visibleGlobalOptions(command).filter((option) => this.#shows(option) && option.long !== "--version");
  }

  #shows({ long }: Option): boolean {
    return !this.#printing || long === alwaysShown || !settingFlags.has(long ?? "");
  }
}
