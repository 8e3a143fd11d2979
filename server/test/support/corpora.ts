import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

/** The folder of a corpus beside the repository, or `null` on a machine that has none; tests then skip. */
export function corpus(name: string): string | null {
  const folder = resolve(import.meta.dirname, "../../../../shared/corpora", name);
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true ? folder : null;
}

/** What a test that needs a corpus passes as its `skip` option. */
export function skipWithout(name: string): string | false {
  return corpus(name) === null ? `the corpus ${name} is not on this machine` : false;
}

/** Every file below a folder, sorted, as paths that begin with the folder. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

const mailFolders = ["cpython-email", "inbucket-golden", "mail-parser", "mailpit", "mikel-mail", "postal-mime"];

/** Every mail file of every corpus that is on this machine. */
export function mailFiles(): string[] {
  return mailFolders.flatMap((name) => {
    const folder = corpus(name);
    return folder === null ? [] : filesBelow(folder).filter(isMailFile);
  });
}

function isMailFile(path: string): boolean {
  if (/SOURCE\.txt$|COPYING$|\.gitattributes$|\.json$|\.golden$/.test(path)) return false;
  return /\.(?:eml|txt)$|maildir|mikel-mail/.test(path);
}
