// Every limit of Longhaul in one place: what it bounds, its unit, and why it is not larger.

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;

// Values: inputs, step results, outputs, states.

/** Encoded values up to this many UTF-8 bytes lie in the journal's row; larger ones lie once in the blob store. */
export const INLINE_VALUE_BYTES_MAX = 64 * KIB;
/** Default limit of one encoded value, in UTF-8 bytes. */
export const VALUE_BYTES_MAX = 16 * MIB;
/** What the limit above can be raised to: beyond it V8 and PostgreSQL come near the end of what one string may hold. */
export const VALUE_BYTES_HARD_MAX = 128 * MIB;
/** Default limit of containers inside containers, in a value and in a request body: more is a mistake or an attack. */
export const VALUE_DEPTH_MAX = 100;
/** What the limit above can be raised to: the walk recurses, and this depth still fits the stack of a worker thread. */
export const VALUE_DEPTH_HARD_MAX = 500;

// Requests and answers over HTTP.

/** Default limit of a request body after decompression, in bytes. */
export const BODY_BYTES_MAX = 1 * MIB;
/** What the limit above can be raised to. */
export const BODY_BYTES_HARD_MAX = 32 * MIB;
/** Containers inside containers in a request body. */
export const BODY_DEPTH_MAX = VALUE_DEPTH_MAX;
/** Rows of one page of a listing, by default and at most. */
export const PAGE_SIZE_DEFAULT = 50;
export const PAGE_SIZE_MAX = 200;
/** Entries of a run's or an assistant's metadata, and its size as JSON in UTF-8 bytes: it is indexed and listed. */
export const METADATA_KEYS_MAX = 64;
export const METADATA_BYTES_MAX = 16 * KIB;

// Names and keys.

/** Tenants, queues, threads, idempotency and concurrency keys, signals: UTF-8 bytes. Two of them fit a btree entry. */
export const KEY_BYTES_MAX = 512;
/** Name of a step, in characters (code points). */
export const STEP_NAME_CHARS_MAX = 200;
/** Name of an agent, in characters: it is part of URLs and of file names. */
export const AGENT_NAME_CHARS_MAX = 100;
/** Why a run was cancelled or paused, in words. */
export const REASON_CHARS_MAX = 1_000;

// Runs and their trees.

/** Journal entries of one run since its last checkpoint: a replay reads them all. */
export const JOURNAL_ENTRIES_MAX = 50_000;
/** Encoded bytes that one statement appends; a group commit is split there. */
export const APPEND_BYTES_MAX = 8 * MIB;
/** Children that one run may spawn in all. */
export const CHILDREN_MAX = 1_000;
/** Generations below a root run. */
export const TREE_DEPTH_MAX = 8;
/** Runs of one tree, its root included. */
export const TREE_RUNS_MAX = 10_000;
/** Unconsumed messages in one run's inbox: whoever sends one more is refused. */
export const INBOX_MESSAGES_MAX = 10_000;

// Time.

/** How long a worker owns a run without being heard of. */
export const LEASE_MS = 10 * SECOND_MS;
/** A worker stops trusting a lease that it could not extend for this part of its length. */
export const LEASE_TRUSTED_PART = 0.8;
/** How long the event loop of a worker may be blocked before its leases are let go. */
export const STALL_MS = 30 * SECOND_MS;
/** How long the oldest ready run may wait before more workers are started, and somebody is told. */
export const SLA_MS = 5 * SECOND_MS;
/** Durations that people write (sleeps, time-outs, expiries): ten years with their leap days. */
export const DURATION_MS_MAX = 3_653 * DAY_MS;
/** Text of a duration, in characters. */
export const DURATION_CHARS_MAX = 100;
/** How long a draining worker lets its runs reach a step boundary. */
export const DRAIN_MS = 30 * SECOND_MS;

// Batches of small tasks.

/** Items that one request may answer. */
export const BATCH_ITEMS_MAX = 1_000;
/** Encoded, in UTF-8 bytes: a larger one is no small task. */
export const BATCH_ITEM_BYTES_MAX = 64 * KIB;
/** Payload of one request. */
export const BATCH_BYTES_MAX = 256 * KIB;
/** How long an item may be made to wait for others. */
export const BATCH_DELAY_MS_MAX = 10 * MINUTE_MS;

