import { addAliasCommands } from "./alias.ts";
import { addBackupCommands } from "./backup.ts";
import type { CliCommand } from "./command.ts";
import { addConfigCommand } from "./configuration.ts";
import { addDeliverCommand } from "./deliver.ts";
import { addDoctorCommand } from "./doctor/doctor.ts";
import { addDomainCommands } from "./domain.ts";
import { addKeyCommands } from "./key.ts";
import { addMailCommands } from "./mail.ts";
import { addSenderListCommands } from "./sender-list.ts";
import { addTailCommand } from "./tail.ts";
import { addUserCommands } from "./user.ts";

/** Adds every command but `serve`, in the order in which help lists them. */
export function addOperatorCommands(program: CliCommand): void {
  addUserCommands(program);
  addKeyCommands(program);
  addAliasCommands(program);
  addDomainCommands(program);
  addSenderListCommands(program);
  addMailCommands(program);
  addTailCommand(program);
  addDeliverCommand(program);
  addBackupCommands(program);
  addDoctorCommand(program);
  addConfigCommand(program);
}
