import { existsSync, writeFileSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";

// The writer's thread, but the first one of a database dies of its first job, and notes that beside the database.

const { file } = workerData as { file: string };
const note = `${file}.died`;
if (existsSync(note)) {
  await import("../../src/store/sqlite/writer.ts");
} else {
  parentPort?.on("message", () => {
    writeFileSync(note, "");
    throw new Error("the writer dies, as a test asked");
  });
  parentPort?.postMessage({ kind: "ready" });
}
