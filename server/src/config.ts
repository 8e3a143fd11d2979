import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { isIP, isIPv4, isIPv6 } from "node:net";
import { parseAddress, parseDomain } from "./address.ts";
import { messageOf, systemCodeOf } from "./errors.ts";
import { parseNetwork } from "./network.ts";
import type { Setting } from "./setting.ts";
import { settings, type SettingName } from "./settings.ts";
import { suggest } from "./suggest.ts";

type Value<K extends SettingName> = Given<K> | ((typeof settings)[K] extends { isOptional: true } ? null : never);

type Given<K extends SettingName> = (typeof settings)[K] extends { choices: readonly (infer Choice)[] }
  ? Choice
  : (typeof settings)[K]["kind"] extends "port" | "count" | "bytes" | "duration"
    ? number
    : string;

/** A value for every key of {@link settings}: durations in milliseconds, sizes in bytes, domains and addresses canonical. */
export type Config = { readonly [K in SettingName]: Value<K> };

/** Where a value came from, for `catmails config`. */
export type Origin = "flag" | "environment" | "file" | "default";

export interface LoadedConfig {
  config: Config;
  origins: Record<SettingName, Origin>;
  /** The file that was read, if any. */
  file: string | null;
}

/** Wrong configuration: one line that says what, where and what would be right. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

export interface ConfigSources {
  /** Values of command line flags by setting name. */
  flags?: Readonly<Record<string, string | undefined>>;
  env?: Readonly<Record<string, string | undefined>>;
  /** A file that must exist; without it `catmails.yaml` in `cwd` is read when it is there. */
  file?: string | undefined;
  cwd?: string;
}

const names = Object.keys(settings) as SettingName[];

/** Reads all sources; flags win over environment, then file, then defaults. Throws {@link ConfigError} for the first fault. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const file = readConfigFile(sources.file, sources.cwd ?? ".");
  const env = readEnvironment(sources.env ?? {});
  const raw = new Map<SettingName, { text: string; origin: Origin; where: string }>();
  for (const name of names) {
    const flag = sources.flags?.[name];
    const fromEnv = env.get(name);
    const fromFile = file.values.get(name);
    if (flag !== undefined) raw.set(name, { text: flag, origin: "flag", where: flagOf(name) });
    else if (fromEnv !== undefined) raw.set(name, { ...fromEnv, origin: "environment" });
    else if (fromFile !== undefined)
      raw.set(name, { text: fromFile, origin: "file", where: `${name} in ${file.path}` });
  }
  return { config: resolve(raw), origins: originsOf(raw), file: file.path };
}

/** Name of the command line flag of a setting. */
export function flagOf(name: SettingName): string {
  return `--${name.replaceAll("_", "-")}`;
}

/** Name of the environment variable of a setting. */
function variableOf(name: SettingName): string {
  return `CATMAILS_${name.toUpperCase()}`;
}

type RawValues = Map<SettingName, { text: string; origin: Origin; where: string }>;

function originsOf(raw: RawValues): Record<SettingName, Origin> {
  return Object.fromEntries(names.map((name) => [name, raw.get(name)?.origin ?? "default"])) as Record<
    SettingName,
    Origin
  >;
}

function resolve(raw: RawValues): Config {
  const values = new Map<SettingName, string | number | null>();
  for (const name of names) {
    const setting: Setting = settings[name];
    const given = raw.get(name);
    if (given !== undefined) values.set(name, parseSetting(setting, given.text, given.where));
    else values.set(name, setting.fallback === null ? null : parseSetting(setting, setting.fallback, name));
  }
  const domain = values.get("domain") as string;
  if (values.get("https_host") === null) values.set("https_host", values.get("http_host") as string);
  if (values.get("tls_key") !== null && values.get("tls_cert") === null)
    throw new ConfigError("tls_key is set, but tls_cert is not: a key needs its certificate.");
  if (values.get("smtp_hostname") === null) values.set("smtp_hostname", domain);
  if (values.get("mta_sts_mx") === null) values.set("mta_sts_mx", values.get("smtp_hostname") as string);
  checkAcme(values);
  if (values.get("temp_domain") === null) values.set("temp_domain", `temp.${domain}`);
  if (values.get("bootstrap_mail") === null) values.set("bootstrap_mail", `demo@${domain}`);
  checkTimeZone(values.get("time_zone") as string);
  checkBootstrapKey(values.get("bootstrap_key") as string | null);
  checkSendgridKey(values.get("sendgrid_public_key") as string | null);
  checkTopics(values.get("ses_topics") as string | null);
  return Object.fromEntries(values) as unknown as Config;
}

