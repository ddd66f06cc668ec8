DELETE FROM boosts WHERE message_id = ?1
AND (?2 IS NULL OR booster_id = ?2 AND content = ?3)
