INSERT INTO accounts (id, name, join_code, created_at) VALUES (1, ?1, ?2, ?3)
ON CONFLICT DO NOTHING
