UPDATE messages SET seq = ?2, body = '', body_html = '', deleted_at = ?3, boosts = 0,
       reply_to_id = NULL WHERE id = ?1
