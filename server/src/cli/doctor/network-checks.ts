import { once } from "node:events";
import { connect } from "node:net";
import type { Config } from "../../config.ts";
import { systemCodeOf } from "../../errors.ts";
import type { Finding } from "./finding.ts";
import { authorityOf, holdPlace, reachable, type ListenAddress } from "../listen-address.ts";

const answerTimeoutMs = 3000;

/** While the server runs: does SMTP greet? Else: is its port free? */
export async function checkSmtpPort(config: Config, state: { running: boolean }): Promise<Finding> {
  const at = { host: config.smtp_host, port: config.smtp_port };
  return { check: "smtp", ...(await judgePort(at, state, greets)) };
}

/** While the server runs: is HTTP ready? Else: is its port free? */
export async function checkHttpPort(config: Config, state: { running: boolean }): Promise<Finding> {
  const at = { host: config.http_host, port: config.http_port };
  return { check: "http", ...(await judgePort(at, state, isReady)) };
}

type Judgement = Pick<Finding, "verdict" | "detail">;

async function judgePort(
  at: ListenAddress,
  { running }: { running: boolean },
  answers: (at: ListenAddress) => Promise<boolean>,
): Promise<Judgement> {
  const where = `${at.host} port ${at.port}`;
  if (at.port === 0) return { verdict: "note", detail: `${at.host}, a free port at each start` };
  if (!running) {
    const fault = await listenFault(at);
    return fault === null ? { verdict: "good", detail: `${where} is free` } : { verdict: "bad", detail: fault };
  }
  try {
    if (await answers(reachable(at))) return { verdict: "good", detail: `${where} answers` };
  } catch {
    // Whatever went wrong, it did not answer.
  }
  return { verdict: "bad", detail: `${where} does not answer; was the server started with other settings?` };
}

async function listenFault(at: ListenAddress): Promise<string | null> {
  try {
    const held = await holdPlace(at);
    await held[Symbol.asyncDispose]();
    return null;
  } catch (error) {
    return `cannot listen on ${at.host} port ${at.port} (${systemCodeOf(error)})`;
  }
}

async function greets(at: ListenAddress): Promise<boolean> {
  const socket = connect(at);
  try {
    const [greeting] = (await once(socket, "data", { signal: AbortSignal.timeout(answerTimeoutMs) })) as [Buffer];
    return greeting.toString("latin1").startsWith("220");
  } finally {
    socket.destroy();
  }
}

async function isReady(at: ListenAddress): Promise<boolean> {
  const answer = await fetch(`http://${authorityOf(at)}/readyz`, { signal: AbortSignal.timeout(answerTimeoutMs) });
  await answer.body?.cancel();
  return answer.ok;
}

// RFC 6761 and RFC 6762: names that the public DNS never knows.
const localName = /(?:^|\.)(?:localhost|test|example|invalid|local|internal)$|^\[/;

/** True for a domain that only this machine, or this network, knows: asking the DNS for it says nothing. */
export function isLocalName(domain: string): boolean {
  return localName.test(domain);
}
