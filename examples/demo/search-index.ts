// The demo's full-text index in PostgreSQL: built from a corpus in one transaction, searched by plain questions.
import type { Pool, PoolClient } from "pg";
import type { Corpus, Passage } from "./corpus.ts";
import { searchable, wordsOf } from "./words.ts";

/** What a build did. A skipped build found the index complete for exactly these pages. */
export interface BuildReport {
  skipped: boolean;
  pages: number;
  passages: number;
  /** Rows that no longer belonged to the corpus and were deleted. */
  removed: number;
  seconds: number;
}

/** One search result; `id` reads the whole passage. */
export interface Hit {
  id: string;
  title: string;
  heading: string;
  path: string;
  package: string;
  snippet: string;
  /** Comparable within one search only; higher is better. */
  score: number;
}

const setUp = `
  create schema if not exists demo;
  create table if not exists demo.passages (
    id text primary key,
    path text not null,
    package text not null,
    title text not null,
    heading text not null,
    body text not null,
    place integer not null,
    weight real not null,
    tsv tsvector not null
  );
  create index if not exists passages_tsv on demo.passages using gin (tsv);
  create table if not exists demo.index_state (
    single boolean primary key default true check (single),
    fingerprint text not null,
    pages integer not null,
    passages integer not null,
    built_at timestamptz not null default clock_timestamp()
  );
  create temporary table kept (id text primary key) on commit drop;`;

const addBatch = `
  with batch as (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[],
                         $8::real[], $9::text[], $10::text[], $11::text[])
      as t(id, path, package, title, heading, body, place, weight, name_words, heading_words, body_words)
  ), noted as (
    insert into kept select id from batch
  )
  insert into demo.passages as p (id, path, package, title, heading, body, place, weight, tsv)
  select id, path, package, title, heading, body, place, weight,
         setweight(to_tsvector('english', name_words), 'A') || setweight(to_tsvector('english', heading_words), 'B')
           || setweight(to_tsvector('english', body_words), 'D')
    from batch
  on conflict (id) do update
    set (path, package, title, heading, body, place, weight, tsv) = (excluded.path, excluded.package,
         excluded.title, excluded.heading, excluded.body, excluded.place, excluded.weight, excluded.tsv)
    where (p.path, p.package, p.title, p.heading, p.body, p.place, p.weight, p.tsv) is distinct from
          (excluded.path, excluded.package, excluded.title, excluded.heading, excluded.body, excluded.place,
           excluded.weight, excluded.tsv)`;

/**
 * Brings the index up to date with a corpus. Everything happens in one transaction on one connection: killed half way
 * it leaves what was there before, readers never see half an index, and a second builder waits and then has nothing
 * to do. `onProgress` is told the passages written so far, after each batch. Throws what PostgreSQL or the disk throw.
 */
export async function buildIndex(
  pool: Pool,
  corpus: Corpus,
  options: { onProgress?: (passages: number) => void; batchSize?: number; signal?: AbortSignal } = {},
): Promise<BuildReport> {
  const started = performance.now();
  const client = await pool.connect();
  let broken: Error | undefined;
  // Without a listener, a connection that dies between two batches ends the process; the next query reports it anyway.
  const onError = (error: Error) => {
    broken = error;
  };
  client.on("error", onError);
  try {
    await client.query("begin");
    await client.query("select pg_advisory_xact_lock(hashtextextended('longhaul demo index', 0))");
    const report = (await complete(client, corpus)) ?? (await rebuild(client, corpus, options));
    await client.query("commit");
    return { ...report, seconds: (performance.now() - started) / 1_000 };
  } catch (error) {
    // The connection's own error says why; the query that met it only says that it is broken.
    broken ??= error instanceof Error ? error : new Error(String(error));
    throw broken;
  } finally {
    client.off("error", onError);
    // A failed connection is closed, not reused: closing it is also the roll-back.
    client.release(broken);
  }
}

type Work = Omit<BuildReport, "seconds">;

async function complete(client: PoolClient, corpus: Corpus): Promise<Work | null> {
  await client.query(setUp);
  const { rows } = await client.query<{ pages: number; passages: number }>(
    "select pages, passages from demo.index_state where fingerprint = $1",
    [stamp(corpus)],
  );
  return rows[0] ? { skipped: true, removed: 0, ...rows[0] } : null;
}

async function rebuild(
  client: PoolClient,
  corpus: Corpus,
  options: { onProgress?: (passages: number) => void; batchSize?: number; signal?: AbortSignal },
): Promise<Work> {
  let passages = 0;
  for await (const batch of corpus.batches(options)) {
    options.signal?.throwIfAborted();
    await client.query(addBatch, columnsOf(batch));
    passages += batch.length;
    options.onProgress?.(passages);
  }
  const { rowCount } = await client.query(
    "delete from demo.passages p where not exists (select 1 from kept where kept.id = p.id)",
  );
  await client.query(
    `insert into demo.index_state (fingerprint, pages, passages) values ($1, $2, $3)
     on conflict (single) do update set (fingerprint, pages, passages, built_at) =
       (excluded.fingerprint, excluded.pages, excluded.passages, excluded.built_at)`,
    [stamp(corpus), corpus.pages, passages],
  );
  return { skipped: false, pages: corpus.pages, passages, removed: rowCount ?? 0 };
}

// Raised whenever the same passages would be indexed differently.
const indexingVersion = 1;

function stamp(corpus: Corpus): string {
  return `${indexingVersion}:${corpus.fingerprint}`;
}

