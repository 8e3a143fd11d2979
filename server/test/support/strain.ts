import { ServiceProcess, type ServiceProcessOptions } from "./service-process.ts";
import type { StrainReport } from "./strain-report.ts";
import { until } from "./until.ts";

/** A server that can be asked for its strain. */
export function startStrained({
  dataDir,
  env,
}: Pick<ServiceProcessOptions, "dataDir" | "env">): Promise<ServiceProcess> {
  const preload = new URL("./strain-report.ts", import.meta.url).href;
  return ServiceProcess.start({ dataDir, env: { ...env, NODE_OPTIONS: `--import=${preload}` } });
}

/** What a server of {@link startStrained} holds after collecting its garbage, and how it held up its event loop since the last reading. */
export async function readStrain(service: ServiceProcess): Promise<StrainReport["strain"]> {
  const reports = (): string[] => service.log.filter((line) => line.startsWith('{"strain":'));
  const before = reports().length;
  process.kill(service.pid, "SIGUSR2");
  await until("the server reports", () => reports().length > before);
  return (JSON.parse(reports().at(-1) ?? "") as StrainReport).strain;
}
