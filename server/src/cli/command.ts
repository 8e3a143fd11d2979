import { Command, Help, type Option } from "commander";
import { flagOf } from "../config.ts";
import { settings, type SettingName } from "../settings.ts";

const settingFlags: ReadonlySet<string> = new Set(Object.keys(settings).map((name) => flagOf(name as SettingName)));
const alwaysShown = flagOf("data_dir");

/** A Commander command whose help leaves out the settings but for the data directory; a mistyped setting still gets its suggestion. */
export class CliCommand extends Command {
  override createCommand(name?: string): CliCommand {
    return new CliCommand(name);
  }

  override createHelp(): Help {
    return Object.assign(new ShortHelp(), this.configureHelp());
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
