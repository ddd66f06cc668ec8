INSERT INTO sequence (id, incarnation, last_seq, last_message_id)
VALUES (1, ?1, 0, 0) ON CONFLICT DO NOTHING