function columnsOf(batch: Passage[]): unknown[] {
  return [
    batch.map((passage) => passage.id),
    batch.map((passage) => passage.path),
    batch.map((passage) => passage.package),
    batch.map((passage) => passage.title),
    batch.map((passage) => passage.heading),
    batch.map((passage) => passage.body),
    batch.map((passage) => passage.place),
    batch.map((passage) => passage.weight),
    batch.map((passage) => searchable(`${passage.package} ${passage.title}`)),
    batch.map((passage) => searchable(passage.heading)),
    batch.map((passage) => searchable(passage.body)),
  ];
}

/*
 * $1 query, $2 results wanted, $3 the query's words in lower case (to recognise a package by name), $4 results per page.
 * Passages that match the whole query come first; where they are fewer than wanted, those that match some of its words
 * follow, by the share of the query that they cover, a rare word counting for more than a common one. A page's first
 * passage, which introduces it, counts for a little more, a passage of a few words for less. What scores far below the
 * best is noise and left out.
 */
const searchPassages = `
  with strict as materialized (
    select websearch_to_tsquery('english', $1) as query
  ), loose as materialized (
    select nullif(replace(query::text, ' & ', ' | '), '')::tsquery as query from strict
  ), total as (
    select count(*)::real as passages from demo.passages
  ), term as materialized (
    select word.lexeme::text as word, ('''' || replace(word.lexeme, '''', '''''') || '''')::tsquery as query,
           ln(1 + total.passages / (1 + (select count(*) from demo.passages p
                where p.tsv @@ ('''' || replace(word.lexeme, '''', '''''') || '''')::tsquery))) as rarity
      from total, unnest(to_tsvector('english', $1)) as word
  ), found as materialized (
    select p.id, p.path, p.tsv @@ strict.query as whole,
           (select sum(rarity) filter (where p.tsv @@ term.query) / sum(rarity) from term) as coverage,
           ts_rank_cd('{0.1, 0.2, 0.5, 1.0}', p.tsv, loose.query, 1 | 32) as density,
           p.weight * case when lower(p.package) = any($3) then 2 else 1 end * case p.place when 0 then 1.25 else 1 end
             * least(1, 0.5 + length(p.body) / 400.0) as weight
      from strict, loose, demo.passages p
     where p.tsv @@ loose.query
  ), scored as (
    select id, path, (case when whole then 2 else 1 end) * coverage ^ 2 * (0.3 + density) * weight as score from found
  ), spread as (
    select id, score, max(score) over () as top, row_number() over (partition by path order by score desc, id) as nth
      from scored
  ), best as (
    select id, score from spread where nth <= $4 and score >= top * 0.15 order by score desc, id limit $2
  )
  select p.id, p.title, p.heading, p.path, p.package, best.score,
         ts_headline('english', p.body, loose.query, 'StartSel="", StopSel="", MaxWords=36, MinWords=16') as snippet
    from best join demo.passages p using (id), loose
   order by best.score desc, p.id`;

const resultsPerPage = 3;

/**
 * The `k` (default 8) best passages for a query, at most three of one page. Understands what `websearch_to_tsquery`
 * does: "quoted phrases" and `or`. A query without a searchable word finds nothing. Throws when no index was built.
 */
export async function search(pool: Pool, query: string, k = 8): Promise<Hit[]> {
  const words = wordsOf(query).map((word) => word.toLowerCase());
  const { rows } = await explainMissing(
    pool.query<Hit>(searchPassages, [asWebsearch(query), k, words, resultsPerPage]),
  );
  return rows.map((row) => ({ ...row, snippet: row.snippet.replaceAll(/\s+/g, " ").trim() }));
}

/** The passages with these ids, in the order asked for; an id that is no longer in the index is left out. */
export async function readPassages(pool: Pool, ids: readonly string[]): Promise<Passage[]> {
  const { rows } = await explainMissing(
    pool.query<Passage>(
      `select p.id, p.path, p.package, p.title, p.heading, p.body, p.place, p.weight
         from unnest($1::text[]) with ordinality as wanted(id, place) join demo.passages p using (id)
        order by wanted.place`,
      [ids],
    ),
  );
  return rows;
}

/** Merges the results of several searches: a passage that many of them rank high comes first (reciprocal rank). */
export function mergeHits(searches: readonly (readonly Hit[])[], limit = 8): Hit[] {
  const merged = new Map<string, Hit>();
  for (const hits of searches) {
    for (const [place, hit] of hits.entries()) {
      const before = merged.get(hit.id);
      merged.set(hit.id, { ...(before ?? hit), score: (before?.score ?? 0) + 1 / (5 + place) });
    }
  }
  return [...merged.values()].sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1)).slice(0, limit);
}

/** Keeps quotes and `or`, and takes every sign away that would change the meaning of a word ("--watch" is no "not watch"). */
function asWebsearch(query: string): string {
  const parts = query.slice(0, 500).split('"');
  const quotes = parts.length % 2 === 1;
  return parts
    .map((part, index) => {
      const words = part.replaceAll(/[^\p{L}\p{N}]+/gu, " ").trim();
      return quotes && index % 2 === 1 && words !== "" ? `"${words}"` : words;
    })
    .join(" ");
}

async function explainMissing<Result>(result: Promise<Result>): Promise<Result> {
  try {
    return await result;
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code !== "42P01" && code !== "3F000") throw error;
    throw new Error("The demo's index has not been built in this database: call buildIndex() first.", { cause: error });
  }
}
