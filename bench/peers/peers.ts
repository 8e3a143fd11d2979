import { haraka } from "./kinds/haraka.ts";
import { inbucketFile, inbucketMemory } from "./kinds/inbucket.ts";
import { maildev } from "./kinds/maildev.ts";
import { mailhog } from "./kinds/mailhog.ts";
import { mailpit } from "./kinds/mailpit.ts";
import { obviousNode } from "./kinds/obvious-node.ts";
import { postfix } from "./kinds/postfix.ts";
import { smtp4dev } from "./kinds/smtp4dev.ts";
import { smtpSink } from "./kinds/smtp-sink.ts";
import type { Peer } from "./peer.ts";

/** Everybody we are compared with. */
export const peers: readonly Peer[] = [
  mailpit,
  inbucketMemory,
  inbucketFile,
  mailhog,
  maildev,
  smtp4dev,
  haraka,
  obviousNode,
  postfix,
  smtpSink,
];
