import { join } from "node:path";

/** Path of the program that breaks the promise: it says 250 first and stores a little later. */
export const hastyService = join(import.meta.dirname, "hasty-service.ts");
