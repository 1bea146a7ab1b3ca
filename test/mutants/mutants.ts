// Bugs that somebody could put into the engine, each with the test that would tell.

export interface Edit {
  /** Occurs once in the file. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant extends Edit {
  readonly name: string;
  readonly file: string;
  /** Where the engine guards against a bug twice, both guards go. */
  readonly also?: Edit;
  readonly test: { readonly file: string; readonly name: string };
}

const JOURNAL = "sql/migrations/0005_journal.sql";
const CLAIM = "sql/migrations/0004_claim.sql";
const FINISH = "sql/migrations/0006_finish.sql";
const QUEUE = "sql/migrations/0002_queue.sql";
const SUBMIT = "sql/migrations/0003_submit.sql";
const RETENTION = "sql/migrations/0013_retention.sql";
const SWEEP = "sql/migrations/0007_sweep.sql";
const named = (file: string, name: string): Mutant["test"] => ({ file: `test/${file}.test.ts`, name });

export const MUTANTS: readonly Mutant[] = [
  {
    name: "two lanes pass one gate at once",
    file: CLAIM,
    find: "and (y.agent_gate is null or y.in_agent <= y.agent_room)",
    replace: "",
    test: named("store/limits", "holds over all tenants and workers, and a freed slot goes to whoever waited longest"),
  },
  {
    name: "a slot that comes back opens nothing",
    file: QUEUE,
    find: "where k.was_full;\n  return parked;",
    replace: "where false;\n  return parked;",
    test: named("store/claim", "a tenant at its cap costs nothing until a slot is freed"),
  },
  {
    name: "a turn that wakes up has credit for the time it slept",
    file: QUEUE,
    find: "vtime = case when t.lanes = 0 then greatest(t.vtime, longhaul.present(t.queue, t.build, t.band)) else t.vtime end",
    replace: "vtime = t.vtime",
    test: named("store/claim", "a tenant that was idle gets no credit for it"),
  },
  {
    name: "a lane is made in a turn that may be cleared away",
    file: SUBMIT,
    find: "order by t.turn_id for key share",
    replace: "order by t.turn_id",
    test: named("store/limits", "a submit and a clean-up at the same time lose no run"),
  },
  {
    name: "a repeated submit counts against the plan",
    file: SUBMIT,
    find: "where u.parent is null and not exists (select from longhaul.runs x where x.run_id = u.run)",
    replace: "where u.parent is null",
    test: named("store/limits", "a tenant with as many unfinished runs as its plan allows is refused"),
  },
  {
    name: "append does not check the epoch",
    file: JOURNAL,
    find: "and l.epoch = f.epoch and l.worker_id = p_worker and l.journal_seq",
    replace: "and l.worker_id = p_worker and l.journal_seq",
    test: named("store/journal", "nothing is written with another epoch"),
  },
  {
    name: "append does not check the worker",
    file: JOURNAL,
    find: "and l.epoch = f.epoch and l.worker_id = p_worker and l.journal_seq",
    replace: "and l.epoch = f.epoch and l.journal_seq",
    test: named("store/journal", "nothing is written by another worker, or after the run was taken away"),
  },
  {
    name: "append does not check the number",
    file: JOURNAL,
    find: " and l.worker_id = p_worker and l.journal_seq = f.first - 1",
    replace: " and l.worker_id = p_worker",
    test: named("store/journal", "nothing is written with a number that leaves a gap"),
  },
  {
    name: "the lease is counted from now()",
    file: JOURNAL,
    find: "set expires_at = clock_timestamp() + p_lease_ms * interval '1 millisecond', journal_seq = l.journal_seq + f.n",
    replace: "set expires_at = now() + p_lease_ms * interval '1 millisecond', journal_seq = l.journal_seq + f.n",
    test: named("store/journal", "by the database's clock even inside an old transaction"),
  },
  {
    name: "an expiry overrules an answer",
    file: JOURNAL,
    find: "a.status not in ('pending', 'expired')",
    replace: "false",
    test: named("store/journal", "an expiry that comes after the answer is refused, and writes nothing"),
  },
  {
    name: "a step is over before its record is committed",
    file: "src/engine/step.ts",
    find: "await execution.journal.append(KIND.step, key, meta + stream.recordWith(result.value), result.encoded, extras);",
    replace:
      "void execution.journal.append(KIND.step, key, meta + stream.recordWith(result.value), result.encoded, extras);",
    test: named("engine/stand-still", "the code goes on only when the record is committed"),
  },
  {
    name: "a step begins on an answer of its budgets that came late",
    file: "src/engine/step.ts",
    find: "if (assured !== undefined) await assured;",
    replace: "",
    test: named("engine/stand-still", "nor one that its budgets have allowed just before"),
  },
  {
    name: "a lease is trusted for ever",
    file: "src/engine/lease.ts",
    find: "return performance.now() <= untilMs - this.#options.leaseMs * (1 - LEASE_TRUSTED_PART);",
    replace: "return untilMs > 0;",
    test: named("engine/stand-still", "it runs no body of a run that another worker has"),
  },
  {
    name: "a lease is trusted for ever, as the crash points see it",
    file: "src/engine/lease.ts",
    find: "return performance.now() <= untilMs - this.#options.leaseMs * (1 - LEASE_TRUSTED_PART);",
    replace: "return untilMs > 0;",
    test: named("crash/crash", "the workload plain keeps every promise where it claims, records and lets go"),
  },
  {
    name: "a write of unknown outcome counts as failed",
    file: "src/engine/commit.ts",
    find: "else if (tail.journal_seq === append.first + append.entries.length - 1 && append.entries.length > 0) {",
    replace: "else if (tail.journal_seq < 0) {",
    test: named("engine/unknown-commit", "lost after the server has answered a record is stored once"),
  },
  {
    name: "a write of unknown outcome counts as stored",
    file: "src/engine/commit.ts",
    find: 'else if (tail.journal_seq !== append.first - 1) known.set(append.runId, { verdict: "lost" });',
    replace: 'else known.set(append.runId, { verdict: "done", sentMs: null, cancel: null, inboxSeq: 0 });',
    test: named("engine/unknown-commit", "lost before the server has answered a record is stored once"),
  },
  {
    name: "a worker mixes up two claims of one run",
    file: "src/engine/worker.ts",
    find: "this.#hands.get(claim.run_id)?.lose();",
    replace: "",
    also: {
      find: "if (!this.#hands.holds(execution)) {\n      execution.forget();",
      replace: "if (execution.epoch < 0) {\n      execution.forget();",
    },
    test: named("engine/unknown-commit", "a run that its worker claims anew before it knows that it had let it go"),
  },
  {
    name: "a run goes to sleep over a message",
    file: FINISH,
    find: "(u.move <> 'wait' or h.inbox_seq = u.inbox)",
    replace: "true",
    test: named("store/finish", "a message that came since the worker looked keeps it from going to sleep"),
  },
  {
    name: "a run goes to sleep over a cancel",
    file: FINISH,
    find: "(h.cancel is null and (u.move <> 'wait'",
    replace: "((u.move <> 'wait'",
    test: named("store/finish", "a cancel that came since keeps it from a wait"),
  },
  {
    name: "a sleeping run keeps its slot",
    file: FINISH,
    find: "array(select h.lane_id from unnest(held) h where h.run_id = any(moved)), longhaul.gates_of(held, moved),",
    replace:
      "array(select h.lane_id from unnest(held) h join unnest(p_run, p_move) u(r, m) on u.r = h.run_id where h.run_id = any(moved) and u.m <> 'wait'), longhaul.gates_of(held, moved),",
    test: named("store/finish", "a waiting run has its waits and its timer, and no slot"),
  },
  {
    name: "a sleeping run has no timer",
    file: FINISH,
    find: "where u.run_id = any(moved) and u.due is not null and u.move = 'wait'",
    replace: "where false",
    test: named("store/finish", "a waiting run has its waits and its timer, and no slot"),
  },
  {
    name: "an approval is answered twice",
    file: FINISH,
    find: "if a.status <> 'pending' then return 'taken'; end if;",
    replace: "",
    test: named("store/finish", "of 20 answers to one approval one is taken"),
  },
  {
    name: "a parent is not told in the commit of its child's end",
    file: FINISH,
    find: "where g.parent_id is not null;\n  select longhaul.hand_over",
    replace: "where false;\n  select longhaul.hand_over",
    test: named("store/finish", "reaches its parent in the same commit"),
  },
  {
    name: "children of an ended parent go on",
    file: FINISH,
    find: "from longhaul.live c where c.parent_id = any(ids) on conflict do nothing",
    replace: "from longhaul.live c where false on conflict do nothing",
    test: named("store/finish", "a parent that ends leaves word that its children are to be cancelled"),
  },
  {
    name: "a thread is not handed over",
    file: FINISH,
    find: "from unnest(gone) g where g.thread_no is not null;",
    replace: "from unnest(gone) g where false;",
    test: named("engine/thread", "50 runs submitted at once run one after the other"),
  },
  {
    name: "crashes count although the run got on",
    file: SWEEP,
    find: "case when x.journal_seq > x.claim_seq then 0 else x.crashes + 1 end as crashes",
    replace: "x.crashes + 1 as crashes",
    test: named("store/sweep", "a crash counts only when nothing was appended since the claim"),
  },
  {
    name: "a cancel is forgotten with its worker",
    file: SWEEP,
    find: "into stopped from unnest(lost) x where x.cancel is not null;",
    replace: "into stopped from unnest(lost) x where false;",
    test: named("store/sweep", "a run that was to be cancelled ends when its worker is gone"),
  },
  {
    name: "a claim does not look at the cap",
    file: "sql/migrations/0004_claim.sql",
    find: "greatest(t.cap - t.in_flight, 0)",
    replace: "t.cap",
    test: named("store/claim", "a tenant is never above its cap"),
  },
  {
    name: "a frozen transaction holds its locks for ever",
    file: "src/store/database.ts",
    find: "idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,",
    replace: "",
    test: named("store/database", "every connection has them, all shorter than a lease of ten seconds"),
  },
  {
    name: "a replay gives outcomes in the order in which they are asked for",
    file: "src/engine/replay.ts",
    find: "this.#pumping = this.#isAsked(this.#order[this.#head]);",
    replace: `const first = this.#order.findIndex((e, i) => i >= this.#head && e.key === [...this.#requested.keys()][0]);
    if (first > this.#head) this.#order.splice(this.#head, 0, ...this.#order.splice(first, 1));
    this.#pumping = this.#isAsked(this.#order[this.#head]);`,
    test: named("engine/replay", "the order in which parallel steps ended is kept"),
  },
  {
    name: "a replay gives an entry before all that follows from the one before",
    file: "src/engine/timing.ts",
    find: "void SETTLED.then(() => process.nextTick(call));",
    replace: "process.nextTick(call);",
    test: named("engine/replay", "what follows from one step happens before the next is given"),
  },
  {
    name: "a replay starts at the first entry",
    file: "src/store/journal.ts",
    find: "coalesce(max(c.seq), 0) as seq",
    replace: "0 as seq",
    test: named("store/journal", "a replay starts at the last checkpoint"),
  },
  {
    name: "a takeover forgets failed attempts",
    file: "src/engine/step.ts",
    find: "let failed = before?.failed ?? 0;",
    replace: "let failed = 0;",
    test: named("engine/retry", "the count survives a takeover"),
  },
  {
    name: "a replay forgets that a wait ended by time",
    file: "src/engine/wait.ts",
    find: 'const byTime = metaOf(entry)["by"] === "time";',
    replace: "const byTime = entry.seq < 0;",
    test: named("engine/unknown-commit", "an approval that expired stays expired for whoever takes the run over"),
  },
  {
    name: "a transaction commits although the run was lost",
    file: "src/engine/transaction.ts",
    find: "if (held === undefined) throw new Fenced();",
    replace: "",
    test: named("engine/transaction", "a worker that lost its run in mid-transaction leaves nothing behind"),
  },
  {
    name: "a fork inherits a question that is still open",
    file: "src/runtime/inherit.ts",
    find: "return answered.has(entry.key);",
    replace: "return true;",
    test: named("runtime/fork-questions", "is asked anew, under an id of its own"),
  },
  {
    name: "retention does not look at the age of a tree's other runs",
    file: RETENTION,
    find: "bool_and(coalesce(o.finished_at <= case o.status when 'failed' then p_failed_until else p_until end, false)) as may_go",
    replace: "true as may_go",
    test: named("store/retention", "a walk does not come back for what it had to leave"),
  },
  {
    name: "a value that is there already is not locked by whoever refers to it",
    file: "src/store/blobs.ts",
    find: "do update set body = excluded.body where false",
    replace: "do nothing",
    test: named("store/blobs", "one that is just being put again is left alone"),
  },
  {
    name: "a value is dropped although an outcome refers to it",
    file: RETENTION,
    find: "and not exists (select from longhaul.outcomes o where o.output_blob = h.hash and o.tenant_id = h.tenant_id offset 0)",
    replace: "",
    test: named("store/blobs", "an output holds the value that it refers to"),
  },
  {
    name: "a fork does not hold its source",
    file: "src/store/submit.ts",
    find: "where s.run_id = $2) for key share",
    replace: "where s.run_id = $2)",
    test: named("store/retention", "the source of a fork stays until it is copied"),
  },
  {
    name: "a submit that finds its lane does not keep its tenant from being forgotten",
    file: SUBMIT,
    find: "lock table longhaul.tenants in row exclusive mode;",
    replace: "",
    test: named("store/retention", "a tenant is not forgotten while a run of its is on its way in"),
  },
  {
    name: "the keys of a forgotten tenant leave no trace",
    file: RETENTION,
    find: "if exists (select from longhaul.api_keys k where k.tenant_id = p_tenant) then",
    replace: "if false then",
    test: named("runtime/prune", "a server goes on asking for keys"),
  },
];
