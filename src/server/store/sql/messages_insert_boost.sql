INSERT INTO boosts (seq, message_id, booster_id, author_id, content, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
