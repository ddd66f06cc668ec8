SELECT min(100, (SELECT count(*) FROM (
    SELECT 1 FROM mentions n CROSS JOIN memberships ms
        ON ms.user_id = n.user_id AND ms.room_id = n.room_id
    WHERE n.user_id = ?1
        AND n.seq > (SELECT activity_seen FROM users WHERE id = ?1) LIMIT 100))
+ (SELECT count(*) FROM (
    SELECT 1 FROM boosts b CROSS JOIN messages g ON g.id = b.message_id
    CROSS JOIN memberships ms ON ms.user_id = ?1 AND ms.room_id = g.room_id
    WHERE b.author_id = ?1 AND b.booster_id <> b.author_id
        AND b.seq > (SELECT activity_seen FROM users WHERE id = ?1) LIMIT 100)))
