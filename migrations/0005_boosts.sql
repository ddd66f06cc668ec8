-- What people add to each other's messages, which message answers which, and how far everybody
-- has seen what concerns them.

-- One person adds the same thing to a message once. The author of the message stands here too, so
-- that what concerns somebody is one walk along an index; `seq` is the change that added it.
CREATE TABLE boosts (
    id INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    booster_id INTEGER NOT NULL REFERENCES users (id),
    author_id INTEGER NOT NULL REFERENCES users (id),
    content TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (message_id, booster_id, content)
) STRICT;
CREATE INDEX boosts_by_author ON boosts (author_id, seq) WHERE booster_id <> author_id;

-- How many boosts a message has: pages look for them only where there are any.
ALTER TABLE messages ADD COLUMN boosts INTEGER NOT NULL DEFAULT 0;
-- The message it answers, of the same room. That one may have become a tombstone since.
ALTER TABLE messages ADD COLUMN reply_to_id INTEGER;

-- The change that made the mention.
ALTER TABLE mentions ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE mentions SET seq = (SELECT m.seq FROM messages m WHERE m.id = mentions.message_id);
CREATE INDEX mentions_by_seq ON mentions (user_id, seq);

-- Up to which change somebody has seen what concerns them. What is older than this is seen.
ALTER TABLE users ADD COLUMN activity_seen INTEGER NOT NULL DEFAULT 0;
UPDATE users SET activity_seen = coalesce((SELECT last_seq FROM sequence), 0);
-- Mentions of them still carry an earlier name; stays until the background work is done.
ALTER TABLE users ADD COLUMN renamed INTEGER NOT NULL DEFAULT 0 CHECK (renamed IN (0, 1));
CREATE INDEX users_renamed ON users (id) WHERE renamed = 1;
