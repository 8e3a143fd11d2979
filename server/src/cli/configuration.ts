import type { Command } from "commander";
import { stringify } from "yaml";
import type { Config, LoadedConfig, Origin } from "../config.ts";
import type { Setting } from "../setting.ts";
import { settings, type SettingName } from "../settings.ts";
import { loadFromFlags, settingsHelp, wantsJson } from "./flags.ts";
import { Output } from "./output.ts";
import { exactBytes, exactDuration } from "./units.ts";

const names = Object.keys(settings) as SettingName[];

/** `catmails config`: every setting, its value and where it came from. */
export function addConfigCommand(program: Command): void {
  program
    .command("config")
    .description("show every setting, its value and where it comes from, in the form of catmails.yaml")
    .addHelpText(
      "after",
      `\nExamples:\n  catmails config\n  catmails config --json | jq -r .settings.data_dir.value\n${settingsHelp()}`,
    )
    .action(async (_options: unknown, command: Command) => {
      const loaded = loadFromFlags(command);
      await new Output({ json: wantsJson(command) }).result(report(loaded), yamlText(loaded));
    });
}

interface ReportedSetting {
  value: string | number | null;
  origin: Origin;
  /** The setting is a secret, and set. */
  hidden?: true;
}

function report({ config, origins, file }: LoadedConfig): {
  file: string | null;
  settings: Record<string, ReportedSetting>;
} {
  const entries = names.map((name): [string, ReportedSetting] => {
    const setting: ReportedSetting = { value: textOf(config, name), origin: origins[name] };
    return [name, isHidden(config, name) ? { ...setting, value: null, hidden: true } : setting];
  });
  return { file, settings: Object.fromEntries(entries) };
}

function yamlText({ config, origins, file }: LoadedConfig): string {
  const lines = names.map((name) => {
    const value = textOf(config, name);
    if (isHidden(config, name)) return { text: `# ${name}: hidden`, origin: origins[name] };
    if (value === null) return { text: `# ${name}: not set`, origin: origins[name] };
    return { text: `${name}: ${stringify(value).trimEnd()}`, origin: origins[name] };
  });
  const width = Math.max(...lines.map(({ text }) => text.length));
  const head = file === null ? "# No configuration file was read.\n" : `# Configuration file: ${file}\n`;
  return head + lines.map(({ text, origin }) => `${text.padEnd(width)}  # ${origin}\n`).join("");
}

function isHidden(config: Config, name: SettingName): boolean {
  return settings[name].kind === "secret" && config[name] !== null;
}

/** The value as `catmails.yaml` takes it, so that what is shown can be used. */
function textOf(config: Config, name: SettingName): string | number | null {
  const value = config[name];
  const { kind }: Setting = settings[name];
  if (typeof value !== "number") return value;
  const text = kind === "bytes" ? exactBytes(value) : kind === "duration" ? exactDuration(value) : "";
  return /^\d*$/.test(text) ? value : text;
}
