DELETE FROM searches WHERE user_id = ?1 AND id NOT IN
    (SELECT id FROM searches WHERE user_id = ?1 ORDER BY id DESC LIMIT ?2)
