-- What was sent is forgotten with the records of its time; number, version, hash, answer and receipt stay (exchange_forget()).
CREATE INDEX exchange_record_sent ON onemap.exchange_record (answered_at) WHERE sent IS NOT NULL AND state <> 'waiting';
