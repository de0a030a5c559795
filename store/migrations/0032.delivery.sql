-- Delivery: who is told by what, what became of it, and who answered.
-- depends: 0029.neighbours

-- --- sending -----------------------------------------------------------------------------------------------

alter table outbox add column begun_at timestamptz;
alter table outbox add column unsure smallint not null default 0;
comment on column outbox.begun_at is 'an attempt began then and its end was not noted: while nobody sends the row, its sender died, and the message may have arrived';
comment on column outbox.unsure is 'attempts of which nobody knows whether the message arrived: the next one says so';
