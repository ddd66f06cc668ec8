-- Search: an index that also finds scripts without spaces and answers every filter, names that are
-- found whatever their accents, the days of the history, and what people looked for.

-- Message text with each character of a script without spaces as a word, and marked words for
-- room, author and contents; see `domain::search::indexed`. Filled at write time, and for messages
-- that were there before, from the newest down, at the next start.
DROP TABLE message_search;
CREATE VIRTUAL TABLE message_search USING fts5 (
    body,
    content = '',
    contentless_delete = 1,
    prefix = '3',
    tokenize = 'porter unicode61 remove_diacritics 2'
);
-- A message whose room goes takes its search row along.
CREATE TRIGGER message_search_delete AFTER DELETE ON messages BEGIN
    DELETE FROM message_search WHERE rowid = old.id;
END;
-- The newest message that is not indexed yet; no row when all are.
CREATE TABLE search_backlog (newest_id INTEGER NOT NULL) STRICT;
INSERT INTO search_backlog SELECT max(id) FROM messages HAVING max(id) IS NOT NULL;

CREATE VIRTUAL TABLE user_search USING fts5 (
    name, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE room_search USING fts5 (
    name, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO user_search (rowid, name) SELECT id, name FROM users;
INSERT INTO room_search (rowid, name) SELECT id, name FROM rooms;
CREATE TRIGGER user_search_insert AFTER INSERT ON users BEGIN
    INSERT INTO user_search (rowid, name) VALUES (new.id, new.name);
END;
CREATE TRIGGER user_search_update AFTER UPDATE OF name ON users BEGIN
    DELETE FROM user_search WHERE rowid = old.id;
    INSERT INTO user_search (rowid, name) VALUES (new.id, new.name);
END;
CREATE TRIGGER user_search_delete AFTER DELETE ON users BEGIN
    DELETE FROM user_search WHERE rowid = old.id;
END;
CREATE TRIGGER room_search_insert AFTER INSERT ON rooms BEGIN
    INSERT INTO room_search (rowid, name) VALUES (new.id, new.name);
END;
CREATE TRIGGER room_search_update AFTER UPDATE OF name ON rooms BEGIN
    DELETE FROM room_search WHERE rowid = old.id;
    INSERT INTO room_search (rowid, name) VALUES (new.id, new.name);
END;
CREATE TRIGGER room_search_delete AFTER DELETE ON rooms BEGIN
    DELETE FROM room_search WHERE rowid = old.id;
END;

-- Between which ids the messages of a day (in UTC, counted from 1970) lie, so that dates need no
-- look at messages outside them. Generous at the end, so that it is written once in 1,024 messages.
CREATE TABLE message_days (
    day INTEGER PRIMARY KEY,
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL
) STRICT;
INSERT INTO message_days SELECT created_at / 86400000, min(id), max(id) FROM messages GROUP BY 1;
CREATE TRIGGER message_days_insert AFTER INSERT ON messages
WHEN NOT EXISTS (SELECT 1 FROM message_days WHERE day = new.created_at / 86400000
                 AND new.id BETWEEN first_id AND last_id)
BEGIN
    INSERT INTO message_days VALUES (new.created_at / 86400000, new.id, new.id + 1023)
    ON CONFLICT (day) DO UPDATE SET first_id = min(first_id, excluded.first_id),
                                    last_id = max(last_id, excluded.last_id);
END;

-- The ten newest of each person; ids give their order.
CREATE TABLE searches (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    query TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (user_id, query)
) STRICT;
-- Whoever is kept out leaves none behind.
CREATE TRIGGER searches_end AFTER UPDATE OF active ON users WHEN new.active = 0 BEGIN
    DELETE FROM searches WHERE user_id = new.id;
END;
