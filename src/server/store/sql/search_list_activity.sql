SELECT CASE WHEN x.content IS NOT NULL THEN 'boost'
            WHEN o.creator_id = ?1 THEN 'reply' ELSE 'mention' END,
       x.seq, u.id, u.name, m.room_id, m.id, m.body, m.body_html, x.content, x.at,
       x.seq > v.activity_seen
FROM (SELECT * FROM (
        SELECT n.seq, n.message_id, g.creator_id AS user_id, NULL AS content,
               g.created_at AS at
        FROM mentions n CROSS JOIN memberships ms
            ON ms.user_id = n.user_id AND ms.room_id = n.room_id
        CROSS JOIN messages g ON g.id = n.message_id
        WHERE n.user_id = ?1 AND n.seq < ?2 ORDER BY n.seq DESC LIMIT ?3)
    UNION ALL SELECT * FROM (
        SELECT b.seq, b.message_id, b.booster_id, b.content, b.created_at
        FROM boosts b CROSS JOIN messages g ON g.id = b.message_id
        CROSS JOIN memberships ms ON ms.user_id = ?1 AND ms.room_id = g.room_id
        WHERE b.author_id = ?1 AND b.booster_id <> b.author_id AND b.seq < ?2
        ORDER BY b.seq DESC LIMIT ?3)) x
JOIN messages m ON m.id = x.message_id JOIN users u ON u.id = x.user_id
JOIN users v ON v.id = ?1 LEFT JOIN messages o ON o.id = m.reply_to_id
ORDER BY x.seq DESC LIMIT ?3
