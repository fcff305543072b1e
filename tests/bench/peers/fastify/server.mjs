// The handwritten peer over HTTP/1.1 and JSON: the stories service as a team that minds performance writes it on
// Fastify, ioredis and pg.
//
// Cache-aside with a time to live, the entry deleted after every update. What the cache holds is the JSON text of a
// story, and a hit is sent as the bytes that Redis gave. Like the other peers it is not coherent: a reader may put
// an older row into the cache just after the entry was deleted.

import { parseArgs } from "node:util";

import Fastify from "fastify";
import { Redis } from "ioredis";
import pg from "pg";

const TTL_S = 300;
const POOL_SIZE = 8;
const BATCH_SIZE_MAX = 1000;
const STOP_TIMEOUT_MS = 5_000;
const JSON_TYPE = "application/json; charset=utf-8";
const KINDS = ["KIND_UNSPECIFIED", "KIND_STORY", "KIND_ASK", "KIND_SHOW", "KIND_JOB"];
const TIMESTAMPTZ = 1184;
const UNIQUE_VIOLATION = "23505";

const COLUMNS = `name, uid, title, url, text, author, score, comment_count, kind, tags, annotations,
  post_time, create_time, update_time, delete_time, purge_time, version`;

const GET = { name: "get", text: `SELECT ${COLUMNS} FROM stories WHERE name = $1` };
const BATCH_GET = { name: "batch_get", text: `SELECT ${COLUMNS} FROM stories WHERE name = ANY($1)` };
const LIST = {
  name: "list",
  text: `SELECT ${COLUMNS} FROM stories WHERE name >= $1 AND name > $2 AND delete_time IS NULL
    ORDER BY name LIMIT $3`,
};
const CREATE = {
  name: "create",
  text: `INSERT INTO stories (name, author, title, url, text, score, comment_count, kind, tags, annotations, post_time)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING ${COLUMNS}`,
};

// What a caller may change: the field's column, and its value in a row from its value in a body.
const WRITABLE = {
  title: { column: "title", valueOf: (value = "") => value },
  url: { column: "url", valueOf: (value = "") => value },
  text: { column: "text", valueOf: (value = "") => value },
  score: { column: "score", valueOf: (value = 0) => value },
  commentCount: { column: "comment_count", valueOf: (value = 0) => value },
  kind: { column: "kind", valueOf: (value = KINDS[0]) => KINDS.indexOf(value) },
  tags: { column: "tags", valueOf: (value = []) => value },
  annotations: { column: "annotations", valueOf: (value = {}) => value },
  postTime: { column: "post_time", valueOf: (value = null) => value },
};
const FIELDS = Object.keys(WRITABLE);

