// Graphile Worker as it comes: a statement for each job it takes, and one for each that is done.
import { openWith } from "./graphile-worker.mjs";

export const open = (url, slots) => openWith(url, slots, {}, "everything as it comes, concurrentJobs = slots");
