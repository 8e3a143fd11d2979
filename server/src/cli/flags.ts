import { Option, type Command } from "commander";
import { flagOf, loadConfig, type LoadedConfig } from "../config.ts";
import type { Setting } from "../setting.ts";
import { settings, type SettingName } from "../settings.ts";
import { textTable } from "./text-table.ts";

const names = Object.keys(settings) as SettingName[];

/** Gives the program the flags that every command understands, before or after the command's name: `--json`, `--config`, each setting. */
export function addGlobalFlags(program: Command): void {
  program.addOption(new Option("--json", "print JSON for programs instead of text for people"));
  program.addOption(new Option("--config <file>", "configuration file (default: catmails.yaml here, if there is one)"));
  for (const name of names) program.addOption(new Option(`${flagOf(name)} <${placeholder(name)}>`, about(name)));
}

/** Loads the configuration with the flags of the command line. Throws `ConfigError`. */
export function loadFromFlags(command: Command): LoadedConfig {
  const given: Record<string, unknown> = command.optsWithGlobals();
  const flags: Record<string, string> = {};
  for (const name of names) {
    const value = given[attributeOf(name)];
    if (typeof value === "string") flags[name] = value;
  }
  const file = given["config"];
  return loadConfig({ flags, env: process.env, file: typeof file === "string" ? file : undefined });
}

/** True when the results are for programs. */
export function wantsJson(command: Command): boolean {
  return command.optsWithGlobals()["json"] === true;
}

/** Every setting with its default, for the help of `serve` and `config`. */
export function settingsHelp(): string {
  const rows = names.map((name) => {
    const { fallback }: Setting = settings[name];
    return [`  ${flagOf(name)}`, fallback ?? "", about(name)];
  });
  return `
All settings: flags of every command, CATMAILS_HTTP_PORT and so on in the environment, http_port and so on in
catmails.yaml. A flag wins over the environment, the environment over the file. CATMAILS_BOOTSTRAP_KEY_FILE names a
file that holds the key.

${textTable([{ title: "  Flag" }, { title: "Default" }, { title: "Meaning" }], rows)}`;
}

function attributeOf(name: SettingName): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

function placeholder(name: SettingName): string {
  const setting: Setting = settings[name];
  return setting.kind === "choice" ? (setting.choices ?? []).join("|") : setting.kind;
}

function about(name: SettingName): string {
  const text: string = settings[name].about;
  return text.replaceAll("`", "");
}
