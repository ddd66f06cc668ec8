-- The spine: one account, its users and sessions, rooms and memberships, messages and their
-- search rows. Times are milliseconds since 1970 UTC; ordering never depends on them.

-- Which database this is, and how far it has been written. Clients present the incarnation with
-- every cursor; restoring a backup renews it, so histories cannot be mixed.
CREATE TABLE sequence (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    incarnation TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    last_message_id INTEGER NOT NULL
) STRICT;

-- A singleton by constraint: of many simultaneous first runs exactly one can insert it.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    join_code TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email_address TEXT NOT NULL UNIQUE,
    password_digest TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('member', 'administrator', 'bot')),
    active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT;

-- Only a digest of the token is stored: reading this table signs nobody in.
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    token_digest BLOB NOT NULL UNIQUE,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    user_agent TEXT NOT NULL,
    ip_address TEXT NOT NULL,
    last_active_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE rooms (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('open', 'closed', 'direct')),
    creator_id INTEGER NOT NULL REFERENCES users (id),
    -- The sorted member ids of a direct room: one room for each exact set of people.
    direct_key TEXT UNIQUE CHECK ((kind = 'direct') = (direct_key IS NOT NULL)),
    -- The newest message that still exists, so that unread marks need no look at messages.
    last_message_id INTEGER,
    last_creator_id INTEGER,
    last_message_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    involvement TEXT NOT NULL CHECK (involvement IN ('invisible', 'nothing', 'mentions', 'everything')),
    last_read_message_id INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, room_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_by_room ON memberships (room_id, user_id);

-- A deleted message stays as a tombstone (no text) so that its deletion can be replayed.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    creator_id INTEGER NOT NULL REFERENCES users (id),
    client_message_id TEXT NOT NULL,
    body TEXT NOT NULL,
    body_html TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    edited_at INTEGER,
    deleted_at INTEGER,
    UNIQUE (client_message_id, room_id)
) STRICT;
CREATE INDEX messages_by_room ON messages (room_id, id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX messages_by_change ON messages (room_id, seq);

-- Written in the same transaction as the message. Contentless: the text is stored once.
CREATE VIRTUAL TABLE message_search USING fts5 (
    body,
    content = '',
    contentless_delete = 1,
    tokenize = 'porter unicode61'
);
