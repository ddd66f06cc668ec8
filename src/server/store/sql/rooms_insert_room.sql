INSERT INTO rooms (name, topic, kind, creator_id, direct_key, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (direct_key) DO NOTHING RETURNING id