function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Map<SettingName, { text: string; where: string }> {
  const found = new Map<SettingName, { text: string; where: string }>();
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith("CATMAILS_") || text === undefined || text === "") continue;
    const key = variable.slice("CATMAILS_".length).toLowerCase();
    const name = key.endsWith("_file") && !isName(key) ? key.slice(0, -"_file".length) : key;
    if (!isName(name) || (name !== key && settings[name].kind !== "secret")) {
      throw new ConfigError(`Unknown environment variable ${variable}.${suggest(variable, names.map(variableOf))}`);
    }
    if (name === key) found.set(name, { text, where: variable });
    else if (!found.has(name) && !env[variableOf(name)])
      found.set(name, { text: readSecretFile(variable, text), where: variable });
  }
  return found;
}

function readSecretFile(variable: string, path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new ConfigError(`${variable}: cannot read ${path} (${systemCodeOf(error)}).`);
  }
}

function readConfigFile(
  given: string | undefined,
  cwd: string,
): { path: string | null; values: Map<SettingName, string> } {
  const path = given ?? `${cwd}/catmails.yaml`;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (given === undefined && systemCodeOf(error) === "ENOENT") return { path: null, values: new Map() };
    throw new ConfigError(`Cannot read the configuration file ${path} (${systemCodeOf(error)}).`);
  }
  return { path, values: readYaml(text, path) };
}

function readYaml(text: string, path: string): Map<SettingName, string> {
  // Loaded only where there is a file: it costs a start 30 ms and 10 MB.
  const yaml = createRequire(import.meta.url)("yaml") as typeof import("yaml");
  let document: unknown;
  try {
    document = yaml.parse(text) ?? {};
  } catch (error) {
    throw new ConfigError(`${path} is not valid YAML: ${messageOf(error).split("\n")[0]}`);
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw new ConfigError(`${path} must hold one mapping of keys to values.`);
  }
  const values = new Map<SettingName, string>();
  for (const [key, value] of Object.entries(document)) {
    if (!isName(key)) throw new ConfigError(`Unknown key ${key} in ${path}.${suggest(key, names)}`);
    if (typeof value !== "string" && typeof value !== "number")
      throw new ConfigError(`${key} in ${path} must be a text or a number.`);
    values.set(key, String(value));
  }
  return values;
}

function isName(key: string): key is SettingName {
  return Object.hasOwn(settings, key);
}

function parseSetting(setting: Setting, text: string, where: string): string | number {
  const value = parsers[setting.kind](text.trim(), setting);
  if (value === null)
    throw new ConfigError(
      `${where}: ${setting.kind === "secret" ? "the value" : `"${text}"`} is not ${expected(setting)}.`,
    );
  if (typeof value === "number" && value < (setting.min ?? 0))
    throw new ConfigError(`${where}: "${text}" is too small.`);
  return value;
}

const nonEmpty = (text: string): string | null => (text === "" ? null : text);

const parsers: Record<Setting["kind"], (text: string, setting: Setting) => string | number | null> = {
  text: nonEmpty,
  secret: nonEmpty,
  path: nonEmpty,
  host: nonEmpty,
  port: (text) => (/^\d{1,5}$/.test(text) && Number(text) <= 65535 ? Number(text) : null),
  networks: (text, setting) => (setting.orNone && text === "none" ? text : parseNetworks(text)),
  count: (text) => (/^\d{1,12}$/.test(text) ? Number(text) : null),
  bytes: parseBytes,
  duration: parseDuration,
  domain: parseDomain,
  domains: parseDomains,
  servers: parseServers,
  address: (text) => parseAddress(text)?.text ?? null,
  choice: (text, setting) => (setting.choices?.includes(text) ? text : null),
};

function parseNetworks(text: string): string | null {
  const networks = listOf(text).map(parseNetwork);
  return networks.length === 0 || networks.includes(null) ? null : networks.join(",");
}

function parseDomains(text: string): string | null {
  if (text === "off") return text;
  const names = text.split(",").map((name) => parseDomain(name.trim()));
  return names.some((name) => name === null || name.startsWith("[")) ? null : names.join(",");
}

/** `9.9.9.9`, `9.9.9.9:53`, `2620:fe::fe` or `[2620:fe::fe]:53`. */
function parseServers(text: string): string | null {
  if (text === "system") return text;
  const servers = text.split(",").map((server) => server.trim());
  return servers.every(isServer) ? servers.join(",") : null;
}

