DELETE FROM mentions WHERE message_id = ?1
AND user_id NOT IN (SELECT value FROM json_each(?2)) RETURNING user_id
