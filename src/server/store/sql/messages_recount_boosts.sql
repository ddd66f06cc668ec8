UPDATE messages SET seq = ?2,
       boosts = (SELECT count(*) FROM boosts WHERE message_id = ?1) WHERE id = ?1
