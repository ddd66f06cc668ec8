-- People and how they get in: what they say about themselves, bans, invite links, single-use
-- links, and what an administrator chooses for the whole account.

ALTER TABLE users ADD COLUMN bio TEXT NOT NULL DEFAULT '';
-- Whoever is banned is not active either, so nothing that asks for active users finds them.
ALTER TABLE users ADD COLUMN banned_at INTEGER CHECK (banned_at IS NULL OR active = 0);
-- Their messages are to be removed in the background; stays until that is done.
ALTER TABLE users ADD COLUMN removing_messages INTEGER NOT NULL DEFAULT 0
    CHECK (removing_messages IN (0, 1));
-- Who made the link by which the password was last reset, and when it was used.
ALTER TABLE users ADD COLUMN reset_by_id INTEGER REFERENCES users (id);
ALTER TABLE users ADD COLUMN reset_at INTEGER CHECK ((reset_at IS NULL) = (reset_by_id IS NULL));
CREATE INDEX users_losing_messages ON users (id) WHERE removing_messages = 1;

ALTER TABLE accounts ADD COLUMN room_creators TEXT NOT NULL DEFAULT 'everybody'
    CHECK (room_creators IN ('everybody', 'administrators'));
ALTER TABLE accounts ADD COLUMN styles TEXT NOT NULL DEFAULT '';

-- Shown again whenever somebody wants to pass it on, so the code itself is stored.
CREATE TABLE invites (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    creator_id INTEGER NOT NULL REFERENCES users (id),
    uses INTEGER NOT NULL DEFAULT 0,
    max_uses INTEGER CHECK (max_uses > 0),
    expires_at INTEGER,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL,
    CHECK (max_uses IS NULL OR uses <= max_uses)
) STRICT;

-- The account's code so far is the first invite link; it never ends by itself.
INSERT INTO invites (code, creator_id, created_at)
SELECT a.join_code, (SELECT min(id) FROM users WHERE role = 'administrator'), a.created_at
FROM accounts a;

-- Links that work once. Only a digest of the token is stored, as with sessions; using a link
-- removes it.
CREATE TABLE links (
    id INTEGER PRIMARY KEY,
    token_digest BLOB NOT NULL UNIQUE,
    purpose TEXT NOT NULL CHECK (purpose IN ('sign_in', 'reset')),
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    creator_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (user_id, purpose)
) STRICT;

-- From where nobody can join while somebody is banned: public addresses that nobody else uses.
CREATE TABLE bans (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    network TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (network, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX bans_by_user ON bans (user_id);