function isServer(text: string): boolean {
  if (isIP(text) !== 0) return true;
  const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const isAddress = v6 === undefined ? isIPv4(v4 ?? "") : isIPv6(v6);
  return isAddress && Number(port) >= 1 && Number(port) <= 65535;
}

function expected(setting: Setting): string {
  const forms: Record<Setting["kind"], string> = {
    text: "a text",
    secret: "a usable secret",
    path: "a path",
    host: "an address to listen on",
    port: "a port from 0 to 65535",
    networks: "a list of addresses and networks such as 192.0.2.7, 2001:db8::/32",
    count: "a whole number",
    bytes: "a size such as 512, 64KiB or 25MiB",
    duration: "a duration such as 30s, 5m, 24h, 30d or 0",
    domain: "a domain name",
    domains: "off, or domain names separated by commas",
    servers: "system, or IP addresses with or without a port, separated by commas",
    address: "a mail address",
    choice: `one of ${setting.choices?.join(", ") ?? ""}`,
  };
  return forms[setting.kind];
}

const byteUnits: Record<string, number> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};
const timeUnits: Record<string, number> = { ms: 1, "": 1000, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Bytes of `512`, `64KiB`, `25MiB`, `1GB`; `null` for anything else. */
export function parseBytes(text: string): number | null {
  return parseWithUnit(text, byteUnits);
}

/** Milliseconds of `500ms`, `30` or `30s`, `5m`, `24h`, `30d`; `null` for anything else. */
export function parseDuration(text: string): number | null {
  return parseWithUnit(text, timeUnits);
}

function parseWithUnit(text: string, units: Record<string, number>): number | null {
  const match = /^(\d{1,12}(?:\.\d{1,3})?) ?([a-z]*)$/i.exec(text);
  const unit = match === null ? undefined : units[(match[2] ?? "").toLowerCase()];
  return match === null || unit === undefined ? null : Math.round(Number(match[1]) * unit);
}

/** A year, the most that RFC 8461 section 3.2 lets senders keep a policy for. */
const maxPolicyAgeMs = 31_536_000_000;

function checkAcme(values: ReadonlyMap<SettingName, string | number | null>): void {
  const directory = String(values.get("acme_directory"));
  if (!/^https:\/\/[^/]/.test(directory) || !URL.canParse(directory))
    throw new ConfigError(`acme_directory: "${directory}" is not an https:// address.`);
  const isOn = values.get("acme_domains") !== "off";
  if (isOn && values.get("acme_challenge") === "tls-alpn-01" && values.get("https_port") === null)
    throw new ConfigError("acme_challenge is tls-alpn-01, but https_port is not set: the challenge is answered there.");
  if (Number(values.get("mta_sts_max_age")) > maxPolicyAgeMs)
    throw new ConfigError("mta_sts_max_age: the longest is 365d.");
}

function checkTimeZone(zone: string): void {
  // Known, and asking would load the tables of Intl, which takes a tenth of a start.
  if (zone === "UTC") return;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
  } catch {
    throw new ConfigError(`time_zone: "${zone}" is not a known IANA time zone.`);
  }
}

/** A key that an operator brings: `mk_` and URL-safe characters, 16 to 128 in all. */
const givenKey = /^mk_[A-Za-z0-9_-]{13,125}$/;

function checkBootstrapKey(key: string | null): void {
  if (key !== null && !givenKey.test(key)) {
    throw new ConfigError("bootstrap_key: a key is mk_ and URL-safe characters, 16 to 128 characters in all.");
  }
}

/** Elliptic curve, Base64 of DER, as SendGrid shows it. */
function checkSendgridKey(key: string | null): void {
  if (key === null) return;
  try {
    const { asymmetricKeyType } = createPublicKey({ key: Buffer.from(key, "base64"), format: "der", type: "spki" });
    if (asymmetricKeyType === "ec") return;
  } catch {
    // Said below.
  }
  throw new ConfigError("sendgrid_public_key: it is not a public key as SendGrid shows it (Base64, begins with MF).");
}

function checkTopics(topics: string | null): void {
  const wrong = listOf(topics).find((arn) => !/^arn:aws[a-z-]*:sns:[a-z0-9-]{1,32}:\d{12}:[\w-]{1,256}$/.test(arn));
  if (wrong === undefined) return;
  throw new ConfigError(`ses_topics: "${wrong}" is not the ARN of a topic (arn:aws:sns:REGION:ACCOUNT:NAME).`);
}

/** The items of a comma separated value; none when it is not set. */
export function listOf(text: string | null): string[] {
  return (text ?? "").split(",").flatMap((item) => item.trim() || []);
}
