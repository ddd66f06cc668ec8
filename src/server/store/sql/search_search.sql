WITH mine(id) AS MATERIALIZED (
    SELECT ms.room_id FROM memberships ms JOIN users v ON v.id = ms.user_id AND v.active = 1
    WHERE ms.user_id = ?1),
places(id) AS MATERIALIZED (
    SELECT id FROM mine WHERE ?5 IS NULL
        OR id IN (SELECT rowid FROM room_search WHERE room_search MATCH coalesce(?5, ?6))
        OR id IN (SELECT ms.room_id FROM user_search s JOIN memberships ms ON ms.user_id = s.rowid
                  JOIN rooms r ON r.id = ms.room_id AND r.kind = 'direct'
                  WHERE user_search MATCH coalesce(?5, ?6) AND s.rowid <> ?1)),
people(id) AS MATERIALIZED (
    SELECT rowid FROM user_search WHERE user_search MATCH coalesce(?3, ?6) UNION SELECT ?1 WHERE ?4),
endings(stem, number) AS MATERIALIZED (
    SELECT CASE WHEN length(?14) > 3 THEN
        (SELECT term FROM message_terms WHERE term >= ?14 ORDER BY term LIMIT 1) END, 1
    UNION ALL
    SELECT (SELECT term FROM message_terms WHERE term >= e.stem || char(1) ORDER BY term LIMIT 1), number + 1
    FROM endings e WHERE e.stem < ?14 || char(1114111) AND number <= ?15),
fitting(stem) AS MATERIALIZED (SELECT stem FROM endings WHERE stem < ?14 || char(1114111)),
unfinished(expression) AS MATERIALIZED (
    SELECT '("' || ?12 || CASE WHEN length(?14) > 3 AND (SELECT count(*) FROM fitting) <= ?15
        THEN (SELECT group_concat(stem, '" OR "' || ?12)
              FROM (SELECT ?13 AS stem UNION SELECT stem FROM fitting)) || '")'
        ELSE ?13 || '" OR "' || ?12 || ?14 || '" *)' END),
wanted(expression) AS MATERIALIZED (
    SELECT ?2 || CASE ?2 WHEN '' THEN '' ELSE ' AND ' END
        || coalesce((SELECT expression FROM unfinished) || ' AND ', '')
        || '(' || coalesce((SELECT group_concat(?6 || 'r' || id, ' OR ') FROM places), ?6) || ')'
        || CASE WHEN ?3 IS NULL AND NOT ?4 THEN '' ELSE ' AND (' || coalesce(
            (SELECT group_concat(?6 || 'u' || id, ' OR ') FROM people), ?6) || ')' END)
SELECT (?3 IS NULL AND NOT ?4) OR EXISTS (SELECT 1 FROM people),
       ?5 IS NULL OR EXISTS (SELECT 1 FROM places),
       (SELECT json_group_array(query) FROM (SELECT query FROM searches WHERE user_id = ?1
                                             ORDER BY id DESC LIMIT ?11)),
       (SELECT json_group_array(json(hit)) FROM (
            SELECT json_array(m.id, r.id, coalesce(nullif(r.name, ''),
                       (SELECT group_concat(o.name, ', ') FROM memberships oms
                        JOIN users o ON o.id = oms.user_id
                        WHERE oms.room_id = r.id AND o.id <> ?1), ''),
                       r.kind, u.id, u.name, m.body_html, m.created_at) AS hit
            FROM message_search s
            CROSS JOIN messages m ON m.id = s.rowid AND m.deleted_at IS NULL
            CROSS JOIN memberships ms ON ms.room_id = m.room_id AND ms.user_id = ?1
            CROSS JOIN rooms r ON r.id = m.room_id
            CROSS JOIN users u ON u.id = m.creator_id
            WHERE message_search MATCH (SELECT coalesce(expression, ?6) FROM wanted)
            AND s.rowid < ?7
            AND s.rowid >= CASE WHEN ?8 IS NULL THEN 0 ELSE coalesce(
                (SELECT min(first_id) FROM message_days WHERE day >= ?8 / 86400000), ?7) END
            AND s.rowid <= CASE WHEN ?9 IS NULL THEN ?7 ELSE coalesce(
                (SELECT max(last_id) FROM message_days WHERE day < ?9 / 86400000), 0) END
            AND (?8 IS NULL OR m.created_at >= ?8) AND (?9 IS NULL OR m.created_at < ?9)
            ORDER BY s.rowid DESC LIMIT ?10))
