import type { Target } from "./target.ts";
import { address } from "./targets/address.ts";
import { configuration } from "./targets/configuration.ts";
import { decoding } from "./targets/decoding.ts";
import { addressFields, headerParameters } from "./targets/header-values.ts";
import { htmlText } from "./targets/html-text.ts";
import { httpBody, httpQuery } from "./targets/http-parameters.ts";
import { mailHeader } from "./targets/mail-header.ts";
import { mailParts } from "./targets/mail-parts.ts";
import { mailSummary } from "./targets/mail-summary.ts";
import { proxyHeader } from "./targets/proxy-header.ts";
import { smtpChunks } from "./targets/smtp-chunks.ts";
import { smtpCommands } from "./targets/smtp-commands.ts";
import { smtpData } from "./targets/smtp-data.ts";
import { smtpLines } from "./targets/smtp-lines.ts";
import { smtpSession } from "./targets/smtp-session.ts";

/** Everything that is fuzzed. A parser that eats foreign bytes has a line here. */
export const targets: readonly Target[] = [
  smtpLines,
  smtpCommands,
  smtpData,
  smtpChunks,
  smtpSession,
  proxyHeader,
  address,
  mailHeader,
  mailParts,
  mailSummary,
  htmlText,
  decoding,
  addressFields,
  headerParameters,
  httpQuery,
  httpBody,
  configuration,
];
