// The store's prepared statements. Those whose rows hold times read integers as bigint.
import type { DatabaseSync } from 'node:sqlite';

export function prepareAll(database: DatabaseSync) {
  const sql = {
    epoch: database.prepare(`SELECT value FROM meta WHERE key = 'epoch'`),
    setEpoch: database.prepare(
      `INSERT INTO meta (key, value) VALUES ('epoch', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    ),
    addWindow: database.prepare(
      'INSERT INTO windows (uid, start, "end", plugin, pending, outcome) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    window: database.prepare('SELECT outcome, pending FROM windows WHERE uid = ? AND start = ? AND "end" = ?'),
    addBatch: database.prepare(
      `INSERT INTO batches (uid, start, "end", seq, destination, signal, committed, points, spans, logs, size, bytes)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    batches: database.prepare(
      `SELECT batches.*, ifnull(attempts, 0) AS attempts, ifnull(unanswered, 0) AS unanswered
       FROM batches LEFT JOIN attempts USING (id) WHERE destination = ? AND id > ? ORDER BY id LIMIT ?`,
    ),
    sizes: database.prepare('SELECT id, size FROM batches WHERE destination = ? AND id > ? ORDER BY id LIMIT ?'),
    batch: database.prepare(
      `SELECT uid, start, "end", seq, destination, points, spans, logs, ifnull(attempts, 0) AS attempts, size
       FROM batches LEFT JOIN attempts USING (id) WHERE id = ?`,
    ),
    removeBatch: database.prepare('DELETE FROM batches WHERE id = ?'),
    // one that is final already has none
    attempted: database.prepare(
      `INSERT INTO attempts SELECT id, ?, ? FROM batches WHERE id = ?
       ON CONFLICT (id) DO UPDATE SET attempts = max(attempts, excluded.attempts), unanswered = excluded.unanswered`,
    ),
    removeAttempts: database.prepare('DELETE FROM attempts WHERE id = ?'),
    settle: database.prepare(
      `UPDATE windows SET pending = pending - 1, repeated = repeated + ? WHERE uid = ? AND start = ?
       RETURNING pending, repeated`,
    ),
    held: database.prepare(
      'SELECT destination, count(*) AS batches, sum(size) AS bytes FROM batches GROUP BY destination',
    ),
    addDelivery: database.prepare('INSERT INTO deliveries (delivery) VALUES (?)'),
    deliveries: database.prepare('SELECT seq, delivery FROM deliveries WHERE seq > ? ORDER BY seq LIMIT ?'),
    takeDeliveries: database.prepare('DELETE FROM deliveries WHERE seq <= ?'),
    bounds: database.prepare('SELECT count(*) AS rows, max(seq) AS last FROM deliveries'),
    freePages: database.prepare('PRAGMA freelist_count'),
  };
  for (const name of ['window', 'batches', 'batch', 'deliveries'] as const) sql[name].setReadBigInts(true);
  return sql;
}