// Plans.

/** Runs in flight, unfinished runs, submits per minute of one tenant: what an int of the database holds. */
export const PLAN_COUNT_MAX = 2_147_483_647;
/** How many times the share of another a plan's tenants may have. */
export const PLAN_WEIGHT_MAX = 1_000;
/** Tenants of one page of a listing. */
export const TENANTS_LISTED_MAX = 1_000;

// Retention.

/** How long a run is kept after its end, by default: one that succeeded or was cancelled, and one that failed. */
export const RETENTION_MS = 30 * DAY_MS;
export const RETENTION_FAILED_MS = 90 * DAY_MS;
/** Shortest time that a configuration may keep runs: whoever waits for an end must have time to hear of it. */
export const RETENTION_MS_MIN = MINUTE_MS;
/** How often a worker asks whether something is old enough. */
export const RETENTION_EVERY_MS = MINUTE_MS;
/** Runs that one transaction drops, and how few it tries when that was too much. */
export const RETENTION_BATCH = 200;
export const RETENTION_BATCH_MIN = 10;
/** Part of the time that dropping may take, of one connection, in the whole installation; twice that when it is late. */
export const RETENTION_PART = 0.25;

// Retries and crashes.

/** Attempts of one step, the first included. */
export const ATTEMPTS_MAX = 100;
/** Longest pause between two attempts that a policy may ask for. */
export const RETRY_DELAY_MS_MAX = DAY_MS;
/** Factor by which a policy may let the pause grow. */
export const RETRY_FACTOR_MAX = 100;
/** Longest pause that an error may ask for (`retryAfterMs`): a longer one is a mistake in a header. */
export const RETRY_AFTER_MS_MAX = DAY_MS;
/** Crashes without progress after which a run is tried alone in a process of its own. */
export const CRASHES_BEFORE_ISOLATION = 2;

// Descriptions of failures: bounded, because anything can be thrown.

/** Message of one error, in UTF-16 units. */
export const FAILURE_MESSAGE_CHARS_MAX = 8_192;
/** Stack of one error, in UTF-16 units and in frames. */
export const FAILURE_STACK_CHARS_MAX = 8_192;
export const FAILURE_STACK_FRAMES_MAX = 50;
/** Name and code of one error, in UTF-16 units. */
export const FAILURE_NAME_CHARS_MAX = 200;
/** Causes below an error. */
export const FAILURE_CAUSES_MAX = 5;
/** Errors kept of an AggregateError. */
export const FAILURE_ERRORS_MAX = 10;
/** A whole failure with everything below it: errors, and UTF-16 units of their texts together. */
export const FAILURE_NODES_MAX = 32;
export const FAILURE_CHARS_MAX = 64 * KIB;

// Submits of one process.

/** Runs in one call of submitMany, and in one request for a batch. */
export const SUBMIT_ITEMS_MAX = 1_000;
/** Submits that wait to be sent, each some 1.5 KB beside its input (measured): beyond 30 MB a process had better say no at once. */
export const SUBMITS_WAITING_MAX = 20_000;
/** The same with what they carry, in bytes. */
export const SUBMITS_WAITING_BYTES_MAX = 64 * MIB;
/** How long somebody may wait for a connection of the pool before submits are refused: below the 5 s after which the wait fails. */
export const POOL_WAIT_MS_MAX = 3 * SECOND_MS;
/** How old the count of unfinished runs may be by which a process refuses submits. */
export const UNFINISHED_KNOWN_MS = SECOND_MS;

// What steps write while they run.

/** Characters of one message that are streamed: of a longer one readers get the rest with its record. */
export const MESSAGE_CHARS_MAX = 1 * MIB;
/** Characters of all messages that one process holds because they are being written. */
export const MESSAGES_CHARS_MAX = 64 * MIB;
/** Characters of one block of a message. */
export const BLOCK_CHARS_MAX = 32 * KIB;
/** How often a worker writes down what its steps have written meanwhile, and how often those are read who do so. */
export const TOKENS_EVERY_MS = 50;

