-- When a backup was made, tried out or put back, for the page デジタル and for whoever watches over the town.
-- depends: 0005.findings

create table backup_run (
    backup_run_id bigint generated always as identity primary key,
    kind          text not null check (kind in ('backup', 'drill', 'restore')),
    began_at      timestamptz not null,
    ended_at      timestamptz not null,
    succeeded     boolean not null,
    taken_at      timestamptz,
    bytes         bigint,
    detail        text,
    check (ended_at >= began_at),
    check (succeeded = (detail is null))
);
comment on table backup_run is 'one a command, over all tenants, in real time; never part of a backup, so that a restored town does not claim one';
comment on column backup_run.taken_at is 'the moment whose state the backup holds; null where it came to none';
comment on column backup_run.detail is 'why it did not succeed';
create index backup_run_last on backup_run (kind, ended_at desc);

alter table backup_run enable row level security;
create policy worker on backup_run for select to mimamori_worker using (true);
-- Whose rows these are nobody can say: a backup is of the whole database.
create policy seen on backup_run for select to mimamori_api using (true);
grant select on backup_run to mimamori_worker;
-- What went wrong may name folders of the server: that stays with its owner.
grant select (kind, began_at, ended_at, succeeded, taken_at, bytes) on backup_run to mimamori_api;