const INT32 = { type: "integer", minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
const STORY = {
  type: "object",
  properties: {
    title: { type: "string", minLength: 1, maxLength: 300 },
    url: { type: "string", maxLength: 4096 },
    text: { type: "string", maxLength: 65536 },
    author: { type: "string", minLength: 1 },
    score: INT32,
    commentCount: INT32,
    kind: { enum: KINDS },
    tags: { type: "array", maxItems: 100, items: { type: "string", minLength: 1, maxLength: 63 } },
    annotations: { type: "object", additionalProperties: { type: "string" } },
    postTime: { type: ["string", "null"], format: "date-time" },
    etag: { type: "string" },
  },
};

const PATCH_SCHEMA = {
  querystring: {
    type: "object",
    required: ["updateMask"],
    properties: { updateMask: { type: "string", minLength: 1 } },
  },
  body: STORY,
};
const CREATE_SCHEMA = {
  querystring: {
    type: "object",
    required: ["storyId"],
    properties: { storyId: { type: "string", pattern: "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$" } },
  },
  body: { ...STORY, required: ["title", "author"] },
};
const LIST_SCHEMA = {
  querystring: {
    type: "object",
    properties: {
      pageSize: { type: "integer", minimum: 0, default: 50 },
      pageToken: { type: "string", default: "" },
      filter: { type: "string", pattern: '^name >= "stories/s[0-9]{8}"$' },
    },
  },
};
const BATCH_GET_SCHEMA = {
  querystring: {
    type: "object",
    required: ["names"],
    properties: {
      names: {
        type: "array",
        minItems: 1,
        maxItems: BATCH_SIZE_MAX,
        items: { type: "string", pattern: "^stories/" },
      },
    },
  },
};

function problem(statusCode, message) {
  return Object.assign(new Error(message), { statusCode });
}

// PostgreSQL's text of a time, of a session in UTC: microseconds are kept, and no Date is made.
function rfc3339(text) {
  return `${text.slice(0, 10)}T${text.slice(11, -3)}Z`;
}

function etagOf(version) {
  return `"${Number(version).toString(16).padStart(16, "0")}"`;
}

function textOf(row) {
  return JSON.stringify({
    name: row.name,
    uid: row.uid,
    title: row.title,
    url: row.url,
    text: row.text,
    author: row.author,
    score: row.score,
    commentCount: row.comment_count,
    kind: KINDS[row.kind],
    tags: row.tags,
    annotations: row.annotations,
    postTime: row.post_time ?? undefined,
    createTime: row.create_time,
    updateTime: row.update_time,
    etag: etagOf(row.version),
    deleteTime: row.delete_time ?? undefined,
    purgeTime: row.purge_time ?? undefined,
  });
}

// One prepared statement for each set of fields that is changed together, whatever their order in the mask.
const updates = new Map();

function updateOf(fields) {
  const set = fields.reduce((bits, field) => bits | (1 << FIELDS.indexOf(field)), 0);
  let statement = updates.get(set);
  if (statement === undefined) {
    const changed = FIELDS.filter((_, number) => set & (1 << number));
    const assignments = changed.map((field, number) => `${WRITABLE[field].column} = $${number + 3}`);
    statement = {
      changed,
      name: `update_${set}`,
      text: `UPDATE stories SET ${assignments.join(", ")}, update_time = now(), version = version + 1
        WHERE name = $1 AND ($2 = '' OR $2 = lpad(to_hex(version), 16, '0')) RETURNING ${COLUMNS}`,
    };
    updates.set(set, statement);
  }
  return statement;
}

// Cache-aside over Redis: every failure is a miss.
class StoryCache {
  #redis;
  #prefix;

  constructor(redis, prefix) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  #key(name) {
    return `${this.#prefix}:${name}`;
  }

  async get(name) {
    try {
      return await this.#redis.getBuffer(this.#key(name));
    } catch {
      return null;
    }
  }

  async getAll(names) {
    try {
      return await this.#redis.mgetBuffer(names.map((name) => this.#key(name)));
    } catch {
      return names.map(() => null);
    }
  }

  async set(name, text) {
    const lifetimeS = TTL_S - Math.floor(Math.random() * (TTL_S / 10));
    try {
      await this.#redis.set(this.#key(name), text, "EX", lifetimeS);
    } catch {
      // The next reader tries again.
    }
  }

  async delete(name) {
    try {
      await this.#redis.del(this.#key(name));
    } catch {
      // The entry lives until its time has passed.
    }
  }
}

const NO_CACHE = {
  get: async () => null,
  getAll: async (names) => names.map(() => null),
  set: async () => {},
  delete: async () => {},
};

async function openRedis(url) {
  const redis = new Redis(url, {
    lazyConnect: true,
    enableAutoPipelining: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 1_000,
    socketTimeout: 1_000,
    retryStrategy: (attempt) => Math.min(attempt * 50, 1_000),
  });
  redis.on("error", (error) => console.warn(`cache: ${error.message}`));
  await redis.connect().catch(() => {}); // It goes on trying by itself.
  return redis;
}

async function openPool(connectionString) {
  const types = new pg.TypeOverrides();
  types.setTypeParser(TIMESTAMPTZ, rfc3339);
  const pool = new pg.Pool({
    connectionString,
    types,
    max: POOL_SIZE,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 30_000,
    options: "-c timezone=UTC -c datestyle=ISO",
  });
  pool.on("error", (error) => console.warn(`database: ${error.message}`));
  const clients = await Promise.all(Array.from({ length: POOL_SIZE }, () => pool.connect()));
  clients.forEach((client) => client.release());
  return pool;
}

