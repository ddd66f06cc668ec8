DELETE FROM memberships WHERE room_id = ?1
AND user_id NOT IN (SELECT value FROM json_each(?2))
AND (?3 IS NULL OR user_id IN (SELECT value FROM json_each(?3))) RETURNING user_id
