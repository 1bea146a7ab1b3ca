// The embedded PostgreSQL: a real server from npm-shipped binaries, its data in a folder of the user's project.
export { type EmbeddedOptions, type EmbeddedPostgres, startEmbedded } from "./start.ts";