function serverOf(write, read, cache) {
  const app = Fastify({ logger: false });

  app.get("/v1/stories/:id", async (request, reply) => {
    const name = `stories/${request.params.id}`;
    reply.type(JSON_TYPE);
    const cached = await cache.get(name);
    if (cached !== null) return cached;
    const { rows } = await read.query({ ...GET, values: [name] });
    if (rows.length === 0) throw problem(404, `${name} does not exist`);
    const text = textOf(rows[0]);
    cache.set(name, text);
    return text;
  });

  app.patch("/v1/stories/:id", { schema: PATCH_SCHEMA }, async (request, reply) => {
    const name = `stories/${request.params.id}`;
    const fields = request.query.updateMask.split(",");
    const unknown = fields.find((field) => !Object.hasOwn(WRITABLE, field));
    if (unknown !== undefined) throw problem(400, `updateMask: ${unknown} cannot be changed`);
    const story = request.body;
    const absent = fields.find((field) => story[field] === undefined);
    if (absent !== undefined) throw problem(400, `${absent}: is in updateMask and has no value`);
    const etag = (story.etag ?? "").replaceAll('"', "");
    const { changed, ...statement } = updateOf(fields);
    const values = changed.map((field) => WRITABLE[field].valueOf(story[field]));
    const { rows } = await write.query({ ...statement, values: [name, etag, ...values] });
    if (rows.length === 0) {
      throw etag ? problem(409, `${name} does not exist or has changed`) : problem(404, `${name} does not exist`);
    }
    await cache.delete(name);
    reply.type(JSON_TYPE);
    return textOf(rows[0]);
  });

  app.post("/v1/stories", { schema: CREATE_SCHEMA }, async (request, reply) => {
    const name = `stories/${request.query.storyId}`;
    const story = request.body;
    const values = [name, story.author, ...FIELDS.map((field) => WRITABLE[field].valueOf(story[field]))];
    try {
      const { rows } = await write.query({ ...CREATE, values });
      reply.type(JSON_TYPE);
      return textOf(rows[0]);
    } catch (error) {
      throw error.code === UNIQUE_VIOLATION ? problem(409, `${name} exists`) : error;
    }
  });

  app.get("/v1/stories", { schema: LIST_SCHEMA }, async (request, reply) => {
    const { pageToken, filter } = request.query;
    const pageSize = Math.min(request.query.pageSize || 50, 1000);
    const first = filter === undefined ? "" : filter.slice(filter.indexOf('"') + 1, -1);
    const { rows } = await read.query({ ...LIST, values: [first, pageToken, pageSize] });
    const nextPageToken = rows.length === pageSize ? rows.at(-1).name : "";
    reply.type(JSON_TYPE);
    return `{"stories":[${rows.map(textOf).join(",")}],"nextPageToken":${JSON.stringify(nextPageToken)}}`;
  });

  app.get("/v1/stories::batchGet", { schema: BATCH_GET_SCHEMA }, async (request, reply) => {
    const { names } = request.query;
    const stories = await cache.getAll(names);
    const missing = names.filter((_, number) => stories[number] === null);
    if (missing.length > 0) {
      const { rows } = await read.query({ ...BATCH_GET, values: [missing] });
      const found = new Map(rows.map((row) => [row.name, Buffer.from(textOf(row))]));
      const lacking = missing.find((name) => !found.has(name));
      if (lacking !== undefined) throw problem(404, `${lacking} does not exist`);
      for (const [name, text] of found) cache.set(name, text);
      names.forEach((name, number) => (stories[number] ??= found.get(name)));
    }
    reply.type(JSON_TYPE);
    return joined(stories);
  });

  return app;
}

const [BEGIN, BETWEEN, END] = ['{"stories":[', ",", "]}"].map((text) => Buffer.from(text));

function joined(stories) {
  return Buffer.concat([BEGIN, ...stories.flatMap((story, number) => (number ? [BETWEEN, story] : [story])), END]);
}

const { values: flags } = parseArgs({
  options: {
    listen: { type: "string" },
    "database-write": { type: "string" },
    "database-read": { type: "string" },
    cache: { type: "string", default: "" },
  },
});
const { hostname, port } = new URL(`http://${flags.listen}`);
// Peers that share a Redis each keep something else of a story in it: the key begins with the database's name.
const prefix = new URL(flags["database-write"].replace("@/", "@_/")).pathname.slice(1);
const redis = flags.cache ? await openRedis(flags.cache) : null;
const [write, read] = await Promise.all([openPool(flags["database-write"]), openPool(flags["database-read"])]);
const app = serverOf(write, read, redis === null ? NO_CACHE : new StoryCache(redis, prefix));

process.once("SIGTERM", async () => {
  setTimeout(() => process.exit(), STOP_TIMEOUT_MS).unref();
  await app.close();
  redis?.disconnect();
  await Promise.all([write.end(), read.end()]);
  process.exit(); // ioredis may still have a timer.
});
await app.listen({ host: hostname, port: Number(port) });
