-- Several ingest workers, and why one takes no messages.
-- depends: 0011.basemap 0012.backups 0013.intake

alter table ingest_worker
    add column obstacle       text check (obstacle in ('broker', 'database', 'full')),
    add column obstacle_since timestamptz,
    add column held           integer not null default 0,
    add column outage_from    timestamptz,
    add column outage_until   timestamptz,
    add column stopped_at     timestamptz,
    add column drained_at     timestamptz,
    add constraint obstacle_has_a_time check ((obstacle is null) = (obstacle_since is null)),
    add constraint outage_is_over check ((outage_from is null) = (outage_until is null) and outage_until >= outage_from),
    add constraint drained_is_not_listening check (drained_at is null or listening_since is null);

comment on table ingest_worker is 'town time; listening_since is null while messages are not taken: then silence means nothing';
comment on column ingest_worker.obstacle is 'why it takes none: broker out of reach; database does not finish a batch; full, no room for more in hand';
comment on column ingest_worker.held is 'messages in hand: delivered, not yet acknowledged';
comment on column ingest_worker.outage_from is 'the last time that this worker could not reach the database, told when it was back';
comment on column ingest_worker.stopped_at is 'it ended in good order; its session goes on collecting messages';
comment on column ingest_worker.drained_at is 'its session was emptied and ended: nothing waits there, and nobody need come back';
