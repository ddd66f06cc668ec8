INSERT INTO searches (id, user_id, query, created_at)
SELECT (SELECT coalesce(max(id), 0) + 1 FROM searches), id, ?2, ?3
FROM users WHERE id = ?1 AND active = 1
ON CONFLICT (user_id, query)
DO UPDATE SET id = excluded.id, created_at = excluded.created_at
