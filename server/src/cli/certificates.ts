import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { CertificateFault } from "../tls/certificate-fault.ts";
import { Certificates } from "../tls/certificates.ts";
import { StartError } from "./start-error.ts";

/** Below the data directory: a directory for each certificate, `fullchain.pem` and `privkey.pem` in it. */
const ownDirectoryName = "tls";

/**
 * The certificates as they are configured. Throws {@link StartError} when a file that a setting names cannot be used, or
 * when a port is to speak TLS and there is no certificate at all, nor one to come by ACME.
 */
export async function openCertificates(
  config: Config,
  { log, metrics }: { log: Logger; metrics: Metrics },
): Promise<Certificates> {
  const { tls_cert: certFile, tls_key: keyFile, tls_dir: directory } = config;
  try {
    await using opening = new AsyncDisposableStack();
    const certificates = opening.use(
      await Certificates.open({
        pair: certFile === null ? null : { certFile, keyFile: keyFile ?? certFile },
        directory,
        ownDirectory: ownDirectoryOf(config),
        defaultName: config.smtp_hostname,
        log,
        metrics,
      }),
    );
    if (!certificates.isReady) demandNone(config, log);
    opening.move();
    return certificates;
  } catch (error) {
    if (!(error instanceof CertificateFault)) throw error;
    throw new StartError(`TLS: ${error.message}`, { cause: error });
  }
}

/** Where certificates are found without being named, and where those from ACME are kept. */
export function ownDirectoryOf(config: Config): string {
  return join(config.data_dir, ownDirectoryName);
}

function demandNone(config: Config, log: Logger): void {
  if (config.acme_domains !== "off") {
    log.info({ names: config.acme_domains }, "No certificate yet: TLS begins once the authority has given one");
    return;
  }
  const port = (["https_port", "smtps_port"] as const).find((name) => config[name] !== null);
  if (port !== undefined) {
    throw new StartError(
      `${port} is set, but there is no usable certificate: set tls_cert and tls_key, tls_dir, or acme_domains.`,
    );
  }
  if (config.tls_dir !== null) log.warn({ tls_dir: config.tls_dir }, "No usable certificate yet, so no STARTTLS");
}
