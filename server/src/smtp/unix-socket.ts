import { lstat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { systemCodeOf } from "../errors.ts";

/**
 * Removes the socket that a killed process has left at this path, so that it can be listened on again. Leaves alone what
 * is no socket, and one on which somebody still listens.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isSocket() || (await isServed(path))) return;
    await unlink(path);
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT") throw error;
  }
}

async function isServed(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.on("connect", () => resolve(true));
  socket.on("error", (error) => resolve(systemCodeOf(error) !== "ECONNREFUSED"));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}
