INSERT INTO bans (user_id, network, created_at) VALUES (?1, ?2, ?3)
ON CONFLICT DO NOTHING