// One process.

/** Event-stream clients of one server process. */
export const STREAM_CLIENTS_MAX = 10_000;
/** Event-stream clients of one tenant in one server process. */
export const STREAM_CLIENTS_PER_TENANT_MAX = 1_000;
/** Bytes queued for one client that reads too slowly, before it is cut off: it reconnects where it was. */
export const STREAM_CLIENT_BUFFER_BYTES_MAX = 1 * MIB;
/** Runs that one worker executes at once, by default and at most. */
export const WORKER_SLOTS_DEFAULT = 64;
export const WORKER_SLOTS_MAX = 10_000;

// Budgets.

/** What a budget's tokens and steps can be limited to: more is no limit, and sums of it must fit the database. */
export const BUDGET_COUNT_MAX = 1_000_000_000_000;
/** The same for US dollars. */
export const BUDGET_USD_MAX = 1_000_000_000;
/** The same for the time from the submit on, in minutes: ten years. */
export const BUDGET_WALL_MINUTES_MAX = 5_256_000;
/** A run's name for what it waits for is shown: not more of it than this, in characters. */
export const WAIT_REASON_CHARS_MAX = 300;

// Calls of models from outside, in OpenAI's words.

/** A request: a hundred thousand tokens are half a megabyte, but images travel in it too. */
export const MODEL_BODY_BYTES_MAX = 32 * MIB;
/** A whole reply: two thousand embeddings of three thousand numbers. */
export const MODEL_REPLY_BYTES_MAX = 128 * MIB;
/** One event of a stream: the last one of a response holds all of it. */
export const MODEL_EVENT_BYTES_MAX = 16 * MIB;
/** What is queued for a client that reads more slowly than the model speaks, before the model is made to wait. */
export const MODEL_STREAM_BYTES_MAX = 1 * MIB;
/** Texts in one request for embeddings, as OpenAI has it. */
export const MODEL_EMBEDDINGS_MAX = 2_048;
/** How long an answer may be kept, and how long a request may ask to wait in line for a quota. */
export const MODEL_CACHE_MS_MAX = 30 * DAY_MS;
export const MODEL_WAIT_MS_MAX = 10 * MINUTE_MS;
/** A wait for a quota that a client is told to sit out, and come back; a longer one is a refusal. */
export const MODEL_RETRY_MS_MAX = 60 * SECOND_MS;
/** The words by which costs are told apart: a feature, an agent of another program. Characters. */
export const LABEL_CHARS_MAX = 200;

// Costs.

/** Calls that one report looks at, the newest: beyond it says that it is not complete. */
export const COST_CALLS_MAX = 500_000;
/** Lines of a report: those that cost the most. */
export const COST_ROWS_MAX = 1_000;
export const COST_ROWS_DEFAULT = 100;
/** Charges of one page. */
export const CHARGES_PAGE_MAX = 1_000;

// Models and tools.

/** Tool calls in one reply of a model: more is a model that has lost its way. */
export const TOOL_CALLS_MAX = 1_000;
/** Default limit of what a tool gives back, encoded, in UTF-8 bytes: a model reads no more, and it is read again in every turn. */
export const TOOL_OUTPUT_BYTES_MAX = 4 * MIB;
/** Characters of a tool call's id that become part of a step's key; of others a hash does. */
export const CALL_ID_CHARS_MAX = 100;
/** Values in one request for embeddings, by default and at most: of the longest vectors as many as one recorded value holds. */
export const EMBED_BATCH_DEFAULT = 100;
export const EMBED_BATCH_MAX = 256;
/** Requests for embeddings that one call of `ctx.embed` has in flight. */
export const EMBED_REQUESTS_MAX = 8;
/** Turns of a chat agent in one run, by default. */
export const CHAT_TURNS_DEFAULT = 100;
/** Journal entries after which a chat agent stores a checkpoint: at first, and at most. */
export const CHAT_CHECKPOINT_ENTRIES_MIN = 25;
export const CHAT_CHECKPOINT_ENTRIES_MAX = 200;
